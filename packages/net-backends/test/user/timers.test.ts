/** The queue of all time-outs. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Timer, TimerQueue } from "../../src/user/timers.ts";
import { TestClock } from "./test-clock.ts";

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
