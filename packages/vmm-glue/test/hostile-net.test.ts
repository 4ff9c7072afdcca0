/**
 * Frames that are none, and buffers that don't hold them, seen from the machine: the chain is given back, the frame
 * is counted as dropped, by reason, the queue goes on, and the other card on the bus works on.
 */
import type { NetCounters } from "@virtio-ts/virtio-net/device";
import { describe, expect, it } from "vitest";
import { frame, type Interface, TX } from "./support/nic.ts";
import { Pair } from "./support/pair.ts";

const faces: readonly Interface[] = ["modern", "legacy"];
const CSUM = 1n << 0n;
const HOST_TSO4 = 1n << 11n;
const HOST_TSO6 = 1n << 12n;
const MRG_RXBUF = 1n << 15n;
const OFFLOADS = CSUM | HOST_TSO4 | HOST_TSO6;
const NEEDS_CSUM = 1;
const TCPV4 = 1;
const TCPV6 = 4;

type Reason = keyof NetCounters["dropped"];

/** `struct virtio_net_hdr`, field by field. */
interface Header {
  readonly flags?: number;
  readonly gsoType?: number;
  readonly hdrLen?: number;
  readonly gsoSize?: number;
  readonly csumStart?: number;
  readonly csumOffset?: number;
}

function headerBytes(header: Header, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, header.flags ?? 0);
  view.setUint8(1, header.gsoType ?? 0);
  view.setUint16(2, header.hdrLen ?? 0, true);
  view.setUint16(4, header.gsoSize ?? 0, true);
  view.setUint16(6, header.csumStart ?? 0, true);
  view.setUint16(8, header.csumOffset ?? 0, true);
  return bytes;
}

/** Sends one chain of these bytes, whatever they are. */
function sendRaw(pair: Pair, ...parts: readonly Uint8Array[]): void {
  const { victim, machine } = pair;
  const buffers = parts.map((bytes, i) => {
    const address = victim.base + 0x18_0000 + i * 0x1_0000;
    machine.memory.write(address, bytes);
    return { address, length: bytes.length };
  });
  victim.tx.chain(...buffers);
  victim.registers.kick(TX);
}

/** The frame was dropped for this reason and no other; its chain came back; the next frame passes. */
function expectDropped(pair: Pair, reason: Reason, count = 1): void {
  const { victim, bystander } = pair;
  const { dropped } = victim.device.counters;
  const others = Object.entries(dropped).filter(([name]) => name !== reason);
  expect(dropped[reason]).toBe(count);
  expect(others.every(([, n]) => n === 0)).toBe(true);
  expect(victim.wire.frames).toEqual([]);
  expect(victim.tx.takeUsed().length).toBe(count);
  expect(victim.faults).toEqual([]);
  victim.expectWorks();
  bystander.expectWorks();
}

