/**
 * The host's end of the command channel over the guest's serial line; the other end is the agent in
 * `guest-scripts.ts`. What the agent says is framed by bytes 0x01; all that is between a begin frame and its end
 * frame is the command's output, byte by byte.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { GuestError, throwIfAborted } from "./errors.ts";

/** How a command ended. */
export interface ExecResult {
  /** Exit status. */
  readonly status: number;
  /** Standard output and standard error in the order in which they came, decoded as UTF-8. */
  readonly output: string;
}

/** Options of a command. */
export interface ExecOptions {
  /** After this many milliseconds the command is interrupted. Default: 60,000. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Is given the output while it comes. */
  readonly onOutput?: ((bytes: Uint8Array) => void) | undefined;
}

const FRAME = 0x01;
const LONGEST_FRAME = 128;
const CTRL_C = 0x03;
const CTRL_BACKSLASH = 0x1c;
const DEFAULT_TIMEOUT_MS = 60_000;
/** How long an interrupted command has to end. */
const INTERRUPT_MS = 3_000;

interface Running {
  readonly id: string;
  readonly onOutput: ((bytes: Uint8Array) => void) | undefined;
  readonly resolve: (result: ExecResult) => void;
  readonly reject: (error: GuestError) => void;
  begun: boolean;
}

/** One command at a time; further ones wait for their turn. */
export class CommandChannel {
  /** The agent has said its first word; the value is what `uname -r` prints. */
  readonly ready: Promise<string>;

  readonly #send: (bytes: Uint8Array) => void;
  readonly #session: string = randomBytes(4).toString("hex");
  #counter = 0;
  #buffer: Uint8Array = new Uint8Array(1 << 16);
  #length = 0;
  /** Where a frame may have begun, or -1. */
  #frameStart = -1;
  /** Output before this offset was given to `onOutput`. */
  #reported = 0;
  #reportScheduled = false;
  #running: Running | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #onHang: (error: GuestError) => void;
  #failure: GuestError | undefined;
  #resolveReady!: (version: string) => void;
  #rejectReady!: (error: GuestError) => void;

  /**
   * @param send puts bytes on the guest's serial line
   * @param onHang is told when the line is blocked for good by a command that nothing ends
   */
  constructor(send: (bytes: Uint8Array) => void, onHang: (error: GuestError) => void) {
    this.#send = send;
    this.#onHang = onHang;
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    // Whoever waits for it sees the error; nobody has to.
    this.ready.catch(() => {});
  }

