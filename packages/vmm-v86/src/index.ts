/**
 * Makes a machine of a v86 emulator, in Node or in a browser, and plugs devices into it.
 *
 * @module
 */

export type { V86Emulator } from "./cpu.ts";
export { V86_VERSION } from "./cpu.ts";
export { V86Error, type V86ErrorCode } from "./errors.ts";
export {
  attachToV86,
  type V86Counters,
  V86Machine,
  type V86MachineOptions,
  type V86Plugged,
  type V86PlugOptions,
} from "./machine.ts";
export { addNic, type Nic, type NicOptions } from "./nic.ts";
