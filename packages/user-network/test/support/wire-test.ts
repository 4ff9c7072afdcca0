/** Writes and reads packets as the standards say, slowly, independently of the code under test. */
import { expect } from "vitest";

export const GUEST_MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
export const GATEWAY_MAC = Uint8Array.of(0x52, 0x55, 10, 0, 2, 2);
export const GUEST = 0x0a00020f;
export const GATEWAY = 0x0a000202;
export const DNS = 0x0a000203;
/** An address of the world: 93.184.216.34. */
export const WORLD = 0x5db8d822;

/** The sum of big-endian words with end-around carry, one by one. */
export function slowSum(bytes: ArrayLike<number>, from = 0, to: number = bytes.length, initial = 0): number {
  let sum = initial;
  for (let i = from; i < to; i += 2) {
    sum += bytes[i] * 256 + (i + 1 < to ? bytes[i + 1] : 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

function pseudo(source: number, destination: number, protocol: number, length: number): number {
  const words = [source >>> 16, source & 0xffff, destination >>> 16, destination & 0xffff, protocol, length];
  return slowSum(words.flatMap((word) => [word >> 8, word & 255]));
}

export interface FrameFields {
  toMac?: Uint8Array;
  fromMac?: Uint8Array;
  etherType?: number;
  source?: number;
  destination?: number;
  protocol?: number;
  id?: number;
  fragment?: number;
  ttl?: number;
  ipOptions?: Uint8Array;
  /** Lies. */
  versionIhl?: number;
  totalLength?: number;
  ipChecksum?: number;
  padding?: number;
}

export function ipv4Frame(payload: Uint8Array, fields: FrameFields = {}): Uint8Array {
  const options = fields.ipOptions ?? new Uint8Array(0);
  const header = 20 + options.length;
  const frame = new Uint8Array(14 + header + payload.length + (fields.padding ?? 0));
  const view = new DataView(frame.buffer);
  frame.set(fields.toMac ?? GATEWAY_MAC, 0);
  frame.set(fields.fromMac ?? GUEST_MAC, 6);
  view.setUint16(12, fields.etherType ?? 0x0800);
  view.setUint8(14, fields.versionIhl ?? 0x40 | (header / 4));
  view.setUint16(16, fields.totalLength ?? header + payload.length);
  view.setUint16(18, fields.id ?? 1);
  view.setUint16(20, fields.fragment ?? 0);
  view.setUint8(22, fields.ttl ?? 64);
  view.setUint8(23, fields.protocol ?? 17);
  view.setUint32(26, fields.source ?? GUEST);
  view.setUint32(30, fields.destination ?? GATEWAY);
  frame.set(options, 34);
  view.setUint16(24, fields.ipChecksum ?? 0xffff - slowSum(frame, 14, 14 + header));
  frame.set(payload, 14 + header);
  return frame;
}

/** A gratuitous ARP request: this MAC address has that IPv4 address. */
export function arpFrom(mac: Uint8Array, address: number): Uint8Array {
  const frame = new Uint8Array(42);
  const view = new DataView(frame.buffer);
  frame.fill(0xff, 0, 6);
  frame.set(mac, 6);
  view.setUint16(12, 0x0806);
  view.setUint32(14, 0x0001_0800);
  view.setUint32(18, 0x0604_0001);
  frame.set(mac, 22);
  view.setUint32(28, address);
  view.setUint32(38, address);
  return frame;
}

/** The same frame with a tag (IEEE 802.1Q, 9.6) of a priority and a VLAN. */
export function tagged(frame: Uint8Array, priority: number, vlan: number): Uint8Array {
  return Uint8Array.from([
    ...frame.subarray(0, 12),
    ...[0x81, 0, (priority << 5) | (vlan >> 8), vlan & 255],
    ...frame.subarray(12),
  ]);
}

export function udpFrame(
  fromPort: number,
  toPort: number,
  data: Uint8Array,
  fields: FrameFields & { udpLength?: number; udpChecksum?: number } = {},
): Uint8Array {
  const payload = new Uint8Array(8 + data.length);
  const view = new DataView(payload.buffer);
  view.setUint16(0, fromPort);
  view.setUint16(2, toPort);
  view.setUint16(4, fields.udpLength ?? payload.length);
  payload.set(data, 8);
  const sum = slowSum(
    payload,
    0,
    payload.length,
    pseudo(fields.source ?? GUEST, fields.destination ?? GATEWAY, 17, payload.length),
  );
  view.setUint16(6, fields.udpChecksum ?? (0xffff - sum || 0xffff));
  return ipv4Frame(payload, { ...fields, protocol: 17 });
}

export interface TcpFields extends FrameFields {
  fromPort: number;
  toPort: number;
  sequence: number;
  acknowledged?: number;
  flags: number;
  window?: number;
  options?: Uint8Array;
  data?: Uint8Array;
  dataOffset?: number;
  tcpChecksum?: number;
  /** Only the pseudo header's sum, as a guest with checksum offload leaves it. */
  partial?: boolean;
}

export function tcpFrame(fields: TcpFields): Uint8Array {
  const options = fields.options ?? new Uint8Array(0);
  const data = fields.data ?? new Uint8Array(0);
  const payload = new Uint8Array(20 + options.length + data.length);
  const view = new DataView(payload.buffer);
  view.setUint16(0, fields.fromPort);
  view.setUint16(2, fields.toPort);
  view.setUint32(4, fields.sequence >>> 0);
  view.setUint32(8, (fields.acknowledged ?? 0) >>> 0);
  view.setUint8(12, fields.dataOffset ?? (20 + options.length) << 2);
  view.setUint8(13, fields.flags);
  view.setUint16(14, fields.window ?? 0xffff);
  payload.set(options, 20);
  payload.set(data, 20 + options.length);
  const base = pseudo(fields.source ?? GUEST, fields.destination ?? WORLD, 6, payload.length);
  const sum = fields.partial ? base : 0xffff - slowSum(payload, 0, payload.length, base);
  view.setUint16(16, fields.tcpChecksum ?? sum);
  return ipv4Frame(payload, { destination: WORLD, ...fields, protocol: 6 });
}

export interface FrameMeta {
  flags: number;
  gsoType: number;
  hdrLen: number;
  gsoSize: number;
  csumStart: number;
  csumOffset: number;
}

export interface Decoded extends FrameMeta {
  bytes: Uint8Array;
  view: DataView;
  etherType: number;
  source: number;
  destination: number;
  protocol: number;
  /** Of the IPv4 packet. */
  payload: Uint8Array;
}

const PLAIN: FrameMeta = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };

/** Reads a frame for the guest and checks every length and checksum of it. */
export function decode(bytes: Uint8Array, meta: FrameMeta = PLAIN, mtu = 1500): Decoded {
  expect(bytes.length).toBeGreaterThanOrEqual(14);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const etherType = view.getUint16(12);
  expect(bytes.subarray(6, 12)).toEqual(GATEWAY_MAC);
  const base = { ...meta, bytes, view, etherType };
  if (etherType !== 0x0800) {
    return { ...base, source: 0, destination: 0, protocol: 0, payload: bytes.subarray(14) };
  }
  expect(view.getUint8(14)).toBe(0x45);
  expect(view.getUint16(16)).toBe(bytes.length - 14);
  expect(slowSum(bytes, 14, 34)).toBe(0xffff);
  const source = view.getUint32(26);
  const destination = view.getUint32(30);
  const protocol = view.getUint8(23);
  const payload = bytes.subarray(34);
  const isFragment = (view.getUint16(20) & 0x3fff) !== 0;
  if (!isFragment) checkPayload(payload, protocol, pseudo(source, destination, protocol, payload.length), meta);
  if (meta.gsoType === 0) expect(bytes.length).toBeLessThanOrEqual(14 + mtu);
  else {
    expect(meta.gsoType).toBe(1);
    expect(meta.hdrLen).toBe(54);
    expect(meta.flags & 1).toBe(1);
    expect(meta.gsoSize).toBeGreaterThan(0);
    expect(bytes.length - 54).toBeGreaterThan(meta.gsoSize);
  }
  return { ...base, source, destination, protocol, payload };
}

function checkPayload(payload: Uint8Array, protocol: number, base: number, meta: FrameMeta): void {
  if (protocol === 1) expect(slowSum(payload)).toBe(0xffff);
  else if ((meta.flags & 1) !== 0) {
    expect(meta.csumStart).toBe(34);
    expect(meta.csumOffset).toBe(protocol === 6 ? 16 : 6);
    const at = meta.csumOffset;
    expect(payload[at] * 256 + payload[at + 1]).toBe(base);
  } else expect(slowSum(payload, 0, payload.length, base)).toBe(0xffff);
}
