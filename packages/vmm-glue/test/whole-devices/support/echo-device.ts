/**
 * A device of two queues that writes into each chain what it reads from it: on the spot, by a worker, or late and in any
 * order, when it is told to.
 */
import { VIRTIO_ID_ENTROPY } from "@virtio-ts/virtio-bindings";
import { type ActivationContext, type ActiveQueue, QueueWorker, type VirtioDevice } from "@virtio-ts/virtio-device";
import { ChainBurst } from "@virtio-ts/virtio-queue";
import type { Random } from "./port.ts";

/** The longest answer, bytes. */
export const ANSWER_MAX = 4096;
const QUEUES = [0, 1];
/** Chains that a late device holds at most. */
const HELD_MAX = 12;

interface Held {
  readonly active: ActiveQueue;
  readonly burst: ChainBurst;
}

export class EchoDevice implements VirtioDevice {
  readonly deviceType = VIRTIO_ID_ENTROPY;
  readonly queueMaxSizes: readonly number[];
  readonly #late: boolean;
  readonly #bytes = new Uint8Array(ANSWER_MAX);
  #workers: QueueWorker[] = [];
  #context: ActivationContext | null = null;
  #held: Held[] = [];
  /** Chains of queues that are gone: it gives them back all the same, which must have no effect. */
  #stale: Held[] = [];

  constructor(size: number, late: boolean) {
    this.queueMaxSizes = [size, size];
    this.#late = late;
  }

  activate(context: ActivationContext): void {
    this.#context = context;
    this.#workers = QUEUES.map((index) => new QueueWorker(context, index, (burst, i) => this.#answer(burst, i)));
  }

  queueNotify(index: number): void {
    const active = this.#context?.queues[index];
    if (!this.#late) this.#workers[index].run();
    else if (active !== null && active !== undefined) this.#take(active);
  }

  stopQueue(index: number): void {
    const held = this.#held.filter(({ active }) => active.index === index);
    this.#held = this.#held.filter(({ active }) => active.index !== index);
    for (const each of held) this.#give(each);
    this.#stale.push(...held);
  }

  reset(): void {
    this.#workers = [];
    this.#stale.push(...this.#held.splice(0));
    this.#context = null;
  }

  save(): null {
    this.completeAll();
    return null;
  }

  restore(): void {}

  /** Answers one chain that it holds. */
  complete(random: Random): void {
    for (const { active, burst } of this.#stale.splice(0)) {
      active.queue.push(burst.heads[0], 0);
      if (active.queue.flush()) active.notifier.notify();
    }
    if (this.#held.length === 0 || this.#context?.resting === true) return;
    const [held] = this.#held.splice(random(this.#held.length), 1);
    this.#give(held);
    this.#take(held.active);
  }

  completeAll(): void {
    for (const held of this.#held.splice(0)) this.#give(held);
  }

  #take(active: ActiveQueue): void {
    while (this.#held.length < HELD_MAX) {
      const burst = new ChainBurst((this.#context as ActivationContext).memory);
      if (active.queue.pop(burst, 1) !== 1) return;
      this.#held.push({ active, burst });
    }
  }

  #give({ active, burst }: Held): void {
    active.queue.push(burst.heads[0], this.#answer(burst, 0));
    if (active.queue.flush()) active.notifier.notify();
  }

  #answer(burst: ChainBurst, i: number): number {
    const length = burst.copyOut(i, 0, this.#bytes, 0, ANSWER_MAX);
    return burst.copyIn(i, 0, this.#bytes, 0, length);
  }
}
