/** Tables with a limit: who gives way, who expires, and that all of it is counted and told. */
import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BoundedTable, type BoundedTableOptions } from "../src/bounded-table.ts";
import { readOptions } from "../src/config.ts";
import { Place, Places } from "../src/places.ts";
import { Stack } from "../src/stack.ts";
import type { UserNetworkEvent } from "../src/trace.ts";
import { MemoryHost } from "./support/memory-host.ts";
import { seeded, TestClock } from "./support/test-clock.ts";

interface Bench {
  clock: TestClock;
  stack: Stack;
  table: BoundedTable<string, number>;
  /** `key why`, in the order they ended. */
  ended: string[];
  /** Does something as an event of the network. */
  act(run: () => void): void;
}

function bench(
  options: Partial<BoundedTableOptions<string, number>> & { trace?: (event: UserNetworkEvent) => void },
): Bench {
  const { trace, ...rest } = options;
  const clock = new TestClock();
  const config = readOptions(trace === undefined ? {} : { trace });
  const stack = new Stack(
    config,
    new MemoryHost(),
    clock,
    seeded(1),
    () => {},
    () => {},
  );
  const ended: string[] = [];
  const table = new BoundedTable<string, number>(stack, {
    name: "tcp",
    limit: 3,
    ended: (_, key, why) => ended.push(`${key} ${why}`),
    ...rest,
  });
  const act = (run: () => void): void => stack.event(run);
  return { clock, stack, table, ended, act };
}

describe("a full table", () => {
  test("lets the entry go that was not used for longest", () => {
    const { table, ended, stack } = bench({});
    for (const key of ["a", "b", "c"]) table.set(key, 1);
    expect(table.use("a")).toBe(1);
    expect(table.get("b")).toBe(1); // looking is no use
    table.set("d", 1);
    table.set("e", 1);
    expect(ended).toEqual(["b full", "c full"]);
    expect([table.size, table.get("a"), table.get("b")]).toEqual([3, 1, undefined]);
    expect(stack.counters.tables.tcp).toEqual({ evicted: 2, expired: 0 });
  });

  test("lets lower ranks go first, however lately they were used", () => {
    const { table, ended } = bench({ ranks: [{}, {}] });
    table.set("a", 1, 1);
    table.set("b", 1, 1);
    table.set("c", 1, 0);
    table.set("d", 1, 1);
    table.set("e", 1, 0);
    expect(ended).toEqual(["c full", "a full"]);
  });

  test("of one rank lets only that rank go", () => {
    const { table, ended } = bench({ limit: 10, ranks: [{}, { limit: 2 }] });
    table.set("old", 1, 0);
    for (const key of ["a", "b", "c"]) table.set(key, 1, 1);
    expect(ended).toEqual(["a full"]);
    table.move("b", 0);
    table.set("d", 1, 1);
    expect(ended).toEqual(["a full"]);
  });

  test("of one place changes its only entry", () => {
    const { table, ended } = bench({ limit: 1 });
    table.set("a", 1);
    table.set("b", 2);
    table.set("b", 3);
    expect([ended, table.size, table.get("b")]).toEqual([["a full"], 1, 3]);
  });

  test("says who went to the trace, and survives what it throws", () => {
    const told: UserNetworkEvent[] = [];
    const { table, stack } = bench({
      limit: 1,
      trace: (event) => {
        told.push(event);
        throw new Error("not ours");
      },
    });
    table.set("a", 1);
    table.set("b", 1);
    expect(told).toEqual([{ type: "entry-ended", table: "tcp", why: "full", entry: "a" }]);
    expect(stack.counters.traceThrew).toBe(1);
  });

  test("names entries only where somebody listens", () => {
    let named = 0;
    const { table } = bench({ limit: 1, describe: () => `${++named}` });
    table.set("a", 1);
    table.set("b", 1);
    expect(named).toBe(0);
  });
});

describe("an entry nobody uses", () => {
  test("ends after the time of its rank, by the millisecond, and a use begins it anew", () => {
    const { table, ended, act, clock, stack } = bench({ ranks: [{ idleMs: 100 }, { idleMs: 1000 }, {}] });
    act(() => {
      table.set("short", 1, 0);
      table.set("long", 1, 1);
      table.set("ever", 1, 2);
    });
    clock.advance(60);
    act(() => table.use("short"));
    clock.advance(99);
    expect(ended).toEqual([]);
    clock.advance(1);
    expect(ended).toEqual(["short idle"]);
    clock.advance(839);
    expect(ended).toEqual(["short idle"]);
    clock.advance(1);
    expect(ended).toEqual(["short idle", "long idle"]);
    clock.advance(1e9);
    expect(table.get("ever")).toBe(1);
    expect(stack.counters.tables.tcp).toEqual({ evicted: 0, expired: 2 });
  });

  test("ends sooner when it falls to a rank of less patience", () => {
    const { table, ended, act, clock } = bench({ ranks: [{ idleMs: 10 }, { idleMs: 1000 }] });
    act(() => table.set("a", 1, 1));
    clock.advance(500);
    act(() => table.move("a", 0));
    clock.advance(9);
    expect(ended).toEqual([]);
    clock.advance(1);
    expect(ended).toEqual(["a idle"]);
  });
});

test("an entry that has left its table is used, moved and evicted in vain", () => {
  const { stack, ended } = bench({});
  const places = new Places<string>(stack, {
    name: "tcp",
    limit: 3,
    ranks: [{}, {}],
    ended: (key, why) => ended.push(`${key} ${why}`),
    describe: String,
  });
  const place = new Place("a");
  places.enter(place);
  places.leave(place);
  places.use(place);
  places.move(place, 1);
  places.evict(place);
  places.leave(place);
  expect([places.size, places.values(), ended]).toEqual([0, [], []]);
});

