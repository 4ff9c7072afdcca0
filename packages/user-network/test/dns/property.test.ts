/**
 * Random histories of questions, good and broken, in front of a host that answers late, wrongly or never. The model is
 * the least that a client counts on: one answer to each question, with its own id and question, and what the answer
 * holds is the answer to that question.
 */
import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { expect, test } from "vitest";
import { bench } from "../support/test-guest.ts";
import { DNS, udpFrame } from "../support/wire-test.ts";
import { name, query, settled } from "./messages.ts";

const NAMES = [
  "a.b",
  "A.B",
  "a.B",
  "c.d",
  "e.f.g",
  "h.i",
  "2.2.0.10.in-addr.arpa",
  "localhost",
  "",
  "\xc9.b",
  "\xe9.b",
];
const TYPES = [1, 1, 2, 12, 28, 41, 252, 255, 65_399];
const FIRST_PORT = 10_000;

type Mutation = readonly [at: number, byte: number];

interface Ask {
  readonly kind: "ask";
  readonly message: Uint8Array;
}
interface Answer {
  readonly kind: "answer";
  readonly which: number;
  readonly how: "well" | "rejects" | Uint8Array;
  readonly records: number;
  readonly mutations: readonly Mutation[];
  readonly length: number;
}
interface Wait {
  readonly kind: "wait";
  readonly ms: number;
}

const cut = (bytes: Uint8Array, mutations: readonly Mutation[], length: number): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  for (const [at, byte] of mutations) copy[at % copy.length] = byte;
  return copy.slice(0, length);
};

const mutations = fc.array(fc.tuple(fc.nat(80), fc.oneof(fc.constantFrom(0, 1, 0x40, 0xc0, 0xff), fc.nat(255))), {
  maxLength: 3,
});
const length = fc.oneof({ weight: 6, arbitrary: fc.constant(1000) }, { weight: 1, arbitrary: fc.nat(60) });
const none = fc.constant<Mutation[]>([]);

const question = fc
  .record({
    text: fc.constantFrom(...NAMES),
    type: fc.constantFrom(...TYPES),
    id: fc.nat(0xffff),
    flags: fc.constantFrom(0x0100, 0x0100, 0, 0x0120, 0x0110),
    edns: fc.constantFrom(undefined, undefined, 0, 512, 1232, 0xffff),
    ednsFlags: fc.constantFrom(0, 0x8000),
    version: fc.constantFrom(0, 0, 0, 1),
  })
  .map(({ text, type, edns, ...fields }) => query(text, type, edns === undefined ? fields : { ...fields, edns }));

const ask = (mutated: fc.Arbitrary<Mutation[]>, size: fc.Arbitrary<number>): fc.Arbitrary<Ask> =>
  fc
    .tuple(question, mutated, size)
    .map(([message, changes, n]) => ({ kind: "ask", message: cut(message, changes, n) }));
const wait: fc.Arbitrary<Wait> = fc.constantFrom(0, 999, 1000, 5000, 20_000).map((ms) => ({ kind: "wait", ms }));

/** Reads a message with no regard for what names point to; every length has to be right to the last byte. */
function read(bytes: Uint8Array): { section: string; types: number[]; data: number[][] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const endOfName = (from: number): number => {
    let at = from;
    while (bytes[at] !== 0 && bytes[at] < 0xc0) at += 1 + bytes[at];
    return at + (bytes[at] === 0 ? 1 : 2);
  };
  let at = 12;
  if (view.getUint16(4) === 1) at = endOfName(12) + 4;
  else expect(view.getUint16(4)).toBe(0);
  const section = Buffer.from(bytes.subarray(12, at)).toString("latin1");
  const types: number[] = [];
  const data: number[][] = [];
  for (let left = view.getUint16(6) + view.getUint16(8) + view.getUint16(10); left > 0; left--) {
    at = endOfName(at);
    types.push(view.getUint16(at));
    const end = at + 10 + view.getUint16(at + 8);
    data.push([...bytes.subarray(at + 10, end)]);
    at = end;
  }
  expect(at).toBe(bytes.length);
  return { section, types, data };
}

/** Four bytes that tell questions apart by all that their answers depend on, whatever the case of ASCII letters. */
function fingerprint(message: Uint8Array): number[] {
  const end = message.indexOf(0, 12) + 5;
  const text = Array.from(message.subarray(12, end), (byte) => (byte >= 65 && byte <= 90 ? byte + 32 : byte));
  const edns = message.length > end ? 1 + (message[end + 7] >> 7) : 0;
  let hash = 7;
  for (const byte of [...text, message[2] & 1, message[3] & 0x30, edns]) hash = (Math.imul(hash, 31) + byte) >>> 0;
  return [hash >>> 24, (hash >>> 16) & 255, (hash >>> 8) & 255, hash & 255];
}

