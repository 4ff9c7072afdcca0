/**
 * The scheduler a machine gets when it brings none: turns of the event loop, in Node and in a browser.
 * @module
 */

import type { Scheduler } from "@virtio-ts/vm-device";
import { report, reportToHost } from "@virtio-ts/vm-device";

/** What of the host's event loop is used; none of it is part of the language. */
interface EventLoop {
  setImmediate?: (task: () => void) => unknown;
  MessageChannel?: new () => { port1: Port; port2: Port };
  setTimeout?: (task: () => void, ms: number) => unknown;
}

interface Port {
  onmessage: (() => void) | null;
  postMessage(message: null): void;
  unref?(): void;
}

/** What a {@link TurnScheduler} is made with. */
export interface TurnSchedulerOptions {
  /** Runs a function in a later turn of the event loop; found by itself when left out. */
  readonly nextTurn?: (run: () => void) => void;
  /** Told of what a task threw. By default it goes where the host shows uncaught errors, without ending it. */
  readonly onError?: (cause: unknown) => void;
}

/**
 * Runs deferred work in turns. A turn runs what was deferred before it began, in order; what that work defers
 * in its turn waits for the next, after I/O and timers had theirs. So a device that always has more to do
 * starves nobody. Nothing is scheduled while there is nothing to do: an idle scheduler keeps no process alive.
 */
export class TurnScheduler implements Scheduler {
  /** Turns taken. */
  turns = 0;
  /** Tasks that threw. */
  errors = 0;
  readonly #nextTurn: (run: () => void) => void;
  readonly #onError: (cause: unknown) => void;
  #waiting: (() => void)[] = [];
  #running: (() => void)[] = [];

  constructor(options: TurnSchedulerOptions = {}) {
    this.#nextTurn = options.nextTurn ?? hostTurns(globalThis as unknown as EventLoop);
    this.#onError = options.onError ?? reportToHost;
  }

  /** Tasks that wait for their turn. */
  get pending(): number {
    return this.#waiting.length;
  }

  defer(task: () => void): void {
    // The first task asks for a turn; those that follow share it.
    if (this.#waiting.push(task) === 1) this.#nextTurn(this.#turn);
  }

  readonly #turn = (): void => {
    this.turns++;
    const tasks = this.#waiting;
    this.#waiting = this.#running;
    this.#running = tasks;
    for (let i = 0; i < tasks.length; i++) {
      try {
        tasks[i]();
      } catch (cause) {
        this.errors++;
        report(cause, this.#onError);
      }
    }
    tasks.length = 0;
  };
}

/**
 * The host's way to run something in a later turn: `setImmediate` where there is one; a message to oneself in a
 * browser, whose timers wait 4 ms; a timer where there is neither.
 */
function hostTurns(host: EventLoop): (run: () => void) => void {
  const { setImmediate, MessageChannel, setTimeout } = host;
  if (setImmediate !== undefined) return (run) => void setImmediate(run);
  if (MessageChannel !== undefined) return messageTurns(MessageChannel);
  if (setTimeout !== undefined) return (run) => void setTimeout(run, 0);
  return (run) => void Promise.resolve().then(run);
}

function messageTurns(MessageChannel: new () => { port1: Port; port2: Port }): (run: () => void) => void {
  const { port1, port2 } = new MessageChannel();
  const runs: (() => void)[] = [];
  port1.onmessage = () => runs.shift()?.();
  port1.unref?.();
  return (run) => {
    runs.push(run);
    port2.postMessage(null);
  };
}
