/** The name server over TCP: RFC 7766, by segments of a guest. */
import { describe, expect, test } from "vitest";
import { readOptions } from "../../src/config.ts";
import { Dns } from "../../src/dns/dns.ts";
import { DnsStream } from "../../src/dns/stream.ts";
import type { UserNetworkOptions } from "../../src/index.ts";
import { Stack } from "../../src/stack.ts";
import { MemoryHost } from "../support/memory-host.ts";
import { seeded, TestClock } from "../support/test-clock.ts";
import { ACK, type Bench, bench, FIN, PSH, RST, type Segment, SYN, segmentOf } from "../support/test-guest.ts";
import { DNS } from "../support/wire-test.ts";
import { A, answerTo, head, query, settled } from "./messages.ts";

const framed = (message: Uint8Array): number[] => [message.length >> 8, message.length & 255, ...message];

/** A guest's connection to the name server. */
class Client {
  readonly b: Bench;
  sent = 1;
  heard = 0;
  /** All bytes that came, in order. */
  bytes: number[] = [];
  segments: Segment[] = [];
  window = 0xffff;

  constructor(b: Bench) {
    this.b = b;
  }

  static async open(options: UserNetworkOptions = {}): Promise<Client> {
    const client = new Client(bench(options));
    client.b.guest.tcp({ fromPort: 5000, toPort: 53, destination: DNS, sequence: 0, flags: SYN });
    await settled();
    client.heard = segmentOf(client.b.guest.one()).sequence + 1;
    await client.send([]);
    return client;
  }

  async send(data: number[], flags = ACK): Promise<void> {
    const { b, sent, heard, window } = this;
    this.sent += data.length;
    const ends = { fromPort: 5000, toPort: 53, destination: DNS, acknowledged: heard, window };
    b.guest.tcp({ ...ends, sequence: sent, flags, data: Uint8Array.from(data) });
    await this.look();
  }

  async look(): Promise<void> {
    await settled();
    await settled();
    for (const segment of this.b.guest.got().map(segmentOf)) {
      this.segments.push(segment);
      const fresh = [...segment.data].slice(Math.max(0, this.heard - segment.sequence));
      this.bytes.push(...fresh);
      this.heard += fresh.length;
    }
  }

  /** The messages that came. */
  get messages(): Uint8Array[] {
    const messages: Uint8Array[] = [];
    for (let at = 0; at < this.bytes.length; ) {
      const length = this.bytes[at] * 256 + this.bytes[at + 1];
      messages.push(Uint8Array.from(this.bytes.slice(at + 2, at + 2 + length)));
      at += 2 + length;
      expect(at).toBeLessThanOrEqual(this.bytes.length);
    }
    return messages;
  }

  get ids(): number[] {
    return this.messages.map((message) => message[0] * 256 + message[1]);
  }

  get flags(): number {
    return this.segments.at(-1)?.flags ?? 0;
  }
}

const many = Array.from({ length: 50 }, (_, i) => A("x.y", `192.0.2.${i}`));

