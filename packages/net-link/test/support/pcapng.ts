/** Reads the part of pcapng that our captures use; throws on anything a reader could not parse. */

export interface PcapngPacket {
  bytes: Uint8Array;
  length: number;
  /** Microseconds since 1970. */
  time: number;
  direction: number;
  comment: string | undefined;
}

export interface PcapngFileContent {
  name: string | undefined;
  application: string | undefined;
  snapLength: number;
  packets: PcapngPacket[];
}

const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

export function readPcapng(bytes: Uint8Array): PcapngFileContent {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const content: PcapngFileContent = { name: undefined, application: undefined, snapLength: 0, packets: [] };
  const blocks: number[] = [];
  const options = (at: number, end: number): Map<number, Uint8Array> => {
    const found = new Map<number, Uint8Array>();
    while (at < end) {
      const code = view.getUint16(at, true);
      const length = view.getUint16(at + 2, true);
      if (code === 0) {
        if (length !== 0 || at + 4 !== end) throw new Error("end of options");
        return found;
      }
      found.set(code, bytes.subarray(at + 4, at + 4 + length));
      at += 4 + Math.ceil(length / 4) * 4;
    }
    throw new Error("options don't end");
  };
  for (let at = 0; at < bytes.length; ) {
    const type = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    const end = at + length - 4;
    if (length % 4 !== 0 || view.getUint32(end, true) !== length) throw new Error(`block of ${length} bytes at ${at}`);
    blocks.push(type);
    if (type === 0x0a0d0d0a) {
      if (view.getUint32(at + 8, true) !== 0x1a2b3c4d || view.getUint16(at + 12, true) !== 1)
        throw new Error("section");
      if (view.getBigInt64(at + 16, true) !== -1n) throw new Error("section length");
      content.application = text(options(at + 24, end).get(4)!);
    } else if (type === 1) {
      if (view.getUint16(at + 8, true) !== 1) throw new Error("link type");
      content.snapLength = view.getUint32(at + 12, true);
      const o = options(at + 16, end);
      content.name = text(o.get(2)!);
      if (o.get(9)![0] !== 6) throw new Error("resolution");
    } else if (type === 6) {
      const captured = view.getUint32(at + 20, true);
      const o = options(at + 28 + Math.ceil(captured / 4) * 4, end);
      const flags = o.get(2)!;
      const comment = o.get(1);
      content.packets.push({
        bytes: bytes.slice(at + 28, at + 28 + captured),
        length: view.getUint32(at + 24, true),
        time: view.getUint32(at + 12, true) * 2 ** 32 + view.getUint32(at + 16, true),
        direction: flags[0],
        comment: comment === undefined ? undefined : text(comment),
      });
    } else throw new Error(`block type ${type}`);
    at += length;
  }
  if (blocks[0] !== 0x0a0d0d0a || blocks[1] !== 1) throw new Error("no preamble");
  return content;
}
