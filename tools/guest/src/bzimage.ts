/**
 * Reads what a Linux kernel image says about itself (Documentation/arch/x86/boot.rst).
 *
 * @module
 */

const BOOT_FLAG_OFFSET = 0x1fe;
const HEADER_MAGIC_OFFSET = 0x202;
const KERNEL_VERSION_OFFSET = 0x20e;

/** The version of a bzImage as `uname -r` prints it; undefined when the bytes are no bzImage. */
export function bzImageVersion(image: Uint8Array): string | undefined {
  if (image.length < 0x400) return undefined;
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  if (view.getUint16(BOOT_FLAG_OFFSET, true) !== 0xaa55) return undefined;
  if (view.getUint32(HEADER_MAGIC_OFFSET, true) !== 0x53726448) return undefined;
  const start = view.getUint16(KERNEL_VERSION_OFFSET, true) + 0x200;
  const end = image.indexOf(0, start);
  const text = new TextDecoder("latin1").decode(image.subarray(start, Math.min(end, start + 256)));
  return text.split(" ")[0];
}