describe("from within its own ending", () => {
  test("an entry may ask for itself, remove others, and add", () => {
    const seen: string[] = [];
    const { table } = bench({
      limit: 2,
      ended: (_, key, why) => {
        seen.push(`${key} ${why} ${table.get(key)} ${table.delete(key)}`);
        if (key === "a") table.delete("b");
        if (key === "a") table.set("x", 7);
      },
    });
    table.set("a", 1);
    table.set("b", 1);
    table.set("c", 1);
    expect(seen).toEqual(["a full undefined false"]);
    expect(table.values()).toEqual([7, 1]);
  });

  test("an entry may clear the table: nobody should enter it then", () => {
    const { table } = bench({ limit: 2, ended: () => table.clear() });
    table.set("a", 1);
    table.set("b", 1);
    expect(table.makeRoom()).toBe(false);
    expect(table.size).toBe(0);
    expect(table.makeRoom()).toBe(true);
  });

  test("several that expire at once may remove each other", () => {
    const seen: string[] = [];
    const { table, act, clock } = bench({
      limit: 9,
      ranks: [{ idleMs: 10 }],
      ended: (_, key, why) => {
        seen.push(`${key} ${why}`);
        if (key === "a") table.delete("b");
      },
    });
    act(() => {
      for (const key of ["a", "b", "c"]) table.set(key, 1);
    });
    clock.advance(10);
    expect(seen).toEqual(["a idle", "c idle"]);
  });
});

test("with the link all entries end, and no timer is left", () => {
  const { table, ended, act, clock, stack } = bench({ ranks: [{ idleMs: 10 }, { idleMs: 20 }] });
  act(() => {
    table.set("a", 1, 0);
    table.set("b", 1, 1);
  });
  table.clear();
  table.clear();
  expect(ended).toEqual(["a cleared", "b cleared"]);
  stack.timers.close();
  expect(clock.pending).toBe(0);
  expect(stack.counters.tables.tcp).toEqual({ evicted: 0, expired: 0 });
});

interface Entry {
  key: string;
  rank: number;
  at: number;
}

/** The same in the plainest way: one list in the order of use, looked through from its start. */
class Plain {
  entries: Entry[] = [];
  readonly ended: string[] = [];
  readonly limit: number;
  readonly ranks: { limit: number; idleMs: number }[];

  constructor(limit: number, ranks: { limit: number; idleMs: number }[]) {
    this.limit = limit;
    this.ranks = ranks;
  }

  end(entry: Entry, why: string): void {
    this.entries = this.entries.filter((other) => other !== entry);
    this.ended.push(`${entry.key} ${why}`);
  }

  set(key: string, rank: number, at: number): void {
    const had = this.entries.some((entry) => entry.key === key);
    this.entries = this.entries.filter((entry) => entry.key !== key);
    if (!had) {
      // Entries that were moved into the rank did not ask for its limit: several may have to go.
      const peers = this.entries.filter((entry) => entry.rank === rank);
      for (const peer of peers.slice(0, Math.max(0, peers.length + 1 - this.ranks[rank].limit))) this.end(peer, "full");
      for (let low = 0; low < this.ranks.length && this.entries.length >= this.limit; low++) {
        const first = this.entries.find((entry) => entry.rank === low);
        if (first !== undefined) this.end(first, "full");
      }
    }
    this.entries.push({ key, rank, at });
  }

  pass(now: number): void {
    for (const entry of [...this.entries].sort((a, b) => a.rank - b.rank)) {
      if (entry.at + this.ranks[entry.rank].idleMs <= now) this.end(entry, "idle");
    }
  }
}

test("any history ends the same entries in the same order as a list that is looked through", () => {
  const rank = fc.record({ limit: fc.integer({ min: 1, max: 5 }), idleMs: fc.constantFrom(1, 7, 50, 1_000_000) });
  const step = fc.record({
    act: fc.constantFrom("set", "set", "set", "use", "move", "delete", "pass", "clear"),
    key: fc.constantFrom("a", "b", "c", "d", "e", "f", "g"),
    rank: fc.nat(2),
    ms: fc.nat(30),
  });
  const history = fc.record({
    limit: fc.integer({ min: 1, max: 7 }),
    ranks: fc.tuple(rank, rank, rank),
    steps: fc.array(step, { maxLength: 60 }),
  });
  fc.assert(
    fc.property(history, ({ limit, ranks, steps }) => {
      const { clock, table, ended, act } = bench({ limit, ranks });
      const plain = new Plain(limit, ranks);
      for (const { act: what, key, rank, ms } of steps) {
        const now = clock.now();
        const entry = plain.entries.find((other) => other.key === key);
        if (what === "set") {
          act(() => table.set(key, 1, rank));
          plain.set(key, rank, now);
        } else if (what === "use" || what === "move") {
          act(() => (what === "use" ? table.use(key) : table.move(key, rank)));
          if (entry !== undefined) plain.set(key, what === "use" ? entry.rank : rank, now);
        } else if (what === "delete") {
          expect(table.delete(key)).toBe(entry !== undefined);
          plain.entries = plain.entries.filter((other) => other !== entry);
        } else if (what === "clear") {
          act(() => table.clear());
          for (const low of [0, 1, 2]) {
            for (const other of plain.entries) if (other.rank === low) plain.end(other, "cleared");
          }
        } else {
          for (let i = 0; i < ms; i++) {
            clock.advance(1);
            plain.pass(clock.now());
          }
        }
        expect(ended).toEqual(plain.ended);
        expect(table.size).toBe(plain.entries.length);
      }
    }),
    propertyOptions(300),
  );
});
