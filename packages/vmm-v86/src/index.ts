/**
 * Makes a machine from a v86 emulator, in Node or in a browser, and adds devices to it.
 * @module
 */

export type { V86Emulator } from "./cpu.ts";
export { V86_VERSION } from "./cpu.ts";
export { V86Error, type V86ErrorCode } from "./errors.ts";
export type { InterruptPin } from "./interrupts.ts";
export {
  attachToV86,
  type V86Counters,
  V86Machine,
  type V86MachineOptions,
  type V86Plugged,
  type V86PlugOptions,
  type V86Registers,
} from "./machine.ts";
export {
  addNic,
  MMIO_NIC_ADDRESS,
  MMIO_NIC_LINE,
  type MmioNic,
  type MmioNicOptions,
  type Nic,
  type NicOptions,
  type PciNic,
  type PciNicOptions,
} from "./nic.ts";
