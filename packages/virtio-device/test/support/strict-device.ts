/**
 * A device that knows what the state machine may ask of it, and when; and that takes its time, or fails, as it is told.
 */
import type { ActivationContext, ActiveQueue, VirtioDevice } from "../../src/index.ts";
import { later } from "./rig.ts";

/** How the next steps of a {@link StrictDevice} go. */
export type Mood = "at once" | "later" | "throws";

type Life = "off" | "activating" | "on";
type QueueLife = "starting" | "started" | "stopping" | "stopped";

export class StrictDevice implements VirtioDevice {
  readonly deviceType = 1;
  readonly queueMaxSizes: readonly number[] = [16, 16];
  readonly controlQueueMaxSize = 4;
  readonly features = 0x21n;
  readonly configSize = 8;
  readonly config = new Uint8Array(8);
  /** What should not have been asked. */
  readonly broken: string[] = [];
  context: ActivationContext | null = null;
  mood: Mood = "at once";
  /** How often it went live. */
  lives = 0;
  /** How often a queue of it was stopped for a while. */
  naps = 0;
  /** How often a queue of it was reset. */
  queueResets = 0;
  #life: Life = "off";
  readonly #queues = new Map<number, QueueLife>();
  #pending: { settle: (fails: boolean) => void }[] = [];

  get life(): Life {
    return this.#life;
  }

  /** Steps it is not done with. */
  get pending(): number {
    return this.#pending.length;
  }

  /** Comes to the end of its oldest pending step. */
  settle(fails: boolean): void {
    this.#pending.shift()?.settle(fails);
  }

  readConfig(offset: number, data: Uint8Array): null {
    for (let i = 0; i < data.length; i++) data[i] = this.config[offset + i];
    return null;
  }

  writeConfig(offset: number, data: Uint8Array): null {
    this.config.set(data, offset);
    return null;
  }

  activate(context: ActivationContext): void | Promise<void> {
    if (this.#life !== "off") this.broken.push(`activate while ${this.#life}`);
    this.#life = "activating";
    this.#queues.clear();
    this.context = context;
    this.lives++;
    return this.#step(() => {
      this.#life = "on";
    });
  }

  startQueue({ index }: ActiveQueue): void | Promise<void> {
    this.#expect("startQueue", index, undefined, "stopped");
    if (this.mood === "throws") throw new Error("startQueue"); // as if it had not been asked
    this.#queues.set(index, "starting");
    return this.#step(() => void this.#queues.set(index, "started"));
  }

  stopQueue(index: number): void | Promise<void> {
    this.#expect("stopQueue", index, "started");
    this.#queues.set(index, "stopping");
    if (this.context?.queues[index] === null) this.queueResets++;
    else this.naps++;
    return this.#step(() => void this.#queues.set(index, "stopped"));
  }

  queueNotify(index: number): void {
    this.#expect("queueNotify", index, "started");
    if (this.mood === "throws") throw new Error("queueNotify");
  }

  reset(): void | Promise<void> {
    this.#life = "off";
    this.#pending = [];
    return this.#step(() => {});
  }

  #expect(call: string, index: number, ...lives: readonly (QueueLife | undefined)[]): void {
    const life = this.#queues.get(index);
    if (this.#life !== "on") this.broken.push(`${call} while the device is ${this.#life}`);
    if (!lives.includes(life)) this.broken.push(`${call} while queue ${index} is ${life}`);
  }

  #step(done: () => void): void | Promise<void> {
    if (this.mood === "throws") throw new Error("a step");
    if (this.mood === "at once") {
      done();
      return;
    }
    const { promise, done: resolve, fail } = later();
    const settle = (fails: boolean): void => {
      if (fails) {
        fail(new Error("a step"));
      } else {
        done();
        resolve();
      }
    };
    this.#pending.push({ settle });
    return promise;
  }
}
