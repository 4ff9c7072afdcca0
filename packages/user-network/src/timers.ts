/**
 * All timers of a network, in one binary heap over one alarm of the clock.
 *
 * The timers of a busy connection are postponed at each segment, so postponing costs one store: the heap learns the
 * later deadline only when the earlier one is reached.
 * @module
 */

import type { Alarm, Clock } from "./clock.ts";

/** A timer that can be set repeatedly. */
export class Timer {
  /** When it fires, by the clock, ms; `Infinity` if not set. Set it with {@link TimerQueue.set}. */
  deadline: number = Number.POSITIVE_INFINITY;
  /** The time by which the heap sorts it, never later than the deadline. */
  key = 0;
  /** Its index in the heap, -1 if it is not there. */
  place = -1;
  /** Called when the timer expires. */
  readonly fire: () => void;

  constructor(fire: () => void) {
    this.fire = fire;
  }
}

/** The timers of one network. */
export class TimerQueue {
  readonly #clock: Clock;
  /** Runs the expired timers as an event, so that their output is flushed. */
  readonly #around: (run: () => void) => void;
  readonly #heap: Timer[] = [];
  readonly #run = (): void => this.#fireDue();
  readonly #onAlarm = (): void => {
    this.#alarm = undefined;
    this.#alarmAt = Number.POSITIVE_INFINITY;
    if (!this.#closed) this.#around(this.#run);
    this.#rearm();
  };
  #alarm: Alarm | undefined;
  #alarmAt = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(clock: Clock, around: (run: () => void) => void) {
    this.#clock = clock;
    this.#around = around;
  }

  /** Sets a timer, or changes its deadline. */
  set(timer: Timer, deadline: number): void {
    if (this.#closed) return;
    timer.deadline = deadline;
    if (timer.place < 0) {
      timer.key = deadline;
      timer.place = this.#heap.length;
      this.#heap.push(timer);
      this.#up(timer.place);
    } else if (deadline < timer.key) {
      timer.key = deadline;
      this.#up(timer.place);
    }
    this.#rearm();
  }

  /** Unsets a timer. This is cheap: the timer may stay in the heap. */
  unset(timer: Timer): void {
    timer.deadline = Number.POSITIVE_INFINITY;
  }

  /** Removes a timer from the heap. */
  remove(timer: Timer): void {
    timer.deadline = Number.POSITIVE_INFINITY;
    const place = timer.place;
    if (place < 0) return;
    timer.place = -1;
    const last = this.#heap.pop()!;
    if (last === timer) return;
    last.place = place;
    this.#heap[place] = last;
    this.#up(place);
    this.#down(last.place);
  }

  /** Removes all timers; none can be set again. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#heap) timer.place = -1;
    this.#heap.length = 0;
    this.#alarm?.cancel();
    this.#alarm = undefined;
  }

  #fireDue(): void {
    const now = this.#clock.now();
    // A timer that is set to the past while firing waits for the next alarm, so this loop ends.
    for (let left = this.#heap.length; left > 0; left--) {
      const timer = this.#heap[0];
      if (timer === undefined || timer.key > now) return;
      if (timer.deadline > now && timer.deadline !== Number.POSITIVE_INFINITY) {
        timer.key = timer.deadline;
        this.#down(0);
        continue;
      }
      const due = timer.deadline <= now;
      this.remove(timer);
      if (due) timer.fire();
    }
  }

  #rearm(): void {
    const first = this.#heap[0];
    if (this.#closed || first === undefined || first.key >= this.#alarmAt) return;
    this.#alarm?.cancel();
    this.#alarmAt = first.key;
    this.#alarm = this.#clock.schedule(first.key, this.#onAlarm);
  }

  #up(from: number): void {
    const heap = this.#heap;
    const timer = heap[from];
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent].key <= timer.key) break;
      heap[at] = heap[parent];
      heap[at].place = at;
      at = parent;
    }
    heap[at] = timer;
    timer.place = at;
  }

  #down(from: number): void {
    const heap = this.#heap;
    const timer = heap[from];
    let at = from;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1].key < heap[child].key) child++;
      if (heap[child].key >= timer.key) break;
      heap[at] = heap[child];
      heap[at].place = at;
      at = child;
    }
    heap[at] = timer;
    timer.place = at;
  }
}
