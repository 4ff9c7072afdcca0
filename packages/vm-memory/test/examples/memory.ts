import { DirtyLog, GuestMemory, type MemoryError, MemoryRegion } from "@virtio-ts/vm-memory";

// An emulator that moves its memory: the array is replaced below.
let ram = new Uint8Array(0x10000);
const memory = new GuestMemory([
  new MemoryRegion(0, () => ram),
  new MemoryRegion(0x1_0000_0000, new Uint8Array(0x10000)),
]);

memory.writeU32(0x1000, 0x12345678);
console.log(memory.readU16(0x1002).toString(16)); // 1234

console.log(memory.locate(0xfff0, 16), memory.locate(0xfff0, 17)); // 0 -1

ram = ram.slice();
memory.refresh();
console.log(memory.readU8(0x1000).toString(16)); // 78

const log = new DirtyLog(memory.regions[0].size);
memory.regions[0].tracker = log;
memory.fill(0x2ff0, 0x20, 0xff);
console.log(log.take().count); // 2

try {
  memory.readU32(0xfffe);
} catch (error) {
  console.log((error as MemoryError).code); // out-of-range
}
