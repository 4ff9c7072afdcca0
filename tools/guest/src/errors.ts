/**
 * What can go wrong between asking for a guest and having stopped it. Every error says what to do about it.
 *
 * @module
 */

/**
 * Why a guest could not be had, or was lost.
 *
 * - `NO_KERNEL`: kernel, busybox or BIOS are neither given, nor cached, nor to be fetched on this machine
 * - `BAD_OPTION`: an option names something that isn't there, or contradicts another one
 * - `EMULATOR`: the emulator can't be loaded, or threw
 * - `BOOT_TIMEOUT`: the guest did not come up in time
 * - `GUEST_DIED`: panic, reset or halt of the guest
 * - `EXEC_TIMEOUT`: a command took too long and was interrupted; the guest is still there
 * - `GUEST_HANGS`: a command took too long and could not be interrupted; the guest is lost
 * - `COMMAND_FAILED`: a command that had to succeed ended with another exit status than 0
 * - `STOPPED`: the guest was stopped while something waited for it
 * - `ABORTED`: the caller's AbortSignal fired
 */
export type GuestErrorCode =
  | "NO_KERNEL"
  | "BAD_OPTION"
  | "EMULATOR"
  | "BOOT_TIMEOUT"
  | "GUEST_DIED"
  | "EXEC_TIMEOUT"
  | "GUEST_HANGS"
  | "COMMAND_FAILED"
  | "STOPPED"
  | "ABORTED";

/** An error of this package: a `code` to act upon and one message that says what to do. */
export class GuestError extends Error {
  readonly code: GuestErrorCode;

  constructor(code: GuestErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "GuestError";
    this.code = code;
  }
}

/** What the user can always do, whatever the machine: part of the message of every {@link NoKernelError}. */
export const ASSET_ADVICE: string =
  "pass --kernel <32-bit x86 bzImage> --initrd <initramfs> --bios <SeaBIOS bios.bin>; " +
  "a Debian machine or container that ran this once has the three files in ~/.cache/virtio-ts/guest-*/ " +
  "(vmlinuz, initramfs.cpio.gz, bios.bin)";

/** There is nothing to boot on this machine, and no way to get it. Its message is one line. */
export class NoKernelError extends GuestError {
  /** What stands in the way, without the advice. */
  readonly reason: string;

  constructor(reason: string, options?: ErrorOptions) {
    super("NO_KERNEL", `no guest kernel: ${reason}; ${ASSET_ADVICE}`, options);
    this.name = "NoKernelError";
    this.reason = reason;
  }
}

/** Turns a fired AbortSignal into this package's error; returns when it has not fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new GuestError("ABORTED", "aborted by the caller", { cause: signal.reason });
}
