import { afterEach, describe, expect, it, vi } from "vitest";
import { TurnScheduler } from "../src/index.ts";

/** A scheduler whose turns the test takes. */
function manual(onError?: (cause: unknown) => void): { scheduler: TurnScheduler; turns: (() => void)[] } {
  const turns: (() => void)[] = [];
  const options = { nextTurn: (run: () => void) => void turns.push(run) };
  return { scheduler: new TurnScheduler(onError === undefined ? options : { ...options, onError }), turns };
}

describe("the scheduler", () => {
  afterEach(() => void vi.unstubAllGlobals());

  it("runs tasks in the order in which they were deferred, in one later turn", async () => {
    const scheduler = new TurnScheduler();
    const seen: number[] = [];
    for (let i = 0; i < 5; i++) scheduler.defer(() => seen.push(i));
    expect(seen).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(scheduler.turns).toBe(1);
  });

  it("lets timers and I/O have their turn between two of a task that always goes on", async () => {
    const scheduler = new TurnScheduler();
    let rounds = 0;
    let stop = false;
    const again = (): void => {
      rounds++;
      if (!stop) scheduler.defer(again);
    };
    scheduler.defer(again);
    await new Promise((resolve) => setTimeout(resolve, 5));
    stop = true;
    expect(rounds).toBeGreaterThan(1);
  });

  it("leaves to the next turn what a task defers", () => {
    const { scheduler, turns } = manual();
    const seen: string[] = [];
    scheduler.defer(() => {
      seen.push("a");
      scheduler.defer(() => seen.push("c"));
    });
    scheduler.defer(() => seen.push("b"));
    turns.shift()?.();
    expect(seen).toEqual(["a", "b"]);
    expect(scheduler.pending).toBe(1);
    turns.shift()?.();
    expect(seen).toEqual(["a", "b", "c"]);
    expect(turns).toEqual([]);
  });

  it("reports what a task throws, and goes on with the others", () => {
    const causes: unknown[] = [];
    const { scheduler, turns } = manual((cause) => causes.push(cause));
    let ran = false;
    const broken = new Error("broken");
    scheduler.defer(() => {
      throw broken;
    });
    scheduler.defer(() => {
      ran = true;
    });
    turns.shift()?.();
    expect([ran, causes, scheduler.errors]).toEqual([true, [broken], 1]);
  });

  it.each([
    ["timers, where there are no messages", ["setImmediate", "MessageChannel"]],
    ["promises, where there are not even timers", ["setImmediate", "MessageChannel", "setTimeout"]],
  ])("uses %s", async (_, missing) => {
    for (const name of missing) vi.stubGlobal(name, undefined);
    const scheduler = new TurnScheduler();
    vi.unstubAllGlobals();
    const seen: number[] = [];
    for (let i = 0; i < 2; i++) scheduler.defer(() => seen.push(i));
    expect(seen).toEqual([]);
    await vi.waitFor(() => expect(seen).toEqual([0, 1]));
    expect([scheduler.turns, scheduler.errors]).toEqual([1, 0]);
  });

  it("needs no port of messages that can be unreferenced: a browser's can't", () => {
    const port = { onmessage: null as (() => void) | null };
    const posted: (() => void)[] = [];
    class Channel {
      readonly port1 = port;
      readonly port2 = { postMessage: () => void posted.push(() => port.onmessage?.()) };
    }
    vi.stubGlobal("setImmediate", undefined);
    vi.stubGlobal("MessageChannel", Channel);
    const scheduler = new TurnScheduler();
    let done = 0;
    scheduler.defer(() => done++);
    posted.shift()?.();
    expect([done, posted.length]).toEqual([1, 0]);
  });

  it("uses messages to itself in a browser, where there is no setImmediate, and keeps no process alive", async () => {
    let unreferenced = 0;
    class Channel extends MessageChannel {
      constructor() {
        super();
        const { port1 } = this;
        const unref = port1.unref.bind(port1);
        port1.unref = () => {
          unreferenced++;
          unref();
        };
      }
    }
    vi.stubGlobal("setImmediate", undefined);
    vi.stubGlobal("MessageChannel", Channel);
    const scheduler = new TurnScheduler();
    const seen: string[] = [];
    scheduler.defer(() => {
      seen.push("a");
      scheduler.defer(() => seen.push("b"));
    });
    expect(seen).toEqual([]);
    await vi.waitFor(() => expect(seen).toEqual(["a", "b"]));
    expect([scheduler.turns, unreferenced]).toEqual([2, 1]);
  });
});
