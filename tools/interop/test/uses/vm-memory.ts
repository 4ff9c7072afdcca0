/** Prints 1234: half of a word in guest memory. */
import { GuestMemory } from "@virtio-ts/vm-memory";

const memory = GuestMemory.of(new Uint8Array(0x10000));
memory.writeU32(0x1000, 0x12345678);
console.log(memory.readU16(0x1002).toString(16));
