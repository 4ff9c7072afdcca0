/** The name server: RFC 1035 by the byte, over UDP and TCP. */
import { describe, expect, test } from "vitest";
import { ACK, type Bench, bench, FIN, PSH, SYN, segmentOf } from "./test-guest.ts";
import { DNS, udpFrame } from "./wire-test.ts";

const name = (text: string): number[] => [
  ...text.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]),
  0,
];
const query = (
  text: string,
  type: number,
  options: { flags?: number; qclass?: number; edns?: number } = {},
): Uint8Array => {
  const { flags = 0x0100, qclass = 1, edns } = options;
  return Uint8Array.from([
    ...[0xab, 0xcd, flags >> 8, flags & 255, 0, 1, 0, 0, 0, 0, 0, edns === undefined ? 0 : 1],
    ...name(text),
    ...[type >> 8, type & 255, qclass >> 8, qclass & 255],
    ...(edns === undefined ? [] : [0, 0, 41, edns >> 8, edns & 255, 0, 0, 0, 0, 0, 0]),
  ]);
};

const settled = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

async function ask(b: Bench, message: Uint8Array): Promise<Uint8Array> {
  b.guest.send(udpFrame(4000, 53, message, { destination: DNS }));
  await settled();
  const { payload, source } = b.guest.one();
  expect(source).toBe(DNS);
  expect([...payload.subarray(0, 4)]).toEqual([0, 53, 0x0f, 0xa0]);
  return payload.slice(8);
}

/** id, flags, and the counts. */
const head = (answer: Uint8Array): string => Buffer.from(answer.subarray(0, 12)).toString("hex");

