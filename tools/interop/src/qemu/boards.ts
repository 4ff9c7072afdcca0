/**
 * The machines that QEMU makes for us: where their memory and virtio devices are, and a firmware that does nothing, for
 * the processor is not wanted.
 * @module
 */

import type { PeerName } from "../peers.ts";

/** One kind of machine. */
export interface Board {
  /** Which QEMU has it. */
  readonly program: PeerName;
  /** `-machine` */
  readonly machine: string;
  /** `-cpu`, where the machine's default does not know the firmware's instructions. */
  readonly cpu?: string;
  /** Guest-physical address of its memory. */
  readonly memoryStart: number;
  /** The option that takes {@link firmware}, and its bytes. */
  readonly firmwareOption: "-bios" | "-kernel";
  readonly firmware: Uint8Array;
  /** QEMU's type of the interrupt controller whose lines we hear; of several the last made. */
  readonly interruptController: string;
  /** Its memory-mapped virtio devices; none on a machine that has PCI for that. */
  readonly mmio?: MmioSlots;
}

/** Slots for virtio-mmio devices, at regular places. The first device takes the last slot. */
export interface MmioSlots {
  readonly start: number;
  readonly step: number;
  readonly count: number;
  /** Line of the first slot; each has its own. */
  readonly firstLine: number;
}

const X86_BIOS_BYTES = 1 << 16;
/** `cli; hlt; jmp -3`, where an x86 starts. */
const X86_IDLE = [0xfa, 0xf4, 0xeb, 0xfd];
const x86Firmware = new Uint8Array(X86_BIOS_BYTES).fill(0xf4);
x86Firmware.set(X86_IDLE, X86_BIOS_BYTES - 16);

/** The boards tests use. */
export type BoardName = "q35" | "microvm" | "arm" | "riscv";

/** Each board by its name. */
export const BOARDS: Readonly<Record<BoardName, Board>> = {
  /** A PC with PCI. */
  q35: {
    program: "qemu-system-x86_64",
    machine: "q35",
    memoryStart: 0,
    firmwareOption: "-bios",
    firmware: x86Firmware,
    interruptController: "ioapic",
  },
  /** A PC without PCI: 24 virtio-mmio devices. */
  microvm: {
    program: "qemu-system-x86_64",
    machine: "microvm",
    memoryStart: 0,
    firmwareOption: "-bios",
    firmware: x86Firmware,
    interruptController: "ioapic",
    mmio: { start: 0xfeb0_0000, step: 0x200, count: 24, firstLine: 0 },
  },
  /** ARM, 32 virtio-mmio devices. */
  arm: {
    program: "qemu-system-aarch64",
    machine: "virt",
    cpu: "cortex-a57",
    memoryStart: 0x4000_0000,
    firmwareOption: "-kernel",
    firmware: Uint8Array.of(0x7f, 0x20, 0x03, 0xd5, 0xff, 0xff, 0xff, 0x17),
    interruptController: "arm_gic",
    mmio: { start: 0x0a00_0000, step: 0x200, count: 32, firstLine: 16 },
  },
  /** RISC-V, 8 virtio-mmio devices. */
  riscv: {
    program: "qemu-system-riscv64",
    machine: "virt",
    memoryStart: 0x8000_0000,
    firmwareOption: "-bios",
    firmware: Uint8Array.of(0x73, 0x00, 0x50, 0x10, 0x6f, 0xf0, 0xdf, 0xff),
    interruptController: "riscv.sifive.plic",
    mmio: { start: 0x1000_1000, step: 0x1000, count: 8, firstLine: 1 },
  },
};