describe("DNS over TCP", () => {
  test("answers are whole; the last of them is followed by an end, when the guest has ended", async () => {
    const client = await Client.open();
    client.b.host.names = (asked) => answerTo(asked, { answers: many });
    const message = framed(query("x.y", 1));
    await client.send(message.slice(0, 1));
    await client.send(message.slice(1), ACK | FIN);
    expect(client.messages.map(head)).toEqual(["abcd81800001003200000000"]);
    expect(client.flags & FIN).toBe(FIN);
    expect(client.flags & ~(ACK | FIN | PSH)).toBe(0);
  });

  test("questions that follow each other are all asked at once; who is answered first is first", async () => {
    const client = await Client.open();
    const due: (() => void)[] = [];
    client.b.host.names = (asked) => new Promise((resolve) => due.push(() => resolve(answerTo(asked))));
    await client.send([1, 2, 3].flatMap((id) => framed(query(`n${id}.y`, 1, { id }))));
    expect(due.length).toBe(3);
    for (const i of [2, 0, 1]) {
      due[i]();
      await client.look();
    }
    expect(client.ids).toEqual([3, 1, 2]);
  });

  test("of many at once so many are asked, and the others when those are answered; none is lost", async () => {
    const client = await Client.open();
    const due: (() => void)[] = [];
    client.b.host.names = (asked) => new Promise((resolve) => due.push(() => resolve(answerTo(asked))));
    const ids = Array.from({ length: 40 }, (_, i) => i + 1);
    await client.send(
      ids.flatMap((id) => framed(query(`n${id}.y`, 1, { id }))),
      ACK | FIN,
    );
    expect(due.length).toBe(16);
    due.shift()!();
    await client.look();
    expect([due.length, client.ids]).toEqual([16, [1]]);
    while (due.length > 0) {
      due.shift()!();
      await client.look();
    }
    expect(client.ids).toEqual(ids);
    expect(client.flags & FIN).toBe(FIN);
  });

  test("a policy is asked for each name, and no name leaves that it refuses", async () => {
    const asked: unknown[] = [];
    const allow = (...args: readonly unknown[]): boolean => {
      asked.push(args);
      return args[0] === "tcp" || args[1] === "good.test";
    };
    const client = await Client.open({ allow });
    client.b.host.names = (message) => answerTo(message);
    await client.send(["bad.test", "good.test"].flatMap((name) => framed(query(name, 1))));
    expect(client.messages.map((message) => message[3] & 15)).toEqual([5, 0]); // refused; answered
    expect(client.b.host.queries.map(({ message }) => [...message.subarray(12)])).toEqual([
      [...query("good.test", 1).subarray(12)],
    ]);
    expect(asked.filter((args) => (args as string[])[0] === "dns")).toEqual([
      ["dns", "bad.test", 53],
      ["dns", "good.test", 53],
    ]);
    expect(client.b.network.counters.dropped.prohibited).toBe(1);
  });

  test("byte by byte is as good as at once", async () => {
    const client = await Client.open();
    client.b.host.names = (asked) => answerTo(asked);
    const stream = [1, 2].flatMap((id) => framed(query("x.y", 1, { id })));
    for (const byte of stream) await client.send([byte]);
    expect(client.ids).toEqual([1, 2]);
  });

  test("what the network knows itself is answered in its turn too", async () => {
    const client = await Client.open({ names: { "h.i": "10.0.2.2" } });
    await client.send([1, 2].flatMap((id) => framed(query("h.i", 1, { id }))));
    expect(client.ids).toEqual([1, 2]);
    expect(client.b.host.queries).toEqual([]);
  });

  test("a guest that does not read is not asked for more: what it sends waits with its own TCP", async () => {
    const client = await Client.open({ limits: { tcpSend: 1000, tcpReceive: 2000 } });
    client.b.host.names = (asked) => answerTo(asked, { answers: many });
    client.window = 0;
    for (let i = 0; i < 100; i++) {
      await client.send(framed(query(`n${i}.y`, 1)));
      if (client.segments.at(-1)?.window === 0) break;
    }
    expect(client.segments.at(-1)?.window).toBe(0);
    expect(client.b.host.queries.length).toBeLessThan(20);
  });

  test("an idle connection ends after ten seconds, and not while an answer is due", async () => {
    const client = await Client.open();
    const due: (() => void)[] = [];
    client.b.host.names = (asked) => new Promise((resolve) => due.push(() => resolve(answerTo(asked))));
    client.b.clock.advance(9_999);
    await client.send(framed(query("x.y", 1)));
    client.b.clock.advance(15_000);
    await client.look();
    expect(client.flags & FIN).toBe(0);
    due[0]();
    await client.look();
    expect(client.ids).toEqual([0xabcd]);
    await client.send([0]); // half a length is no question
    client.b.clock.advance(9_999);
    await client.look();
    expect(client.flags & FIN).toBe(0);
    client.b.clock.advance(1);
    await client.look();
    expect(client.flags & (FIN | RST)).toBe(FIN);
    await client.send([], ACK);
    client.heard++;
    await client.send([], ACK | FIN);
    client.b.clock.advance(60_000);
    expect(client.b.network.counters.tcpActive).toBe(0);
    client.b.network.close();
    expect(client.b.clock.pending).toBe(0);
  });

  test("nor while one of several is due", async () => {
    const client = await Client.open({ names: { "h.i": "10.0.2.2" } });
    await client.send(["x.y", "h.i"].flatMap((text) => framed(query(text, 1))));
    expect(client.ids.length).toBe(1);
    client.b.clock.advance(19_999);
    await client.look();
    expect(client.flags & FIN).toBe(0);
    client.b.clock.advance(1); // the host is given up
    await client.look();
    expect(client.ids.length).toBe(2);
    client.b.clock.advance(9_999);
    await client.look();
    expect(client.flags & FIN).toBe(0);
    client.b.clock.advance(1);
    await client.look();
    expect(client.flags & FIN).toBe(FIN);
  });

  test("a conversation may be longer than any window", async () => {
    const client = await Client.open({ limits: { tcpReceive: 1000 } });
    client.b.host.names = (asked) => answerTo(asked);
    for (let id = 1; id <= 200; id++) await client.send(framed(query(`n${id}.y`, 1, { id })));
    expect(client.ids).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  });

  test("one that never asks ends too", async () => {
    const client = await Client.open();
    client.b.clock.advance(10_000);
    await client.look();
    expect(client.flags & (FIN | RST)).toBe(FIN);
  });

  test.each([
    ["a length of 0", [0, 0]],
    ["a length that no question has", [0x10, 0x01]],
    ["less than a header", [0, 3, 1, 2, 3]],
    ["an answer", framed(answerTo(query("x.y", 1)))],
  ])("%s ends it by an RST", async (_what, bytes) => {
    const client = await Client.open();
    client.b.host.names = (asked) => answerTo(asked);
    await client.send(bytes);
    expect(client.flags & RST).toBe(RST);
    expect(client.b.network.counters.tcpActive).toBe(0);
  });

  test("the longest question there may be", async () => {
    const client = await Client.open();
    client.b.host.names = (asked) => answerTo(asked);
    const question = new Uint8Array(4096);
    question.set(query("x.y", 1));
    await client.send(framed(question).slice(0, 1400));
    await client.send(framed(question).slice(1400, 2800));
    await client.send(framed(question).slice(2800));
    expect(client.ids).toEqual([0xabcd]);
  });

  test("a connection that is cut asks no more: the host is told to stop, and its place is free", async () => {
    const client = await Client.open({ limits: { dnsPending: 2 } });
    const { b } = client;
    await client.send([1, 2].flatMap((id) => framed(query(`n${id}.y`, 1, { id }))));
    await client.send([], ACK | RST);
    expect(b.host.queries.map(({ signal }) => signal.aborted)).toEqual([true, true]);
    await settled();
    expect(b.network.counters.tables.dns.evicted).toBe(0);
    b.network.close();
    expect(b.clock.pending).toBe(0);
  });

  test("a guest that is gone in the middle leaves nothing", async () => {
    const client = await Client.open();
    await client.send(framed(query("x.y", 1)));
    client.b.network.detach();
    await settled();
    client.b.network.close();
    expect(client.b.clock.pending).toBe(0);
    expect(client.b.network.counters.tcpActive).toBe(0);
  });
});

