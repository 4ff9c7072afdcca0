/** ICMP echo requests that Linux answers, and what the answers must be (RFC 792). */

const HEADERS = 42;

/** Where an echo goes between. */
export interface EchoPath {
  readonly mac: Uint8Array;
  readonly farMac: Uint8Array;
  readonly address: readonly number[];
  readonly farAddress: readonly number[];
}

/** Request `n` of a path: its number stands in the payload, whose bytes and length follow from it. */
export function echoRequest(path: EchoPath, n: number): Uint8Array {
  return echo(path.farMac, path.mac, path.address, path.farAddress, 8, n);
}

/** The number of the request that a frame answers, or -1 for any other frame. @throws Error for a wrong answer */
export function answeredBy(path: EchoPath, frame: Uint8Array): number {
  if (frame.length < HEADERS + 4 || frame[12] !== 8 || frame[13] !== 0 || frame[23] !== 1 || frame[34] !== 0) return -1;
  if (path.address.some((byte, i) => frame[30 + i] !== byte)) return -1;
  const n = new DataView(frame.buffer, frame.byteOffset).getUint32(HEADERS);
  const due = echo(path.mac, path.farMac, path.farAddress, path.address, 0, n);
  // Linux chooses identification and lifetime of the packet itself: all else is due.
  const mine = frame.slice();
  for (const at of [18, 19, 20, 21, 22, 24, 25]) mine[at] = due[at];
  if (Buffer.compare(mine, due) !== 0) throw new Error(`echo ${n} came back as ${Buffer.from(frame).toString("hex")}`);
  return n;
}

function echo(
  to: Uint8Array,
  from: Uint8Array,
  source: readonly number[],
  destination: readonly number[],
  type: number,
  n: number,
): Uint8Array {
  const payload = 18 + ((n * 37) % 1400);
  const frame = new Uint8Array(HEADERS + payload);
  const view = new DataView(frame.buffer);
  frame.set(to, 0);
  frame.set(from, 6);
  view.setUint16(12, 0x0800);
  frame[14] = 0x45;
  view.setUint16(16, 28 + payload);
  frame[22] = 64;
  frame[23] = 1;
  frame.set(source, 26);
  frame.set(destination, 30);
  view.setUint16(24, checksum(frame.subarray(14, 34)));
  frame[34] = type;
  view.setUint16(38, 1);
  view.setUint16(40, n & 0xffff);
  view.setUint32(HEADERS, n);
  for (let i = 4; i < payload; i++) frame[HEADERS + i] = (n * 13 + i) & 255;
  view.setUint16(36, checksum(frame.subarray(34)));
  return frame;
}

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += bytes[i] << (i % 2 === 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
