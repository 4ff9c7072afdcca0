/**
 * An emulator of one's own, as small as can be: a processor of seven instructions, 64 KiB of RAM, one interrupt line. It
 * shows all that an emulator lends to virtio-ts: memory, the accesses that are not RAM, and a line.
 */
import type { VirtioDevice } from "@virtio-ts/virtio-device";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { Machine, onMmio } from "@virtio-ts/vmm-glue";

/** One instruction. Registers are 0 to 15. */
export type Instruction =
  | readonly [op: "set", register: number, value: number]
  | readonly [op: "load", register: number, address: number]
  | readonly [op: "store", address: number, value: number]
  | readonly [op: "store-half", address: number, value: number]
  /** Stops until the interrupt line is up. */
  | readonly [op: "wait"]
  | readonly [op: "unless-equal", register: number, value: number, jump: number]
  | readonly [op: "halt"];

/** Where the first device's registers are: guests of this machine know it. */
export const DEVICE_BASE = 0xf000_0000;
const LINE = 5;

/** The emulator. */
export class TinyEmulator {
  readonly registers = new Uint32Array(16);
  readonly ram = new Uint8Array(0x1_0000);
  readonly #machine: Machine;
  #interrupted = false;

  constructor(device: VirtioDevice) {
    this.#machine = new Machine({
      // 1. The emulator's RAM. One that moves or grows is given as a function that returns it.
      memory: GuestMemory.of(this.ram),
      // 2. Where interrupt lines end: at the emulator's interrupt controller.
      controller: {
        setLevel: (line, level) => {
          if (line === LINE) this.#interrupted = level;
        },
      },
    });
    const place = onMmio(this.#machine, { address: DEVICE_BASE, line: LINE });
    this.#machine.devices.add("device0", device, place);
  }

  /** Runs a program to its end. Between turns, deferred work of devices has its time. */
  async run(program: readonly Instruction[]): Promise<void> {
    for (let at = 0; ; at++) {
      const [op, a = 0, b = 0, c = 0] = program[at];
      if (op === "halt") return;
      if (op === "set") this.registers[a] = b;
      // 3. Accesses: the machine knows what is RAM and what are registers. A fast emulator asks only for what is not RAM.
      else if (op === "load") this.registers[a] = this.#machine.read(b, 4);
      else if (op === "store") this.#machine.write(a, 4, b);
      else if (op === "store-half") this.#machine.write(a, 2, b);
      else if (op === "unless-equal") at = this.registers[a] === b ? at : c - 1;
      else while (!this.#interrupted) await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }
}
