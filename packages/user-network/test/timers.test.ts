/** The queue of all time-outs. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Timer, TimerQueue } from "../src/timers.ts";
import { TestClock } from "./support/test-clock.ts";

test("timers fire when they are due, however they were set, put off, unset and removed", () => {
  const step = fc.record({ timer: fc.nat(9), act: fc.constantFrom("set", "unset", "remove", "pass"), ms: fc.nat(100) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const clock = new TestClock();
      const queue = new TimerQueue(clock, (run) => run());
      const fired: string[] = [];
      const expected: string[] = [];
      const due = new Array<number>(10).fill(Number.POSITIVE_INFINITY);
      const timers = due.map((_, i) => new Timer(() => fired.push(`${i}@${clock.now()}`)));
      for (const { timer, act, ms } of steps) {
        if (act === "set") {
          due[timer] = clock.now() + ms;
          queue.set(timers[timer], due[timer]);
        } else if (act === "pass") {
          const end = clock.now() + ms;
          for (let at = clock.now(); at <= end; at++) {
            for (let i = 0; i < 10; i++) {
              if (due[i] > at) continue;
              expected.push(`${i}@${at}`);
              due[i] = Number.POSITIVE_INFINITY;
            }
          }
          clock.advance(ms);
        } else {
          due[timer] = Number.POSITIVE_INFINITY;
          if (act === "unset") queue.unset(timers[timer]);
          else queue.remove(timers[timer]);
        }
      }
      expect(fired.sort()).toEqual(expected.sort());
      queue.close();
      expect(clock.pending).toBe(0);
    }),
  );
});

test("a timer that sets itself to the past waits for the next turn", () => {
  const clock = new TestClock();
  const queue = new TimerQueue(clock, (run) => run());
  let fired = 0;
  const timer: Timer = new Timer(() => {
    if (++fired < 5) queue.set(timer, clock.now() - 1);
  });
  queue.set(timer, clock.now());
  clock.advance(1);
  expect(fired).toBe(5);
});

test("an alarm that comes when all is closed, for the clock did not hear that it is cancelled, does nothing", () => {
  let alarm: () => void = () => {};
  let rounds = 0;
  const clock = {
    now: () => 0,
    schedule: (_at: number, fire: () => void) => {
      alarm = fire;
      return { cancel: () => {} };
    },
  };
  const queue = new TimerQueue(clock, () => rounds++);
  queue.set(new Timer(() => {}), 10);
  queue.close();
  alarm();
  expect(rounds).toBe(0);
});

test.each([
  // In the order of the heap: the last one takes the place of the one removed, and belongs above the one over it.
  [[1, 10, 2, 11, 12, 3, 4], 11],
  // And here it belongs below.
  [[1, 2, 3, 4, 5, 6, 20], 2],
  [[1, 2, 3, 4, 5, 6, 20], 1],
])("of timers set for %j all but the removed %i fire when they are due", (deadlines, removed) => {
  const clock = new TestClock();
  const queue = new TimerQueue(clock, (run) => run());
  const start = clock.now();
  const fired: number[] = [];
  const timers = new Map<number, Timer>();
  for (const deadline of deadlines) {
    const timer = new Timer(() => fired.push(clock.now() - start));
    queue.set(timer, start + deadline);
    timers.set(deadline, timer);
  }
  queue.remove(timers.get(removed)!);
  clock.advance(30);
  expect(fired).toEqual(deadlines.filter((deadline) => deadline !== removed).sort((a, b) => a - b));
});
