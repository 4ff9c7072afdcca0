/**
 * A running guest: commands, console, and an end that leaves nothing behind.
 *
 * @module
 */
import { CommandChannel, describeCommand, type ExecOptions, type ExecResult } from "./channel.ts";
import type { Emulator } from "./emulator.ts";
import { GuestError } from "./errors.ts";
import { Watchdog } from "./watchdog.ts";

/** The guest's serial line, raw. Command frames pass over it too. */
export interface GuestConsole {
  write(data: string | Uint8Array): void;
  /** @returns a function that ends the subscription */
  onData(listener: (bytes: Uint8Array) => void): () => void;
}

/** A guest in the emulator. */
export class Guest {
  readonly emulator: Emulator;
  readonly console: GuestConsole;
  /** Resolves, with the reason, when the guest is gone: died, hung, or stopped. */
  readonly gone: Promise<GuestError>;

  readonly #channel: CommandChannel;
  readonly #watchdog: Watchdog;
  readonly #listeners: Set<(bytes: Uint8Array) => void> = new Set();
  #pending: number[] = [];
  #kernelVersion = "";
  #resolveGone!: (error: GuestError) => void;
  #stopped: Promise<void> | undefined;

  /** Made by `bootGuest`; the emulator is loaded, but not running yet. */
  constructor(emulator: Emulator) {
    this.emulator = emulator;
    this.gone = new Promise((resolve) => {
      this.#resolveGone = resolve;
    });
    const write = (data: string | Uint8Array): void => {
      const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
      for (const byte of bytes) emulator.bus.send("serial0-input", byte);
    };
    this.console = {
      write,
      onData: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    };
    const lost = (error: GuestError): void => {
      this.#fail(error);
      void this.stop();
    };
    this.#channel = new CommandChannel(write, lost);
    this.#watchdog = new Watchdog(emulator, lost);
    emulator.add_listener("serial0-output-byte", this.#receive);
  }

  /** As `uname -r` prints it; empty until the guest is up. */
  get kernelVersion(): string {
    return this.#kernelVersion;
  }

  /**
   * Runs a shell command.
   *
   * @throws GuestError `EXEC_TIMEOUT`, `GUEST_HANGS`, `GUEST_DIED`, `EMULATOR`, `STOPPED`, `ABORTED`
   */
  exec(command: string, options?: ExecOptions): Promise<ExecResult> {
    return this.#channel.exec(command, options);
  }

  /**
   * Runs a shell command that has to succeed, and returns its output.
   *
   * @throws GuestError as {@link exec}, and `COMMAND_FAILED` when the exit status is not 0
   */
  async run(command: string, options?: ExecOptions): Promise<string> {
    const { status, output } = await this.exec(command, options);
    if (status === 0) return output;
    const lastLine = output.trimEnd().split("\n").at(-1) ?? "";
    throw new GuestError("COMMAND_FAILED", `${describeCommand(command)} ended with ${status}: ${lastLine}`);
  }

  /** Loads kernel modules and what they depend on. */
  async loadModules(...names: string[]): Promise<void> {
    if (names.length > 0) await this.run(`modprobe -a ${names.join(" ")}`);
  }

  /** Ends the guest. All that waits for it fails with `STOPPED`; afterwards no timer or handle is left. */
  stop(): Promise<void> {
    this.#fail(new GuestError("STOPPED", "the guest was stopped"));
    this.#stopped ??= this.#destroy();
    return this.#stopped;
  }

  /**
   * Waits until the agent in the guest answers.
   *
   * @throws GuestError `BOOT_TIMEOUT`, or why the guest is gone
   */
  async untilReady(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const seen = this.#watchdog.lastLines(2) || "nothing";
        const message = `the guest was not up after ${timeoutMs / 1000} s (console: ${seen}): raise bootTimeoutMs, or use an initramfs made by this tool`;
        reject(new GuestError("BOOT_TIMEOUT", message));
      }, timeoutMs);
    });
    try {
      this.#kernelVersion = await Promise.race([this.#channel.ready, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The guest comes from a snapshot, in which its agent waits for commands already. */
  resumed(kernelVersion: string): void {
    this.#kernelVersion = kernelVersion;
  }

  /** The guest can't be used any longer. */
  #fail(error: GuestError): void {
    this.#channel.fail(error);
    this.#resolveGone(error);
  }

  async #destroy(): Promise<void> {
    this.emulator.remove_listener("serial0-output-byte", this.#receive);
    this.#listeners.clear();
    if (this.#watchdog.crashed) this.emulator.v86.destroy();
    else await this.emulator.destroy();
  }

  readonly #receive = (byte: number): void => {
    this.#watchdog.receive(byte);
    this.#channel.receive(byte);
    if (this.#listeners.size === 0) return;
    // The emulator runs for milliseconds at a stretch: its bytes are passed on together when it pauses.
    if (this.#pending.length === 0) {
      queueMicrotask(() => {
        const bytes = Uint8Array.from(this.#pending);
        this.#pending = [];
        for (const listener of this.#listeners) listener(bytes);
      });
    }
    this.#pending.push(byte);
  };
}
