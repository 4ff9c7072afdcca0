/** A clock that stands still until it is advanced, and random numbers that are the same in each run. */
import type { Alarm, Clock, Random } from "../../src/index.ts";

export class TestClock implements Clock {
  time = 1000;
  #alarms: { at: number; fire: () => void }[] = [];

  now(): number {
    return this.time;
  }

  schedule(at: number, fire: () => void): Alarm {
    const alarm = { at, fire };
    this.#alarms.push(alarm);
    return {
      cancel: () => {
        this.#alarms = this.#alarms.filter((other) => other !== alarm);
      },
    };
  }

  /** Alarms that are set. */
  get pending(): number {
    return this.#alarms.length;
  }

  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      let next: { at: number; fire: () => void } | undefined;
      for (const alarm of this.#alarms) if (next === undefined || alarm.at < next.at) next = alarm;
      if (next === undefined || next.at > end) break;
      this.#alarms = this.#alarms.filter((other) => other !== next);
      this.time = Math.max(this.time, next.at);
      next.fire();
    }
    this.time = end;
  }
}

/** mulberry32. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}