describe.each(faces)("a transmitted chain of a %s driver", (face) => {
  it.each([1, 9])("of %i bytes, shorter than the header, is dropped", (length) => {
    const pair = new Pair(face);
    sendRaw(pair, new Uint8Array(length));
    expectDropped(pair, "txShortHeader");
  });

  it.each([0, 1, 13])("with a frame of %i bytes, shorter than an Ethernet header, is dropped", (length) => {
    const pair = new Pair(face);
    sendRaw(pair, new Uint8Array(pair.victim.headerSize + length));
    expectDropped(pair, "txShortFrame");
  });

  it.each([1519, 9000, 65_000])("with a frame of %i bytes, above the maximum, is dropped, not cut", (length) => {
    const pair = new Pair(face);
    sendRaw(pair, new Uint8Array(pair.victim.headerSize), new Uint8Array(length));
    expectDropped(pair, "txLongFrame");
  });

  it("without a single readable byte is dropped", () => {
    const pair = new Pair(face);
    const { victim } = pair;
    victim.tx.chain({ address: victim.base + 0x18_0000, length: 2048, writable: true });
    victim.registers.kick(TX);
    expectDropped(pair, "txShortHeader");
  });

  it("laid out in single bytes is a frame like any other [split.device.message-framing.1]", () => {
    const pair = new Pair(face);
    const bytes = frame(3, 70);
    const whole = new Uint8Array(pair.victim.headerSize + bytes.length);
    whole.set(bytes, pair.victim.headerSize);
    const address = pair.victim.base + 0x18_0000;
    pair.machine.memory.write(address, whole);
    pair.victim.tx.chain(...Array.from(whole, (_, i) => ({ address: address + i, length: 1 })));
    pair.victim.registers.kick(TX);
    expect(pair.victim.wire.frames).toEqual([bytes]);
  });

  const lies: readonly (readonly [string, Header])[] = [
    ["an unknown GSO type", { flags: NEEDS_CSUM, gsoType: 2, gsoSize: 1000, csumStart: 34, csumOffset: 16 }],
    ["UDP fragmentation", { flags: NEEDS_CSUM, gsoType: 3, gsoSize: 1000, csumStart: 34, csumOffset: 6 }],
    ["a GSO type of 0x7f", { flags: NEEDS_CSUM, gsoType: 0x7f, gsoSize: 1000, csumStart: 34, csumOffset: 16 }],
    [
      "ECN, which was not negotiated",
      { flags: 1, gsoType: TCPV4 | 0x80, gsoSize: 1000, csumStart: 34, csumOffset: 16 },
    ],
    ["a GSO size of 0", { flags: NEEDS_CSUM, gsoType: TCPV4, gsoSize: 0, csumStart: 34, csumOffset: 16 }],
    ["segmentation without a checksum", { gsoType: TCPV6, gsoSize: 1000 }],
    ["a checksum that starts past the frame", { flags: NEEDS_CSUM, csumStart: 200, csumOffset: 16 }],
    ["a checksum stored past the frame", { flags: NEEDS_CSUM, csumStart: 34, csumOffset: 70 }],
    ["a checksum whose last byte is past the frame", { flags: NEEDS_CSUM, csumStart: 34, csumOffset: 65 }],
    ["checksum fields that wrap around 16 bits", { flags: NEEDS_CSUM, csumStart: 0xffff, csumOffset: 0xffff }],
  ];

  it.each(lies)("whose header asks for %s is dropped", (_, header) => {
    const pair = new Pair(face);
    pair.victim.up(OFFLOADS);
    sendRaw(pair, headerBytes(header, pair.victim.headerSize), new Uint8Array(100));
    expectDropped(pair, "txBadHeader");
  });

  it.each([
    ["a checksum", { flags: NEEDS_CSUM, csumStart: 34, csumOffset: 16 }],
    ["segmentation", { flags: NEEDS_CSUM, gsoType: TCPV4, gsoSize: 1000, csumStart: 34, csumOffset: 16 }],
  ] as const)("whose header asks for %s that was not negotiated is dropped, or passed on without", (_, header) => {
    const pair = new Pair(face);
    sendRaw(pair, headerBytes(header, pair.victim.headerSize), new Uint8Array(100));
    expect(pair.victim.tx.takeUsed().length).toBe(1);
    expect(pair.victim.wire.frames.length + pair.victim.device.counters.dropped.txBadHeader).toBe(1);
    pair.bystander.expectWorks();
  });

  it("whose header claims more header than there is frame stands", () => {
    const pair = new Pair(face);
    pair.victim.up(OFFLOADS);
    const header = { flags: NEEDS_CSUM, gsoType: TCPV4, hdrLen: 0xffff, gsoSize: 1, csumStart: 34, csumOffset: 16 };
    sendRaw(pair, headerBytes(header, pair.victim.headerSize), new Uint8Array(60));
    expect(pair.victim.tx.takeUsed().length).toBe(1);
    pair.victim.wire.frames.length = 0;
    pair.victim.expectWorks();
    pair.bystander.expectWorks();
  });

  it("between two good ones is dropped alone", () => {
    const pair = new Pair(face);
    const { victim, machine } = pair;
    const address = victim.base + 0x18_0000;
    machine.memory.write(address + victim.headerSize, frame(1));
    const good = { address, length: victim.headerSize + 60 };
    victim.tx.chain(good);
    victim.tx.chain({ address, length: 5 });
    victim.tx.chain(good);
    victim.registers.kick(TX);
    expect(victim.wire.frames).toEqual([frame(1), frame(1)]);
    expect(victim.tx.takeUsed().map(({ id }) => id)).toEqual([0, 1, 2]);
    expect(victim.device.counters.dropped.txShortHeader).toBe(1);
  });
});