/** What an honest server says: records of nobody's type, of which each holds the fingerprint. */
function honest(message: Uint8Array, records: number): Uint8Array {
  const end = message.indexOf(0, 12) + 5;
  const record = [0xc0, 12, 0xff, 0x77, 0, 1, 0, 0, 0, records % 7, 0, 4, ...fingerprint(message)];
  const all = Array.from({ length: records }, () => record).flat();
  const opt = message.length > end ? [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0] : [];
  const head = [message[0], message[1], 0x80 | (message[2] & 1), 0x80 | (message[3] & 0x10), 0, 1];
  return Uint8Array.from([
    ...head,
    0,
    records,
    0,
    0,
    0,
    opt.length > 0 ? 1 : 0,
    ...message.subarray(12, end),
    ...all,
    ...opt,
  ]);
}

async function play(events: readonly (Ask | Answer | Wait)[], isHonest: boolean): Promise<void> {
  const b = bench({ names: { "h.i": "10.0.2.2" }, limits: { dnsPending: 4, dnsCache: 3 } });
  const due: { asked: Uint8Array; resolve: (bytes: Uint8Array) => void; reject: () => void }[] = [];
  b.host.names = (asked) => new Promise((resolve, reject) => due.push({ asked, resolve, reject }));
  const sent: Uint8Array[] = [];
  for (const event of events) {
    if (event.kind === "wait") {
      b.clock.advance(event.ms);
    } else if (event.kind === "ask") {
      b.guest.send(udpFrame(FIRST_PORT + sent.length, 53, event.message, { destination: DNS }));
      sent.push(event.message);
    } else if (due.length > 0) {
      const [{ asked, resolve, reject }] = due.splice(event.which % due.length, 1);
      if (event.how === "rejects") reject();
      else
        resolve(
          cut(
            event.how instanceof Uint8Array ? event.how : honest(asked, event.records),
            event.mutations,
            event.length,
          ),
        );
      await settled();
    }
  }
  await settled();
  b.clock.advance(20_000);
  await settled();
  const got = new Map<number, Uint8Array[]>();
  for (const { payload } of b.guest.got()) {
    const port = payload[2] * 256 + payload[3];
    got.set(port, [...(got.get(port) ?? []), payload.slice(8)]);
  }
  sent.forEach((asked, i) => {
    const isQuestion = asked.length >= 12 && (asked[2] & 0x80) === 0;
    const answers = got.get(FIRST_PORT + i) ?? [];
    expect(answers.length, `answers to question ${i}`).toBe(isQuestion ? 1 : 0);
    if (!isQuestion) return;
    const [answer] = answers;
    expect([...answer.subarray(0, 2)]).toEqual([...asked.subarray(0, 2)]);
    expect(answer[2] & 0x80).toBe(0x80);
    expect(answer.length).toBeLessThanOrEqual(1232);
    const { section, types, data } = read(answer);
    if (section !== "") expect(section).toBe(Buffer.from(asked.subarray(12, 12 + section.length)).toString("latin1"));
    if (!isHonest) return;
    // Whatever came from the server came for this question.
    data.forEach((bytes, j) => {
      if (types[j] === 0xff77) expect(bytes).toEqual(fingerprint(asked));
    });
  });
  b.network.close();
  expect(b.clock.pending).toBe(0);
}

test("each question gets one answer, its own, from servers that are late or silent", async () => {
  const answer: fc.Arbitrary<Answer> = fc
    .record({ which: fc.nat(5), records: fc.constantFrom(0, 1, 2, 40, 100), rejects: fc.nat(9) })
    .map(({ rejects, ...rest }) => ({
      ...rest,
      kind: "answer",
      how: rejects === 0 ? "rejects" : "well",
      mutations: [],
      length: 0xffff,
    }));
  const event = fc.oneof(
    { weight: 6, arbitrary: ask(none, fc.constant(1000)) },
    { weight: 4, arbitrary: answer },
    { weight: 1, arbitrary: wait },
  );
  const history = fc.array(event, { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(history, (events) => play(events, true)),
    propertyOptions(150),
  );
});

test("each question gets one answer, whatever guests and servers send", async () => {
  const answer: fc.Arbitrary<Answer> = fc.record({
    kind: fc.constant("answer" as const),
    which: fc.nat(5),
    records: fc.constantFrom(0, 1, 2, 40, 100),
    how: fc.oneof(
      { weight: 8, arbitrary: fc.constant("well" as const) },
      { weight: 1, arbitrary: fc.constant("rejects" as const) },
      { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 60 }) },
    ),
    mutations,
    length,
  });
  const event = fc.oneof(
    { weight: 8, arbitrary: ask(mutations, length) },
    { weight: 3, arbitrary: answer },
    { weight: 1, arbitrary: wait },
  );
  const history = fc.array(event, { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(history, (events) => play(events, false)),
    propertyOptions(150),
  );
});

test("the reader of this test reads", () => {
  const answer = honest(query("a.b", 1, { edns: 1232, ednsFlags: 0x8000 }), 2);
  expect(read(answer).types).toEqual([0xff77, 0xff77, 41]);
  expect(read(answer).section).toBe(Buffer.from([...name("a.b"), 0, 1, 0, 1]).toString("latin1"));
});
