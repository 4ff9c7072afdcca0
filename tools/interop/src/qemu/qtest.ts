/**
 * QEMU's test protocol: the registers of a machine without a guest in it, read and written from this process.
 * One line a command, over a pair of pipes, so that an access is a plain call: some 20 microseconds.
 * @module
 */

import { readSync, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { DriverError, type RegisterAccess } from "@virtio-ts/virtio-driver";

const CHUNK = 1 << 16;
const SUFFIX = { 1: "b", 2: "w", 4: "l" } as const;

/** A link to one QEMU, whose `-qtest` is `pipe:PATH`. */
export class QtestLink {
  /** I/O ports (x86 only). */
  readonly ports: RegisterAccess = {
    read: (address, width) => this.#number(`in${SUFFIX[width]} ${address}`),
    write: (address, width, value) => void this.#command(`out${SUFFIX[width]} ${address} ${value >>> 0}`),
  };
  /** Memory-mapped registers, and memory. */
  readonly mmio: RegisterAccess = {
    read: (address, width) => this.#number(`read${SUFFIX[width]} ${address}`),
    write: (address, width, value) => void this.#command(`write${SUFFIX[width]} ${address} ${value >>> 0}`),
  };
  /** Told of each change of a line that leads into the controller {@link intercept} named, between commands. */
  onLine: (line: number, up: boolean) => void = () => {};
  readonly #to: FileHandle;
  readonly #from: FileHandle;
  readonly #chunk = Buffer.alloc(CHUNK);
  #pending = "";

  private constructor(to: FileHandle, from: FileHandle) {
    this.#to = to;
    this.#from = from;
  }

  /**
   * Opens the pipes `path.in` and `path.out`, and waits until QEMU has them too.
   * @param failed rejects if it never will
   */
  static async open(path: string, failed: Promise<never>): Promise<QtestLink> {
    const opened = Promise.all([open(`${path}.in`, "w"), open(`${path}.out`, "r")]);
    try {
      const [to, from] = await Promise.race([opened, failed]);
      return new QtestLink(to, from);
    } catch (cause) {
      // A pipe is opened once both its ends are: with QEMU gone, by us.
      const ends = await Promise.all([open(`${path}.in`, "r+"), open(`${path}.out`, "r+")]);
      await Promise.all([...ends, ...(await opened)].map((end) => end.close()));
      throw cause;
    }
  }

  /** Wants the interrupt lines that lead into the controller at `path` (in QEMU's object tree). */
  intercept(path: string): void {
    this.#command(`irq_intercept_in ${path}`);
  }

  /** Hears what interrupts have come meanwhile. */
  poll(): void {
    this.#command("endianness");
  }

  /** Ends the link. */
  async close(): Promise<void> {
    await Promise.all([this.#to.close(), this.#from.close()]);
  }

  #number(command: string): number {
    return Number(this.#command(command)) >>> 0;
  }

  /** @returns what follows `OK` */
  #command(command: string): string {
    try {
      writeSync(this.#to.fd, `${command}\n`);
    } catch (cause) {
      throw new DriverError("device-gone", `QEMU took no command: ${command}`, { cause });
    }
    const changes: (readonly [line: number, up: boolean])[] = [];
    for (;;) {
      const line = this.#line(command);
      const [word, direction, number] = line.split(" ");
      if (word === "IRQ") {
        changes.push([Number(number), direction === "raise"]);
        continue;
      }
      // Only now that the answer is here: who is told may send commands too.
      for (const change of changes) this.onLine(...change);
      if (word !== "OK") throw new DriverError("refused", `${command}: ${line}`);
      return line.slice(3);
    }
  }

  #line(command: string): string {
    let end = this.#pending.indexOf("\n");
    while (end < 0) {
      const length = readSync(this.#from.fd, this.#chunk);
      if (length === 0) throw new DriverError("device-gone", `QEMU ended before it answered: ${command}`);
      this.#pending += this.#chunk.toString("latin1", 0, length);
      end = this.#pending.indexOf("\n");
    }
    const line = this.#pending.slice(0, end);
    this.#pending = this.#pending.slice(end + 1);
    return line;
  }
}