describe.each(faces)("receive buffers of a %s driver", (face) => {
  it.each([1, 9])("of %i bytes, too small for a header, come back empty, and the frame gets the next", (length) => {
    const pair = new Pair(face);
    const { victim } = pair;
    victim.postBuffers(2, length);
    victim.postBuffers(1);
    expect(victim.wire.send(frame(5))).toBe(true);
    const used = victim.rx.takeUsed();
    expect(used.map((element) => element.length)).toEqual([0, 0, victim.headerSize + 60]);
    expect(victim.device.counters.dropped.rxBadBuffers).toBe(2);
    pair.bystander.expectWorks();
  });

  it("too small for the frame never get half of it: the frame is dropped and counted", () => {
    const pair = new Pair(face);
    const { victim } = pair;
    victim.postBuffers(1, victim.headerSize + 59);
    const memory = pair.machine.memory.regions[0].u8.slice();
    expect(victim.wire.send(frame(5))).toBe(true);
    expect(victim.rx.takeUsed()).toEqual([]);
    expect(victim.device.counters.dropped.rxTooLarge).toBe(1);
    const buffer = victim.rxBuffer(0);
    const { u8 } = pair.machine.memory.regions[0];
    expect(u8.subarray(buffer, buffer + 2048)).toEqual(memory.subarray(buffer, buffer + 2048));
    expect(victim.wire.send(frame(6, 59))).toBe(true);
    expect(victim.received()).toEqual([frame(6, 59)]);
  });

  it("that are mergeable hold a frame together, or none of it", () => {
    const pair = new Pair(face);
    const { victim } = pair;
    victim.up(MRG_RXBUF);
    victim.postBuffers(3, 40);
    expect(victim.wire.send(frame(5, 200))).toBe(false);
    expect(victim.rx.takeUsed()).toEqual([]);
    victim.postBuffers(3, 40);
    expect(victim.wire.resumed).toBeGreaterThan(0);
    expect(victim.wire.send(frame(5, 200))).toBe(true);
    expect(victim.rx.takeUsed().map(({ length }) => length)).toEqual([40, 40, 40, 40, 40, 12]);
  });

  it("that are device-readable hold nothing", () => {
    const pair = new Pair(face);
    const { victim } = pair;
    victim.rx.chain({ address: victim.rxBuffer(0), length: 2048 });
    victim.postBuffers(1);
    expect(victim.wire.send(frame(5))).toBe(true);
    expect(victim.rx.takeUsed().map(({ length }) => length)).toEqual([0, victim.headerSize + 60]);
    pair.bystander.expectWorks();
  });

  it("that don't come let the frame wait, and say when they have come", () => {
    const pair = new Pair(face);
    const { victim } = pair;
    expect(victim.wire.send(frame(5))).toBe(false);
    expect(victim.wire.send(frame(5))).toBe(false);
    expect(victim.wire.resumed).toBe(0);
    victim.postBuffers(1);
    expect(victim.wire.resumed).toBe(1);
    expect(victim.wire.send(frame(5))).toBe(true);
    expect(victim.received()).toEqual([frame(5)]);
    pair.bystander.expectWorks();
  });
});