  /** Takes one byte that the guest sent. */
  receive(byte: number): void {
    if (this.#length === this.#buffer.length) this.#grow();
    this.#buffer[this.#length++] = byte;
    if (byte === FRAME) this.#endOfFrame();
    else if (this.#frameStart >= 0 && this.#length - this.#frameStart > LONGEST_FRAME) this.#frameStart = -1;
    if (this.#running?.begun && this.#running.onOutput && !this.#reportScheduled) {
      this.#reportScheduled = true;
      queueMicrotask(() => this.#report());
    }
    if (!this.#running && this.#frameStart < 0) this.#drop();
  }

  /**
   * Runs a shell command in the guest. It has no input, and what it starts in the background must redirect its output.
   *
   * @throws GuestError `EXEC_TIMEOUT`, `GUEST_HANGS`, `ABORTED`, or why the guest is gone
   */
  exec(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    const mine = this.#turn.then(() => this.#exec(command, options));
    this.#turn = mine.then(
      (run) => run.over,
      () => undefined,
    );
    return mine.then((run) => run.result);
  }

  /** The guest is gone: everything that waits, and everything asked later, fails with `error`. */
  fail(error: GuestError): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#rejectReady(error);
    this.#running?.reject(error);
    this.#running = undefined;
  }

  /** Starts a command. `over` settles when the line is free again, which may be later than `result`. */
  #exec(command: string, options: ExecOptions): { result: Promise<ExecResult>; over: Promise<unknown> } {
    if (this.#failure) throw this.#failure;
    throwIfAborted(options.signal);
    const id = `${this.#session}-${++this.#counter}`;
    this.#drop();
    const ended = new Promise<ExecResult>((resolve, reject) => {
      this.#running = { id, onOutput: options.onOutput, resolve, reject, begun: false };
    });
    this.#send(new TextEncoder().encode(`${id} ${encodeForPrintf(command)}\n`));
    return { result: this.#supervise(command, ended, options), over: ended.catch(() => {}) };
  }

  /** Waits for the end of a command and interrupts it when it takes too long or the caller gives up. */
  #supervise(command: string, ended: Promise<ExecResult>, options: ExecOptions): Promise<ExecResult> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const what = describeCommand(command);
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout;
      let late: GuestError | undefined;
      const interrupt = (error: GuestError): void => {
        late = error;
        clearTimeout(timer);
        this.#send(Uint8Array.of(CTRL_C));
        timer = setTimeout(() => {
          this.#send(Uint8Array.of(CTRL_C, CTRL_BACKSLASH));
          timer = setTimeout(() => {
            this.#onHang(new GuestError("GUEST_HANGS", `${what} can't be interrupted: boot the guest again`));
          }, INTERRUPT_MS);
        }, INTERRUPT_MS);
      };
      const abort = (): void => {
        const error = new GuestError("ABORTED", `${what} was aborted by the caller`, { cause: options.signal?.reason });
        reject(error);
        interrupt(error);
      };
      timer = setTimeout(() => {
        const message = `${what} took more than ${timeoutMs} ms and was interrupted: raise its timeoutMs`;
        interrupt(new GuestError("EXEC_TIMEOUT", message));
      }, timeoutMs);
      options.signal?.addEventListener("abort", abort, { once: true });
      const done = (): void => {
        clearTimeout(timer);
        options.signal?.removeEventListener("abort", abort);
      };
      ended.then(
        (result) => {
          done();
          if (late) reject(late);
          else resolve(result);
        },
        (error) => {
          done();
          reject(error);
        },
      );
    });
  }

  /** A byte 0x01 came: the end of a frame, or else the beginning of one. */
  #endOfFrame(): void {
    const end = this.#length;
    const start = this.#frameStart;
    this.#frameStart = end - 1;
    if (start < 0) return;
    const [word, argument, status] = text(this.#buffer.subarray(start + 1, end - 1)).split(" ");
    const running = this.#running;
    if (word === "ready" && argument) {
      this.#drop();
      this.#resolveReady(argument);
      if (!running) return;
      this.#running = undefined;
      running.reject(
        new GuestError("COMMAND_FAILED", "a command killed the shell that ran it: the guest has a new one"),
      );
    } else if (word === "begin" && running && argument === running.id) {
      this.#drop();
      running.begun = true;
    } else if (word === "end" && running && argument === running.id) {
      this.#length = start;
      this.#frameStart = -1;
      this.#report();
      const output = text(this.#buffer.subarray(0, start));
      this.#drop();
      this.#running = undefined;
      running.resolve({ status: Number(status), output });
    }
  }

  #report(): void {
    this.#reportScheduled = false;
    const end = this.#frameStart >= 0 ? this.#frameStart : this.#length;
    if (!this.#running?.begun || end <= this.#reported) return;
    const bytes = this.#buffer.slice(this.#reported, end);
    this.#reported = end;
    this.#running.onOutput?.(bytes);
  }

  #drop(): void {
    this.#length = 0;
    this.#frameStart = -1;
    this.#reported = 0;
  }

  #grow(): void {
    const larger = new Uint8Array(this.#buffer.length * 2);
    larger.set(this.#buffer);
    this.#buffer = larger;
  }
}

/** Names a command in a message of one line. */
export function describeCommand(command: string): string {
  const line = command.replace(/\s+/g, " ").trim();
  return `the guest's command "${line.length > 80 ? `${line.slice(0, 80)}...` : line}"`;
}

/** Makes one line of a command, such that `printf %b` in the guest gives it back. */
export function encodeForPrintf(command: string): string {
  return command.replace(/[\\\p{Cc}]/gu, (character) => {
    if (character === "\\") return "\\\\";
    const code = character.charCodeAt(0);
    // Those above ASCII are several bytes in UTF-8, none of which means anything to the line.
    return code > 0x7f ? character : `\\0${code.toString(8).padStart(3, "0")}`;
  });
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