describe("as a socket of the host", () => {
  function open(): { stream: DnsStream; calls: string[]; host: MemoryHost; clock: TestClock } {
    const host = new MemoryHost();
    const clock = new TestClock();
    const stack = new Stack(
      readOptions({}),
      host,
      clock,
      seeded(1),
      () => {},
      () => {},
    );
    host.names = (asked) => answerTo(asked);
    const calls: string[] = [];
    const stream = new DnsStream(stack, new Dns(stack), {
      connected: () => calls.push("connected"),
      data: (bytes) => calls.push(`data ${bytes.length}`),
      ended: () => calls.push("ended"),
      written: (count) => calls.push(`written ${count}`),
      closed: (failure) => calls.push(`closed ${failure}`),
    });
    return { stream, calls, host, clock };
  }
  const question = Uint8Array.from(framed(query("x.y", 1)));

  test("no handler is called before a method has returned", async () => {
    const { stream, calls } = open();
    expect(calls).toEqual([]);
    stream.write(question);
    stream.end();
    expect(calls).toEqual([]);
    await settled();
    expect(calls).toEqual(["connected", "written 23", "data 23", "ended", "closed undefined"]);
  });

  test("while it is paused nothing is taken, and it does not end; then it goes on", async () => {
    const { stream, calls, host } = open();
    stream.pause();
    stream.write(question);
    stream.end();
    await settled();
    expect([calls, host.queries.length]).toEqual([["connected"], 0]);
    stream.resume();
    await settled();
    expect(calls).toEqual(["connected", "written 23", "data 23", "ended", "closed undefined"]);
  });

  test.each([0, 1, 2, 3])(
    "after destroy (%i turns later) no handler is called any more, and no timer is left",
    async (turns) => {
      const { stream, calls, clock } = open();
      stream.write(question);
      for (let i = 0; i < turns; i++) await Promise.resolve();
      stream.destroy();
      const before = [...calls];
      await settled();
      clock.advance(60_000);
      await settled();
      expect(calls).toEqual(before);
    },
  );

  test("destroyed when idle, it stays silent", async () => {
    const { stream, calls, clock } = open();
    await settled();
    stream.destroy();
    clock.advance(60_000);
    expect(calls).toEqual(["connected"]);
  });
});
