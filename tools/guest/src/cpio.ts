/**
 * Writes and reads archives in the "newc" format of cpio, the one format that Linux takes as an initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst). For the initramfs builder and its tests.
 *
 * @module
 */

/** One member of an archive. */
export interface CpioEntry {
  /** Path without a leading slash. A directory must come before what is in it. */
  readonly name: string;
  /** File type and permissions as in `st_mode`, see {@link CpioMode}. */
  readonly mode: number;
  /** Content of a file, target of a symbolic link. Default: empty. */
  readonly data?: Uint8Array;
  /** Major and minor number of a device node. */
  readonly device?: readonly [major: number, minor: number];
}

/** File types of `mode`. */
export const CpioMode = {
  FILE: 0o100000,
  DIRECTORY: 0o040000,
  SYMLINK: 0o120000,
  CHARACTER_DEVICE: 0o020000,
  TYPE_MASK: 0o170000,
} as const;

const MAGIC = "070701";
const HEADER_BYTES = 110;
const TRAILER = "TRAILER!!!";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A directory with permissions 0755. */
export function directory(name: string): CpioEntry {
  return { name, mode: CpioMode.DIRECTORY | 0o755 };
}

/** A file; text is written as UTF-8. */
export function file(name: string, data: Uint8Array | string, permissions: number = 0o644): CpioEntry {
  return { name, mode: CpioMode.FILE | permissions, data: typeof data === "string" ? encoder.encode(data) : data };
}

/** A symbolic link to `target`. */
export function symlink(name: string, target: string): CpioEntry {
  return { name, mode: CpioMode.SYMLINK | 0o777, data: encoder.encode(target) };
}

/** Writes an archive. The same entries always give the same bytes: no times, no owners, inodes counted from 1. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array<ArrayBuffer> {
  const members = [...entries, { name: TRAILER, mode: 0 }].map((entry) => ({
    entry,
    name: encoder.encode(entry.name),
  }));
  let size = 0;
  for (const { entry, name } of members) size = memberEnd(size, name.length, entry.data?.length ?? 0);

  const archive = new Uint8Array(size);
  let offset = 0;
  members.forEach(({ entry, name }, index) => {
    const length = entry.data?.length ?? 0;
    const [major, minor] = entry.device ?? [0, 0];
    const links = (entry.mode & CpioMode.TYPE_MASK) === CpioMode.DIRECTORY ? 2 : 1;
    // inode, mode, uid, gid, nlink, mtime, filesize, device major and minor, rdev major and minor, namesize, check
    const fields = [index + 1, entry.mode, 0, 0, links, 0, length, 0, 0, major, minor, name.length + 1, 0];
    const header = MAGIC + fields.map((field) => field.toString(16).padStart(8, "0")).join("");
    archive.set(encoder.encode(header), offset);
    archive.set(name, offset + HEADER_BYTES);
    if (entry.data) archive.set(entry.data, align4(offset + HEADER_BYTES + name.length + 1));
    offset = memberEnd(offset, name.length, length);
  });
  return archive;
}

/**
 * Reads an archive, up to its trailer.
 *
 * @throws RangeError when a member's header is not one
 */
export function readCpio(archive: Uint8Array): CpioEntry[] {
  const entries: CpioEntry[] = [];
  for (let offset = 0; ; ) {
    const header = decoder.decode(archive.subarray(offset, offset + HEADER_BYTES));
    if (!/^070701[0-9a-fA-F]{104}$/.test(header)) throw new RangeError(`no newc header at byte ${offset}`);
    const field = (index: number): number => Number.parseInt(header.slice(6 + index * 8, 14 + index * 8), 16);
    const nameLength = field(11) - 1;
    const nameStart = offset + HEADER_BYTES;
    const name = decoder.decode(archive.subarray(nameStart, nameStart + nameLength));
    if (name === TRAILER) return entries;
    const dataStart = align4(nameStart + nameLength + 1);
    const data = archive.subarray(dataStart, dataStart + field(6));
    entries.push({ name, mode: field(1), data, device: [field(9), field(10)] });
    offset = memberEnd(offset, nameLength, field(6));
  }
}

function memberEnd(offset: number, nameLength: number, dataLength: number): number {
  return align4(align4(offset + HEADER_BYTES + nameLength + 1) + dataLength);
}

function align4(value: number): number {
  return (value + 3) & ~3;
}
