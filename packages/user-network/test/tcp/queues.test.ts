/** Whose turn it is among connections, and where they are found. */
import { expect, test } from "vitest";
import type { TcpConnection } from "../../src/tcp/connection.ts";
import { TcpTable } from "../../src/tcp/table.ts";
import { TcpTurns } from "../../src/tcp/turns.ts";

/** As much of a connection as these look at. */
function connection(guestPort: number): TcpConnection {
  const ends = { guest: 0x0a00020f, guestPort, remote: 0x5db8d822, remotePort: 80 };
  return { ...ends, next: undefined, touched: false } as TcpConnection;
}

test("a connection that has something to say has one turn, first come, first served, and then another", () => {
  const turns = new TcpTurns();
  const [a, b] = [connection(1), connection(2)];
  for (const one of [a, b, a, a]) turns.touch(one);
  expect([turns.next(), turns.next(), turns.next()]).toEqual([a, b, undefined]);
  turns.touch(a);
  expect([turns.next(), turns.next()]).toEqual([a, undefined]);
});

test("turns are taken in order, however many there are", () => {
  const turns = new TcpTurns();
  const all = Array.from({ length: 3000 }, (_, i) => connection(i));
  for (const one of all) turns.touch(one);
  for (const one of all) {
    expect(turns.next()).toBe(one);
    turns.touch(one); // has more to say, when others have had their turn
  }
  for (const one of all) expect(turns.next()).toBe(one);
  expect(turns.next()).toBeUndefined();
});

test("a table has those that were added and not taken out", () => {
  const table = new TcpTable(12_345);
  const all = Array.from({ length: 1000 }, (_, i) => connection(i));
  const found = (i: number): TcpConnection | undefined => table.find(0x0a00020f, i, 0x5db8d822, 80);
  for (const one of all) table.add(one);
  expect(table.size).toBe(1000);
  for (let i = 0; i < 1000; i += 2) table.remove(all[i]);
  table.remove(all[0]); // is out already
  expect(table.size).toBe(500);
  expect(all.map((_, i) => found(i))).toEqual(all.map((one, i) => (i % 2 === 0 ? undefined : one)));
});
