/**
 * The saved state of the transport, its state machine and its device, with which a machine continues later, elsewhere.
 * The owner of guest memory saves that. Saved state is untrusted.
 * @module
 */

import { ISR_CONFIG, ISR_QUEUE, STATUS_DRIVER_OK, STATUS_SUSPEND } from "@virtio-ts/virtio-bindings";
import {
  type CoreState,
  RestoreError,
  savedFlag,
  savedRecord,
  savedText,
  savedWord,
  savedWords,
} from "@virtio-ts/virtio-device";
import { isPowerOf2 } from "./legacy.ts";
import { type MsiState, parseMsi } from "./msi.ts";
import type { MmioTransport } from "./transport.ts";

/** The transport's registers as plain data. */
interface RegisterState {
  /** Version of the registers. */
  readonly registers: 1 | 2;
  /** DeviceFeaturesSel. */
  readonly deviceFeaturesSel: number;
  /** DriverFeaturesSel. */
  readonly driverFeaturesSel: number;
  /** SHMSel. */
  readonly shmSel: number;
  /** GuestPageSize. */
  readonly guestPageSize: number;
  /** QueueAlign of each queue. */
  readonly queueAligns: readonly number[];
  /** InterruptStatus. */
  readonly interruptStatus: number;
  /** Dragonball's messages; `null` if the device has none. */
  readonly msi: MsiState | null;
}

/** The plain data that `VirtioMmioDevice.save` returns. It survives JSON and structured clones. */
export interface MmioState extends RegisterState {
  readonly version: 1;
  /** The state machine and the device. */
  readonly core: CoreState;
}

/** The state of a transport, its state machine and its device. */
export function saveTransport(transport: MmioTransport): MmioState {
  const core = transport.core.save(); // first, because the device may interrupt during it
  const { version, deviceFeaturesSel, driverFeaturesSel, shmSel, guestPageSize, queueAligns, interrupts } = transport;
  return {
    version: 1,
    registers: version,
    deviceFeaturesSel,
    driverFeaturesSel,
    shmSel,
    guestPageSize,
    queueAligns: [...queueAligns],
    interruptStatus: interrupts.line.status,
    msi: interrupts.msi?.save() ?? null,
    core,
  };
}

/**
 * Restores state from {@link saveTransport} into a transport whose device is in reset.
 * @throws RestoreError if `state` is invalid; nothing is changed then
 */
export function restoreTransport(transport: MmioTransport, state: unknown): void {
  const source = savedRecord(state, "the saved state");
  if (source.version !== 1) {
    throw new RestoreError("version", `saved state of version ${savedText(source.version)}, not 1`);
  }
  const { core, interrupts } = transport;
  const coreState = checkCore(source.core, transport.version);
  const next = parseRegisters(source, transport, coreState.status === 0);
  const messages = interrupts.msi?.save() ?? null;
  // Before the device goes live, because it may send a message at once.
  if (next.msi !== null) interrupts.msi?.restore(next.msi);
  try {
    core.restore(coreState);
  } catch (cause) {
    if (messages !== null) interrupts.msi?.restore(messages);
    throw cause;
  }
  transport.deviceFeaturesSel = next.deviceFeaturesSel;
  transport.driverFeaturesSel = next.driverFeaturesSel;
  transport.shmSel = next.shmSel;
  transport.guestPageSize = next.guestPageSize;
  transport.queueAligns.set(next.queueAligns);
  if (next.interruptStatus !== 0) interrupts.line.set(next.interruptStatus);
}

/** Checks that the saved driver uses the interface of these registers. The state machine checks the rest. */
function checkCore(value: unknown, registers: 1 | 2): Readonly<Record<string, unknown>> {
  const source = savedRecord(value, "core");
  const status = savedWord(source.status, "core.status");
  const legacy = savedFlag(source.legacy, "core.legacy");
  const live = (status & (STATUS_DRIVER_OK | STATUS_SUSPEND)) !== 0;
  if (registers === 1 ? live && !legacy : legacy) {
    throw new RestoreError("state", `status ${status} and legacy ${legacy} behind registers of version ${registers}`);
  }
  return { ...source, status, legacy };
}

function parseRegisters(
  source: Readonly<Record<string, unknown>>,
  transport: MmioTransport,
  inReset: boolean,
): RegisterState {
  if (source.registers !== transport.version) {
    const saved = savedText(source.registers);
    throw new RestoreError("mismatch", `saved from registers of version ${saved}, these are ${transport.version}`);
  }
  const queueAligns = savedWords(source.queueAligns, transport.queueAligns.length, "queueAligns");
  const guestPageSize = savedWord(source.guestPageSize, "guestPageSize");
  const bad = [guestPageSize, ...queueAligns].find((value) => !isPowerOf2(value));
  if (bad !== undefined) throw new RestoreError("state", `a page size or alignment of ${bad}`);
  const interruptStatus = savedWord(source.interruptStatus, "interruptStatus");
  if ((interruptStatus & ~(inReset ? 0 : ISR_QUEUE | ISR_CONFIG)) !== 0) {
    throw new RestoreError("state", `an interrupt status of ${interruptStatus}`);
  }
  return {
    registers: transport.version,
    deviceFeaturesSel: savedWord(source.deviceFeaturesSel, "deviceFeaturesSel"),
    driverFeaturesSel: savedWord(source.driverFeaturesSel, "driverFeaturesSel"),
    shmSel: savedWord(source.shmSel, "shmSel"),
    guestPageSize,
    queueAligns,
    interruptStatus,
    msi: parseMsi(source.msi, transport.interrupts.msi),
  };
}
