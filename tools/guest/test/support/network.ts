/**
 * The least network a guest needs: one server at 10.0.2.2 that answers DHCP, ARP and ping, behind v86's own NIC.
 *
 * @module
 */
import type { Emulator } from "../../src/index.ts";

const SERVER_MAC = [0x52, 0x55, 0x0a, 0x00, 0x02, 0x02];
const SERVER = [10, 0, 2, 2];
const CLIENT = [10, 0, 2, 15];

/** Answers whatever the guest's built-in NIC sends. */
export function attachServer(emulator: Emulator): void {
  emulator.add_listener("net0-send", (frame) => {
    const answer = answerTo(Uint8Array.from(frame));
    if (answer) setImmediate(() => emulator.bus.send("net0-receive", answer));
  });
}

function answerTo(frame: Uint8Array): Uint8Array | undefined {
  const type = (frame[12] << 8) | frame[13];
  if (type === 0x0806 && frame[21] === 1 && equal(frame.subarray(38, 42), SERVER)) return arpReply(frame);
  if (type !== 0x0800) return undefined;
  if (frame[23] === 1 && frame[34] === 8 && equal(frame.subarray(30, 34), SERVER)) return echoReply(frame);
  if (frame[23] === 17 && frame[37] === 67) return dhcpReply(frame);
  return undefined;
}

function arpReply(frame: Uint8Array): Uint8Array {
  const reply = frame.slice();
  reply.set(frame.subarray(6, 12), 0);
  reply.set(SERVER_MAC, 6);
  reply[21] = 2;
  reply.set([...SERVER_MAC, ...SERVER], 22);
  reply.set(frame.subarray(22, 32), 32);
  return reply;
}

function echoReply(frame: Uint8Array): Uint8Array {
  const reply = frame.slice();
  reply.set(frame.subarray(6, 12), 0);
  reply.set(SERVER_MAC, 6);
  reply.set(frame.subarray(30, 34), 26);
  reply.set(frame.subarray(26, 30), 30);
  const end = 14 + ((frame[16] << 8) | frame[17]);
  reply[34] = 0;
  reply.set([0, 0], 36);
  reply.set(checksum(reply.subarray(34, end)), 36);
  return reply;
}

function dhcpReply(frame: Uint8Array): Uint8Array {
  const request = frame.subarray(42);
  const discover = request[request.indexOf(53, 240) + 2] === 1;
  const options = [
    [53, 1, discover ? 2 : 5],
    [54, 4, ...SERVER],
    [51, 4, 0, 0, 0x0e, 0x10],
    [1, 4, 255, 255, 255, 0],
    [3, 4, ...SERVER],
    [6, 4, 10, 0, 2, 3],
    [15, 4, ...new TextEncoder().encode("test")],
    [255],
  ].flat();
  const message = new Uint8Array(240 + options.length);
  message.set(request.subarray(0, 240));
  message[0] = 2;
  message.set(CLIENT, 16);
  message.set(SERVER, 20);
  message.set(options, 240);

  const reply = new Uint8Array(42 + message.length);
  reply.set([...frame.subarray(6, 12), ...SERVER_MAC, 0x08, 0x00]);
  const length = message.length + 28;
  reply.set([0x45, 0, length >> 8, length & 255, 0, 0, 0, 0, 64, 17, 0, 0, ...SERVER, 255, 255, 255, 255], 14);
  reply.set(checksum(reply.subarray(14, 34)), 24);
  const udpLength = message.length + 8;
  reply.set([0, 67, 0, 68, udpLength >> 8, udpLength & 255, 0, 0], 34);
  reply.set(message, 42);
  return reply;
}

function checksum(bytes: Uint8Array): [number, number] {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return [(~sum >> 8) & 255, ~sum & 255];
}

function equal(bytes: Uint8Array, other: readonly number[]): boolean {
  return bytes.every((byte, index) => byte === other[index]);
}
