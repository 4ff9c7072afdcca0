/**
 * QEMU's machine protocol: what QEMU itself says about its machine. JSON, a line each.
 * @module
 */

import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";

interface Answer {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

/** A connection to one QEMU, whose `-qmp` is `unix:PATH,server=on,wait=off`. Commands are answered in their order. */
export class Qmp {
  readonly #socket: Socket;
  readonly #answers: AsyncIterator<Answer>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#answers = answers(socket);
  }

  /** Connects, and leaves the negotiation of capabilities behind. */
  static async connect(path: string): Promise<Qmp> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve).once("error", reject);
    });
    const qmp = new Qmp(socket);
    await qmp.execute("qmp_capabilities");
    return qmp;
  }

  /** Executes a command. @returns what QEMU returns; the caller knows its shape */
  async execute<T = unknown>(command: string, parameters: object = {}): Promise<T> {
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: parameters })}\n`);
    const { value } = await this.#answers.next();
    const answer = value as Answer | undefined;
    if (answer?.error !== undefined) throw new Error(`${command}: ${answer.error.desc}`);
    if (answer === undefined) throw new Error(`${command}: QEMU has ended`);
    return answer.return as T;
  }

  /** Ends the connection. */
  close(): void {
    this.#socket.destroy();
  }
}

/** Everything QEMU says but its greeting and events. */
async function* answers(socket: Socket): AsyncGenerator<Answer> {
  for await (const line of createInterface({ input: socket })) {
    const message = JSON.parse(line) as Answer;
    if ("return" in message || "error" in message) yield message;
  }
}