describe("DNS", () => {
  test("an A question is the host's to answer", async () => {
    const b = bench();
    b.host.names = () => [{ type: "A", address: "192.0.2.1", ttl: 300 }];
    const question = query("WWW.Example.org", 1);
    const answer = await ask(b, question);
    expect(b.host.questions).toEqual([{ name: "www.example.org", type: "A" }]);
    expect(head(answer)).toBe("abcd81800001000100000000");
    // The question comes back as it was asked, then the record by a pointer to it.
    expect([...answer.subarray(12)]).toEqual([
      ...question.subarray(12),
      ...[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1],
    ]);
  });

  test("names the user gave are answered here, and have no IPv6 address", async () => {
    const b = bench({ names: { "Host.internal": "10.0.2.2" } });
    expect([...(await ask(b, query("host.INTERNAL", 1))).subarray(-4)]).toEqual([10, 0, 2, 2]);
    expect(head(await ask(b, query("host.internal", 28)))).toBe("abcd81800001000000000000");
    expect(b.host.questions).toEqual([]);
  });

  test.each([
    ["no such name", "no-such-name", "abcd81830001000000000000"],
    ["no answer", "failed", "abcd81820001000000000000"],
    ["not implemented", "not-implemented", "abcd81840001000000000000"],
    ["no such record", [], "abcd81800001000000000000"],
  ] as const)("%s", async (_what, resolution, expected) => {
    const b = bench();
    b.host.names = () => resolution;
    expect(head(await ask(b, query("a.b", 1)))).toBe(expected);
  });

  test("a resolver that throws is a server failure", async () => {
    const b = bench();
    b.host.names = () => Promise.reject(new Error("no"));
    expect(head(await ask(b, query("a.b", 1)))).toBe("abcd81820001000000000000");
  });

  test.each([
    ["AAAA: empty, for there is no IPv6 here", query("a.b", 28), "abcd81800001000000000000"],
    ["a type nobody knows: not implemented", query("a.b", 99), "abcd81840001000000000000"],
    ["ANY: not implemented", query("a.b", 255), "abcd81840001000000000000"],
    ["another class: refused", query("a.b", 1, { qclass: 3 }), "abcd81850001000000000000"],
    ["another opcode: not implemented", query("a.b", 1, { flags: 0x2900 }), "abcda9840000000000000000"],
  ])("%s", async (_what, question, expected) => {
    const b = bench();
    expect(head(await ask(b, question))).toBe(expected);
    expect(b.host.questions).toEqual([]);
  });

  test("MX, TXT, SRV, PTR and CNAME are written as they should be", async () => {
    const b = bench();
    const data = async (type: number): Promise<number[]> => {
      const question = query("x.y", type);
      const answer = await ask(b, question);
      return [...answer.subarray(question.length + 12)];
    };
    b.host.names = (_name, type) => {
      switch (type) {
        case "MX":
          return [{ type, preference: 10, target: "m.x" }];
        case "TXT":
          return [{ type, strings: ["hi", ""] }];
        case "SRV":
          return [{ type, priority: 1, weight: 2, port: 443, target: "s" }];
        case "PTR":
        case "CNAME":
          return [{ type, target: "p.q." }];
        default:
          return [];
      }
    };
    expect(await data(15)).toEqual([0, 10, ...name("m.x")]);
    expect(await data(16)).toEqual([2, 104, 105, 0]);
    expect(await data(33)).toEqual([0, 1, 0, 2, 1, 187, 1, 115, 0]);
    expect(await data(12)).toEqual(name("p.q"));
    expect(await data(5)).toEqual(name("p.q"));
  });

  test("an answer that is too long says so; with EDNS it may be longer", async () => {
    const b = bench();
    b.host.names = () => Array.from({ length: 50 }, (_, i) => ({ type: "A" as const, address: `192.0.2.${i}` }));
    const short = await ask(b, query("x.y", 1));
    expect(short.length).toBeLessThanOrEqual(512);
    expect(short[2] & 2).toBe(2);
    const long = await ask(b, query("x.y", 1, { edns: 4096 }));
    expect(long[2] & 2).toBe(0);
    expect(head(long)).toBe("abcd81800001003200000001");
    expect([...long.subarray(-11)]).toEqual([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
  });

  test("over TCP answers are whole", async () => {
    const b = bench();
    b.host.names = () => Array.from({ length: 50 }, (_, i) => ({ type: "A" as const, address: `192.0.2.${i}` }));
    b.guest.tcp({ fromPort: 5000, toPort: 53, destination: DNS, sequence: 0, flags: SYN });
    await settled();
    const { sequence } = segmentOf(b.guest.one());
    const question = query("x.y", 1);
    const message = Uint8Array.from([0, question.length, ...question]);
    const ends = { fromPort: 5000, toPort: 53, destination: DNS, acknowledged: sequence + 1 };
    b.guest.tcp({ ...ends, sequence: 1, flags: ACK, data: message.subarray(0, 1) });
    b.guest.tcp({ ...ends, sequence: 2, flags: ACK | FIN, data: message.subarray(1) });
    await settled();
    await settled();
    const segments = b.guest.got().map(segmentOf);
    const data = segments.flatMap((segment) => [...segment.data]);
    expect(data.length).toBe(2 + ((data[0] << 8) | data[1]));
    expect(Buffer.from(data.slice(2, 14)).toString("hex")).toBe("abcd81800001003200000000");
    expect(segments.at(-1)!.flags & FIN).toBe(FIN);
    expect(segments.at(-1)!.flags & ~(ACK | FIN | PSH)).toBe(0);
  });

  test("questions above the limit of pending ones are dropped", async () => {
    const b = bench({ limits: { dnsPending: 3 } });
    b.host.names = () => new Promise(() => {});
    for (let i = 0; i < 10; i++) b.guest.send(udpFrame(4000, 53, query("x.y", 1), { destination: DNS }));
    await settled();
    expect(b.host.questions.length).toBe(3);
    expect(b.network.counters.dropped.dnsLimit).toBe(7);
  });

  test("hostile questions are refused or dropped, and never answered at length", async () => {
    const b = bench();
    const good = query("x.y", 1);
    for (let length = 0; length < good.length; length++) {
      b.guest.send(udpFrame(4000, 53, good.slice(0, length), { destination: DNS }));
    }
    const pointer = good.slice();
    pointer[12] = 0xc0;
    b.guest.send(udpFrame(4000, 53, pointer, { destination: DNS }));
    const long = query(`${"a".repeat(63)}.`.repeat(4).slice(0, -1), 1);
    b.guest.send(udpFrame(4000, 53, long, { destination: DNS }));
    const two = good.slice();
    two[5] = 2;
    b.guest.send(udpFrame(4000, 53, two, { destination: DNS }));
    const answer = good.slice();
    answer[2] |= 0x80;
    b.guest.send(udpFrame(4000, 53, answer, { destination: DNS }));
    await settled();
    expect(b.host.questions).toEqual([]);
    for (const { payload } of b.guest.got()) {
      expect(payload.length).toBe(8 + 12);
      expect(payload[8 + 3] & 15).toBe(1);
    }
    expect(b.network.counters.dropped.malformed).toBe(12 + 1);
  });
});
