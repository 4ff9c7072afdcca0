/** Builds and checks packets, slowly and independently of the code under test. */

/** The checksum of RFC 1071 as its text defines it: 16-bit words, end-around carry, complement. */
export function slowChecksum(bytes: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) {
    sum += i % 2 === 0 ? bytes[i] * 256 : bytes[i];
    if (sum > 0xffff) sum -= 0xffff;
  }
  return 0xffff - sum;
}

/** Ones' complement has two zeros. */
export function sameChecksum(a: number, b: number): boolean {
  return a === b || (a % 0xffff === 0 && b % 0xffff === 0);
}

export interface TcpFrame {
  version: 4 | 6;
  vlan?: number;
  ipOptions?: number;
  tcpOptions?: number;
  id?: number;
  sequence?: number;
  flags?: number;
  payload: Uint8Array;
}

const mac = [0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1];
const be16 = (n: number): number[] => [(n >>> 8) & 255, n & 255];
const be32 = (n: number): number[] => [...be16(n >>> 16), ...be16(n & 0xffff)];
const v6 = (last: number): number[] => [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];

/** A TCP frame as Linux hands it to a NIC that segments: the checksum field holds that of the pseudo header. */
export function tcpFrame(f: TcpFrame): { bytes: Uint8Array; l4: number; headers: number } {
  const vlan = f.vlan === undefined ? [] : [0x81, 0, ...be16(f.vlan)];
  const ipOptions = f.version === 4 ? new Array((f.ipOptions ?? 0) * 4).fill(1) : [];
  const tcpOptions = new Array((f.tcpOptions ?? 0) * 4).fill(1);
  const tcpLength = 20 + tcpOptions.length + f.payload.length;
  const addresses = f.version === 4 ? [10, 0, 2, 15, 10, 0, 2, 2] : [...v6(15), ...v6(2)];
  const pseudo = 0xffff - slowChecksum([...addresses, 0, 6, ...be16(tcpLength >>> 16), ...be16(tcpLength & 0xffff)]);
  const tcp = [
    ...be16(40000),
    ...be16(80),
    ...be32(f.sequence ?? 1),
    ...be32(77),
    ((20 + tcpOptions.length) / 4) << 4,
    f.flags ?? 0x10,
    ...be16(502),
    ...be16(pseudo),
    ...be16(0),
    ...tcpOptions,
  ];
  let ip: number[];
  if (f.version === 4) {
    const size = 20 + ipOptions.length;
    ip = [0x40 | (size / 4), 0, ...be16(size + tcpLength), ...be16(f.id ?? 1), 0x40, 0, 64, 6, 0, 0, ...addresses];
    ip.push(...ipOptions);
    ip.splice(10, 2, ...be16(slowChecksum(ip)));
  } else {
    ip = [0x60, 0, 0, 0, ...be16(tcpLength), 6, 64, ...addresses];
  }
  const head = [...mac, ...vlan, ...(f.version === 4 ? [8, 0] : [0x86, 0xdd]), ...ip, ...tcp];
  const bytes = new Uint8Array(head.length + f.payload.length);
  bytes.set(head);
  bytes.set(f.payload, head.length);
  return { bytes, l4: head.length - tcp.length, headers: head.length };
}

export interface ParsedTcp {
  /** Ethernet header with tags. */
  link: Uint8Array;
  version: number;
  id: number;
  ipOptions: Uint8Array;
  sequence: number;
  flags: number;
  tcpOptions: Uint8Array;
  payload: Uint8Array;
}

/** Parses a TCP frame; throws unless its lengths and both its checksums are right. */
export function parseTcp(frame: Uint8Array): ParsedTcp {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  let l3 = 14;
  while (view.getUint16(l3 - 2) === 0x8100) l3 += 4;
  const version = frame[l3] >> 4;
  const l4 = version === 4 ? l3 + (frame[l3] & 15) * 4 : l3 + 40;
  const tcpLength = frame.length - l4;
  const addresses = version === 4 ? frame.subarray(l3 + 12, l3 + 20) : frame.subarray(l3 + 8, l3 + 40);
  if (version === 4) {
    if (view.getUint16(l3 + 2) !== frame.length - l3) throw new Error("IPv4 total length");
    if (slowChecksum(frame.subarray(l3, l4)) !== 0) throw new Error("IPv4 checksum");
  } else if (view.getUint16(l3 + 4) !== tcpLength) throw new Error("IPv6 payload length");
  const checked = [...addresses, 0, 6, ...be16(tcpLength), ...frame.subarray(l4)];
  if (slowChecksum(checked) !== 0) throw new Error("TCP checksum");
  const data = l4 + (frame[l4 + 12] >> 4) * 4;
  return {
    link: frame.subarray(0, l3),
    version,
    id: version === 4 ? view.getUint16(l3 + 4) : 0,
    ipOptions: version === 4 ? frame.subarray(l3 + 20, l4) : new Uint8Array(0),
    sequence: view.getUint32(l4 + 4),
    flags: frame[l4 + 13],
    tcpOptions: frame.subarray(l4 + 20, data),
    payload: frame.subarray(data),
  };
}
