/**
 * The default scheduler of a machine: turns of the event loop, in Node and in a browser.
 * @module
 */

import type { Scheduler } from "@virtio-ts/vm-device";
import { report, reportToHost } from "@virtio-ts/vm-device";

/** The parts of the host's event loop in use; none of them belongs to the language. */
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

/** Options of a {@link TurnScheduler}. */
export interface TurnSchedulerOptions {
  /** Runs a function in a later turn of the event loop; detected by default. */
  readonly nextTurn?: (run: () => void) => void;
  /** Called with what a task threw. By default the host shows it as an uncaught error, and continues. */
  readonly onError?: (cause: unknown) => void;
}

/**
 * Runs deferred tasks in turns. A turn runs the tasks deferred before it began, in order; tasks that these defer wait
 * for the next turn, after I/O and timers. So a device with endless work starves nothing else. An idle scheduler
 * schedules nothing, and keeps no process alive.
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

  /** Pending tasks. */
  get pending(): number {
    return this.#waiting.length;
  }

  defer(task: () => void): void {
    // The first task requests a turn; later ones share it.
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
 * The host's way to run a function in a later turn: `setImmediate` if it exists; in a browser, whose timers wait 4 ms,
 * a message to itself; otherwise a timer.
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
