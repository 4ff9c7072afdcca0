/**
 * Notices that a guest died: a panic it prints, a reset, a halt for good, an emulator destroyed under it, or an
 * exception in the emulator or in a device that was plugged into it.
 *
 * @module
 */
import type { Emulator } from "./emulator.ts";
import { GuestError } from "./errors.ts";

const PANIC = "Kernel panic - not syncing";
/** How much of the console is kept for messages. */
const TAIL_CHARACTERS = 4096;

/** Watches one guest. */
export class Watchdog {
  readonly #onDeath: (error: GuestError) => void;
  #console = "";
  /** The emulator threw: its turns have ended, and it can't be asked to stop. */
  crashed = false;
  /** The guest died, and {@link Watchdog.#onDeath} is about to be told. */
  #isDead = false;

  /** @param onDeath called at most once per cause, never from within the emulator */
  constructor(emulator: Emulator, onDeath: (error: GuestError) => void) {
    this.#onDeath = onDeath;
    const { v86 } = emulator;
    v86.cpu.reboot_internal = (): void => this.#die("was reset (reboot, or a triple fault)");
    emulator.add_listener("cpu-event-halt", () => this.#die("halted with interrupts off"));
    const { destroy } = v86;
    v86.destroy = (): void => {
      destroy.call(v86);
      this.#die("is gone: its emulator was destroyed");
    };
    const tick = v86.do_tick;
    v86.do_tick = (): void => {
      try {
        tick.call(v86);
      } catch (error) {
        this.crashed = true;
        // A guest that has reset itself runs on until this tick ends, and may crash the emulator: Linux without a handler
        // table, interrupted before its triple fault, does.
        if (this.#isDead) return;
        this.#onDeath(
          new GuestError("EMULATOR", `the emulator or a device in it threw: ${String(error)}`, { cause: error }),
        );
      }
    };
  }

  /** Takes one byte of the console. */
  receive(byte: number): void {
    this.#console += String.fromCharCode(byte);
    if (byte !== 0x0a) return;
    if (this.#console.length > 2 * TAIL_CHARACTERS) this.#console = this.#console.slice(-TAIL_CHARACTERS);
    const panic = this.#console.lastIndexOf(PANIC);
    if (panic < 0) return;
    const line = this.#console.slice(panic, this.#console.indexOf("\n", panic)).trim();
    this.#console = "";
    this.#die(`died: ${line}`);
  }

  /** The last lines of the console, for messages. */
  lastLines(count: number): string {
    const printable = this.#console.replace(/[^\n\x20-\x7e]/g, "");
    return printable
      .split("\n")
      .filter((line) => line.trim() !== "")
      .slice(-count)
      .join(" | ");
  }

  #die(how: string): void {
    this.#isDead = true;
    const error = new GuestError("GUEST_DIED", `the guest ${how}: boot it again`);
    setImmediate(() => this.#onDeath(error));
  }
}
