/**
 * A device that knows what the state machine may ask of it, and when; and that takes its time, or fails, as it is told.
 */
import type { ActivationContext, ActiveQueue, VirtioDevice } from "../../src/index.ts";
import { later } from "./rig.ts";

/** How the next steps of a {@link StrictDevice} go. */
export type Mood = "at once" | "later" | "throws";

type Life = "off" | "on" | "suspending" | "suspended" | "resuming";

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
  /** How often it was suspended. */
  naps = 0;
  /** How often a queue of it was reset. */
  queueResets = 0;
  #life: Life = "off";
  #queues = new Set<number>();
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

  activate(context: ActivationContext): void {
    this.#expect("activate", "off");
    this.#life = "on";
    this.#queues.clear();
    this.context = context;
    this.lives++;
    if (this.mood === "throws") throw new Error("activate");
  }

  queueEnabled({ index }: ActiveQueue): void {
    this.#expect("queueEnabled", "on");
    if (this.#queues.has(index)) this.broken.push(`queue ${index} enabled twice`);
    if (this.mood === "throws") throw new Error("queueEnabled");
    this.#queues.add(index);
  }

  queueReset(index: number): void | Promise<void> {
    this.#expect("queueReset", "on", "suspending", "suspended", "resuming");
    if (!this.#queues.delete(index)) this.broken.push(`queue ${index} reset, which was not enabled`);
    this.queueResets++;
    return this.#step(() => {});
  }

  queueNotify(index: number): void {
    this.#expect("queueNotify", "on");
    if (!this.#queues.has(index)) this.broken.push(`queue ${index} notified, which was not enabled`);
    if (this.mood === "throws") throw new Error("queueNotify");
  }

  suspend(): void | Promise<void> {
    this.#expect("suspend", "on");
    this.#life = "suspending";
    this.naps++;
    return this.#step(() => {
      this.#life = "suspended";
    });
  }

  resume(): void | Promise<void> {
    this.#expect("resume", "suspended");
    this.#life = "resuming";
    return this.#step(() => {
      this.#life = "on";
    });
  }

  reset(): void | Promise<void> {
    this.#life = "off";
    this.#pending = [];
    return this.#step(() => {});
  }

  #expect(call: string, ...lives: readonly Life[]): void {
    if (!lives.includes(this.#life)) this.broken.push(`${call} while ${this.#life}`);
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
