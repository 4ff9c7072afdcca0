/** What an exit costs between v86 and the device: ports, memory-mapped I/O, interrupts, pages that a device wrote. */
import { bench, do_not_optimize, run } from "mitata";
import { attachToV86 } from "../src/index.ts";
import { FakeV86 } from "../test/fake-v86.ts";
import { ScratchFunction } from "../test/scratch-function.ts";

const v86 = new FakeV86({ acpi: true });
v86.routeInterrupts();
// Calls into the emulator are written down by the fake; here they cost nothing.
for (const name of ["device_raise_irq", "device_lower_irq", "write32", "jit_dirty_cache"]) {
  Object.assign(v86.cpu, { [name]: () => {} });
}
Object.assign(v86.cpu, { main_loop: () => 0 });
const machine = attachToV86(v86);
const fn = new ScratchFunction();
machine.plugPci(fn);
v86.configWrite(3, 0x10, 4, 0xc000);
v86.configWrite(3, 0x14, 4, 0xfeb4_0000);
v86.configWrite(3, 4, 2, 3);
for (const block of [fn.io, fn.memory]) Object.assign(block, { read: () => 1, write: () => {} });

const { ports } = v86.cpu.io;
const port = ports[0xc010];
const window = 0xfeb4_0000 >>> 17;
const { intx, msi } = fn.host!;
const region = machine.memory.regions[1];

bench("16-bit write to a port", () => port.write16.call(port.device as never, 1));
bench("8-bit read of a port", () => do_not_optimize(port.read8.call(port.device as never, 0xc010)));
bench("16-bit write to memory-mapped I/O", () => v86.cpu.mmap_write16(0xfeb4_0010 | 0, 1));
bench("8-bit read of memory-mapped I/O", () => do_not_optimize(v86.cpu.memory_map_read8[window](0xfeb4_0010 | 0)));
bench("the pin up and down", () => {
  intx.raise();
  intx.lower();
});
bench("a message", () => msi!.send(0xfee0_0000, 0x41));
bench("64 writes to 4 pages, and the main loop", () => {
  for (let i = 0; i < 64; i++) region.tracker!.written(0x1_0000 + (i & 3) * 0x1000, 64);
  v86.cpu.main_loop();
});
bench("memory looked at anew", () => machine.memory.refresh());

await run();
