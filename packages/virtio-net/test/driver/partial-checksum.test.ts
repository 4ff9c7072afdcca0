/**
 * A partial checksum is the work of three: the stack above the driver stores the pseudo header's sum, the driver says
 * where, the device sums up the rest (VIRTIO 1.4, 5.1.6.2.1; RFC 1071, RFC 9293 3.1).
 */
import { expect, it } from "vitest";
import { setupStrict } from "./support/strict.ts";
import { F } from "./support/strict-nic.ts";

const SUCCESS = 1;
const MORE = 2;

/** The one's complement sum of 16-bit words, the last byte padded. */
function sum(bytes: readonly number[]): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += bytes[i] * 256 + (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

const SOURCE = [10, 0, 2, 15];
const TARGET = [10, 0, 2, 2];

/** An Ethernet, IPv4 and TCP packet, with all that a stack fills in where the device is to sum up the segment. */
function packet(payload: readonly number[]): number[] {
  const length = 20 + payload.length;
  const total = 20 + length;
  const ip = [0x45, 0, total >> 8, total & 255, 0, 1, 0x40, 0, 64, 6, 0, 0, ...SOURCE, ...TARGET];
  const header = ~sum(ip) & 0xffff;
  ip.splice(10, 2, header >> 8, header & 255);
  const pseudo = sum([...SOURCE, ...TARGET, 0, 6, length >> 8, length & 255]);
  const tcp = [0x80, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0x20, 0, pseudo >> 8, pseudo & 255, 0, 0];
  return [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, ...ip, ...tcp, ...payload];
}

it.each([0, 1, 2, 1000, 1459, 1460])(
  "a packet with %i bytes of payload reaches the device as the stack made it, complete before csum_offset and with the pseudo header's sum there, and the device's sum makes it whole [net.driver.packet-transmission.18][net.driver.packet-transmission.19]",
  async (size) => {
    const s = await setupStrict({ device: { features: [F.CSUM] } });
    const { pool } = s;
    const bytes = packet(Array.from({ length: size }, (_, i) => (i * 7 + 1) & 255));
    const first = pool.allocate();
    pool.write(first, Uint8Array.from(bytes));
    pool.flags[first] = 1;
    pool.csumStart[first] = 34;
    pool.csumOffset[first] = 16;
    expect(s.txqs[0].txOne(first)).toBe(SUCCESS | MORE);

    const [flags, , , , , , startLow, startHigh, offsetLow, offsetHigh, , , ...frame] = s.device.sent[0].bytes;
    expect(frame).toEqual(bytes);
    expect([flags, startLow + 256 * startHigh, offsetLow + 256 * offsetHigh]).toEqual([1, 34, 16]);
    expect(sum(frame.slice(14, 34))).toBe(0xffff); // IP's own checksum holds already
    // What a device does: the sum from csum_start on, the stored one included, is what is stored.
    const whole = ~sum(frame.slice(34)) & 0xffff;
    frame.splice(50, 2, whole >> 8, whole & 255);
    const length = 20 + size;
    expect(sum([...SOURCE, ...TARGET, 0, 6, length >> 8, length & 255, ...frame.slice(34)])).toBe(0xffff);
  },
);
