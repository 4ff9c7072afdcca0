/**
 * The scheduler of a v86 machine: turns of the event loop while the emulator runs.
 * @module
 */

import { report, type Scheduler } from "@virtio-ts/vm-device";
import { TurnScheduler } from "@virtio-ts/vmm-glue";
import type { V86Emulator } from "./cpu.ts";

/**
 * Runs deferred tasks between the emulator's own turns, of about 1 ms. While the emulator is stopped they wait, so that
 * a stopped machine, perhaps one being saved, does not change. Once it is destroyed they wait forever, and keep nothing
 * alive.
 */
export class MachineScheduler implements Scheduler {
  readonly #turns: TurnScheduler;
  readonly #onError: (cause: unknown) => void;
  #running: boolean;
  #asked = false;
  #waiting: (() => void)[] = [];
  #doing: (() => void)[] = [];

  constructor(emulator: V86Emulator, onError: (cause: unknown) => void) {
    this.#turns = new TurnScheduler();
    this.#onError = onError;
    this.#running = emulator.is_running();
    emulator.add_listener("emulator-stopped", () => {
      this.#running = false;
    });
    emulator.add_listener("emulator-started", () => {
      this.#running = true;
      this.#ask();
    });
  }

  defer(task: () => void): void {
    this.#waiting.push(task);
    if (this.#running) this.#ask();
  }

  #ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#turns.defer(this.#turn);
  }

  readonly #turn = (): void => {
    this.#asked = false;
    if (!this.#running) return;
    const tasks = this.#waiting;
    this.#waiting = this.#doing;
    this.#doing = tasks;
    for (let i = 0; i < tasks.length; i++) {
      try {
        tasks[i]();
      } catch (cause) {
        report(cause, this.#onError);
      }
    }
    tasks.length = 0;
  };
}
