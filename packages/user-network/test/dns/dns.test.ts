/** The name server in front of the host's: RFC 1035, 2308, 6891, 6303, 6761 by the byte, over UDP. */
import { describe, expect, test } from "vitest";
import { UserNetwork, type UserNetworkError, type UserNetworkOptions } from "../../src/index.ts";
import { MemoryHost } from "../support/memory-host.ts";
import { type Bench, bench, TestGuest } from "../support/test-guest.ts";
import { DNS, GUEST, GUEST_MAC, udpFrame } from "../support/wire-test.ts";
import { A, type AnswerFields, answerTo, decode, head, name, query, SOA, settled } from "./messages.ts";

const TYPE = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, NAPTR: 35, OPT: 41, DS: 43 };
const MORE = { DNSKEY: 48, SVCB: 64, HTTPS: 65, AXFR: 252, IXFR: 251, ANY: 255, CAA: 257, NOBODYS: 65_399 };

function send(b: Bench, message: Uint8Array, port = 4000): void {
  b.guest.send(udpFrame(port, 53, message, { destination: DNS }));
}

/** What the guest got, by the port it had asked from. */
function answers(b: Bench): { port: number; bytes: Uint8Array }[] {
  return b.guest.got().map(({ payload, source }) => {
    expect([source, payload[0], payload[1]]).toEqual([DNS, 0, 53]);
    return { port: payload[2] * 256 + payload[3], bytes: payload.slice(8) };
  });
}

async function ask(b: Bench, message: Uint8Array): Promise<Uint8Array> {
  send(b, message);
  await settled();
  const got = answers(b);
  expect(got.map(({ port }) => port)).toEqual([4000]);
  return got[0].bytes;
}

/** A network whose host answers all queries alike. */
function answering(fields: AnswerFields, options: UserNetworkOptions = {}): Bench {
  const b = bench(options);
  b.host.names = (asked) => answerTo(asked, fields);
  return b;
}

const rcode = (answer: Uint8Array): number => answer[3] & 15;

describe("a question for the host's servers", () => {
  test("goes there as a message with an id of its own, and the answer comes back with the guest's", async () => {
    const b = bench();
    b.host.names = (asked) =>
      Uint8Array.from([
        ...asked.subarray(0, 2),
        ...[0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0],
        ...asked.subarray(12),
        ...[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1],
      ]);
    const question = query("WwW.Example.oRG", 1);
    const answer = await ask(b, question);
    const [{ message }] = b.host.queries;
    expect([...message.subarray(0, 2)]).not.toEqual([0xab, 0xcd]);
    expect(head(message).slice(4)).toBe("01000001000000000000");
    expect([...message.subarray(12)]).toEqual([...question.subarray(12)]);
    // Nobody here is an authority: AA is not passed on.
    expect(head(answer)).toBe("abcd81800001000100000000");
    expect([...answer.subarray(12)]).toEqual([
      ...question.subarray(12),
      ...[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1],
    ]);
  });

  test("has an id that nobody can foresee", async () => {
    const b = bench();
    for (let i = 0; i < 40; i++) send(b, query(`n${i}.test`, 1));
    await settled();
    const ids = b.host.queries.map(({ message }) => message[0] * 256 + message[1]);
    expect(new Set(ids).size).toBeGreaterThan(35);
    expect(ids.filter((id, i) => i > 0 && Math.abs(id - ids[i - 1]) < 256).length).toBeLessThan(5);
  });

  test.each(Object.entries({ ...TYPE, ...MORE }))("may be of any type: %s", async (what, type) => {
    const b = answering({ authorities: [SOA("test", 60, 60)] });
    const answer = await ask(b, query("x.test", type));
    const here = { AAAA: 0, OPT: 1, AXFR: 5, IXFR: 5 } as Record<string, number>;
    expect(rcode(answer)).toBe(here[what] ?? 0);
    expect(b.host.queries.length).toBe(what in here ? 0 : 1);
    if (!(what in here))
      expect(decode(answer).authorities).toEqual(
        decode(answerTo(answer, { authorities: [SOA("test", 60, 60)] })).authorities,
      );
  });

  test("a name without a record of that type is no error, and does exist (RFC 2308, RFC 8020)", async () => {
    const b = answering({ authorities: [SOA("test", 60, 60)] });
    expect(head(await ask(b, query("mx-only.test", TYPE.A)))).toBe("abcd81800001000000010000");
  });

  test("a name with an IPv6 address only exists, without an address here (RFC 2308, RFC 8020)", async () => {
    const b = bench();
    const AAAA = { type: "AAAA" as const, name: "six.test", ttl: 5, data: "2001:db8::1" };
    b.host.names = (asked) => {
      const type = asked[asked.length - 3]; // of the question: name, type, class
      return answerTo(asked, type === 28 ? { answers: [AAAA] } : { authorities: [SOA("test", 60, 60)] });
    };
    expect(head(await ask(b, query("six.test", TYPE.A)))).toBe("abcd81800001000000010000");
  });

  test.each([
    ["no such name", 3, "abcd81830001000000000000"],
    ["a server's failure", 2, "abcd81820001000000000000"],
    ["what it does not implement", 4, "abcd81840001000000000000"],
    ["its refusal", 5, "abcd81850001000000000000"],
  ])("%s is passed on", async (_what, flags, expected) => {
    expect(head(await ask(answering({ flags }), query("a.b", 1)))).toBe(expected);
  });

  test("the root may be asked for", async () => {
    const b = answering({ answers: [{ type: "NS", name: ".", ttl: 5, data: "a.root-servers.net" }] });
    expect(decode(await ask(b, query("", TYPE.NS))).answers).toMatchObject([{ data: "a.root-servers.net" }]);
    expect([...b.host.queries[0].message.subarray(12)]).toEqual([0, 0, 2, 0, 1]);
  });

  test("RD, AD and CD are the guest's; other flags are not passed on", async () => {
    for (const [flags, asked] of [
      [0x0000, 0x0000],
      [0x0130, 0x0130],
      [0x07c0, 0x0100],
    ]) {
      const b = answering({ flags: 0x0020 });
      const answer = await ask(b, query("a.b", 1, { flags }));
      const { message } = b.host.queries[0];
      expect(message[2] * 256 + message[3]).toBe(asked);
      expect(answer[2] * 256 + answer[3]).toBe(0x80a0 | (asked & 0x0110));
    }
  });

  test("an address of IPv6 is none that a guest could use: empty, at once; one who validates asks on", async () => {
    const b = answering({});
    expect(head(await ask(b, query("a.b", TYPE.AAAA)))).toBe("abcd81800001000000000000");
    expect(head(await ask(b, query("a.b", TYPE.AAAA, { edns: 1232 })))).toBe("abcd81800001000000000001");
    expect(b.host.queries).toEqual([]);
    await ask(b, query("a.b", TYPE.AAAA, { edns: 1232, ednsFlags: 0x8000 }));
    expect(b.host.queries.length).toBe(1);
  });
});

describe("EDNS (RFC 6891)", () => {
  test("is said on: DO is kept, size and options are each hop's own", async () => {
    const b = bench();
    b.host.names = (asked) =>
      answerTo(asked, {
        answers: [A("a.b", "192.0.2.1")],
        additionals: [
          {
            type: "OPT",
            name: ".",
            udpPayloadSize: 4000,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0x8000,
            options: [{ code: 10, data: Buffer.from("cookie!!") }],
          } as never,
        ],
      });
    const answer = await ask(b, query("a.b", 1, { edns: 4096, ednsFlags: 0x8000, options: [0, 10, 0, 1, 7] }));
    const { message } = b.host.queries[0];
    expect([...message.subarray(-11)]).toEqual([0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
    expect(message[11]).toBe(1);
    expect(head(answer)).toBe("abcd81800001000100000001");
    expect([...answer.subarray(-11)]).toEqual([0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]);
  });

  test("is not spoken to one who does not, whatever the server says", async () => {
    const b = answering({
      answers: [A("a.b", "192.0.2.1")],
      additionals: [{ type: "OPT", name: "." } as never, A("x.b", "192.0.2.2")],
    });
    const answer = await ask(b, query("a.b", 1));
    expect(b.host.queries[0].message.length).toBe(12 + 9);
    expect(head(answer)).toBe("abcd81800001000100000000");
    expect(answer.length).toBe(12 + 9 + 5 + 14);
  });

  test("a version other than 0 is BADVERS, from here, without an answer", async () => {
    const b = bench({ names: { "a.b": "192.0.2.1" } });
    for (const [text, version] of [
      ["a.b", 1],
      ["c.d", 255],
    ] as const) {
      const answer = await ask(b, query(text, 1, { edns: 1232, version }));
      expect(head(answer)).toBe("abcd81800001000000000001");
      expect([...answer.subarray(-11)]).toEqual([0, 0, 41, 0x04, 0xd0, 1, 0, 0, 0, 0, 0]);
    }
    expect(b.host.queries).toEqual([]);
  });

  test("a response code of 12 bits is passed on to one who speaks it, and is a failure to others", async () => {
    const additionals = [{ type: "OPT", name: ".", extendedRcode: 1 } as never];
    const spoken = await ask(answering({ flags: 7, additionals }), query("a.b", 1, { edns: 1232 }));
    expect([rcode(spoken), spoken.at(-6)]).toEqual([7, 1]);
    expect(rcode(await ask(answering({ flags: 7, additionals }), query("a.b", 1)))).toBe(2);
  });

  test.each([
    ["two of them", [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0], 0, 2],
    ["one with a name", [1, 97, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0], 0, 1],
    ["one among the answers", [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0], 1, 0],
    ["one that ends too soon", [0, 0, 41, 4, 208, 0, 0, 0, 0, 0], 0, 1],
    ["one with a length that lies", [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 1], 0, 1],
    ["one that is missing", [], 0, 1],
  ])("OPT records: %s are a format error", async (_what, records, before, additional) => {
    const b = bench();
    const question = Uint8Array.from([...query("a.b", 1), ...records]);
    question[7] = before;
    question[11] = additional;
    expect(head(await ask(b, question))).toBe("abcd81810000000000000000");
    expect(b.host.queries).toEqual([]);
  });

  test("an OPT record is found behind others", async () => {
    const b = answering({});
    const tsig = [1, 107, 0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 2, 1, 2];
    const plain = query("a.b", 1);
    const question = Uint8Array.from([...plain, ...tsig, ...query("a.b", 1, { edns: 1232 }).subarray(plain.length)]);
    question[11] = 2;
    expect(head(await ask(b, question))).toBe("abcd81800001000000000001");
  });
});

describe("an answer larger than the guest takes", () => {
  const many = Array.from({ length: 100 }, (_, i) => A("x.y", `192.0.2.${i}`));

  test("has as many records as fit, and says so; with EDNS more fit", async () => {
    const short = await ask(answering({ answers: many }), query("x.y", 1));
    expect(short.length).toBeLessThanOrEqual(512);
    expect([short[2] & 2, decode(short).answers!.length]).toEqual([2, Math.floor((512 - 21) / 19)]);
    const longer = await ask(answering({ answers: many }), query("x.y", 1, { edns: 4096 }));
    expect(longer.length).toBeLessThanOrEqual(1232);
    expect([longer[2] & 2, decode(longer).answers!.length]).toEqual([2, Math.floor((1232 - 21 - 11) / 19)]);
    expect([...longer.subarray(-11)]).toEqual([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
  });

  test("a size below 512 means 512 (RFC 6891, 6.2.5)", async () => {
    const answer = await ask(answering({ answers: many.slice(0, 20) }), query("x.y", 1, { edns: 0 }));
    expect([answer[2] & 2, answer.length]).toEqual([0, 12 + 9 + 20 * 19 + 11]);
  });

  test("goes in one packet where the MTU is small", async () => {
    const b = answering({ answers: many }, { mtu: 576 });
    expect((await ask(b, query("x.y", 1, { edns: 4096 }))).length).toBeLessThanOrEqual(548);
  });

  test("is whole without what is only additional (RFC 2181, 9)", async () => {
    const answer = await ask(answering({ answers: many.slice(0, 25), additionals: many }), query("x.y", 1));
    expect([answer[2] & 2, decode(answer).answers!.length, decode(answer).additionals!.length]).toEqual([0, 25, 0]);
    const cut = await ask(answering({ authorities: many, additionals: many }), query("x.y", 1));
    expect([cut[2] & 2, decode(cut).authorities!.length, decode(cut).additionals!.length]).toEqual([2, 25, 0]);
  });

  test("exactly what fits is not cut", async () => {
    // 512 = 12 + 9 of the question + 25 records of 19 + one of 16 bytes.
    const last = { type: "TXT" as const, name: ".", ttl: 1, data: "1234" };
    const fits = await ask(answering({ answers: [...many.slice(0, 25), last] }), query("x.y", 1));
    expect([fits.length, fits[2] & 2]).toEqual([512, 0]);
    const spoken = await ask(answering({ answers: [...many.slice(0, 25), last] }), query("x.y", 1, { edns: 512 }));
    expect([spoken.length, spoken[2] & 2]).toEqual([496 + 11, 2]); // the OPT record has its place
    const over = { ...last, data: "12345" };
    const cut = await ask(answering({ answers: [...many.slice(0, 25), over] }), query("x.y", 1));
    expect([cut.length, cut[2] & 2]).toEqual([496, 2]);
  });
});

describe("names that are known here", () => {
  const options = { names: { "Host.internal": "10.0.2.2", "db.internal.": "192.0.2.9", "too.internal": "10.0.2.2" } };

  test("are the user's: their addresses, whatever the letter case, and nothing else", async () => {
    const b = bench(options);
    const question = query("host.INTERNAL", 1);
    const answer = await ask(b, question);
    expect(head(answer)).toBe("abcd81800001000100000000");
    expect([...answer.subarray(12, question.length)]).toEqual([...question.subarray(12)]);
    expect([...answer.subarray(question.length)]).toEqual([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 2, 2]);
    expect(decode(await ask(b, query("db.internal", 255))).answers).toMatchObject([{ data: "192.0.2.9" }]);
    expect(head(await ask(b, query("host.internal", 28)))).toBe("abcd81800001000000000000");
    expect(head(await ask(b, query("host.internal", 65)))).toBe("abcd81800001000000000000");
    expect(b.host.queries).toEqual([]);
  });

  test("and so are the names of those addresses", async () => {
    const b = bench(options);
    const names = async (text: string, type = 12): Promise<unknown> => decode(await ask(b, query(text, type))).answers;
    expect(await names("2.2.0.10.in-addr.arpa")).toMatchObject([{ type: "PTR", ttl: 60, data: "host.internal" }]);
    expect(await names("9.2.0.192.IN-ADDR.ARPA", 255)).toMatchObject([{ data: "db.internal" }]);
    expect(await names("1.0.0.127.in-addr.arpa")).toMatchObject([{ data: "localhost" }]);
    expect(await names("2.2.0.10.in-addr.arpa", 1)).toEqual([]);
    expect(rcode(await ask(b, query("9.2.2.0.10.in-addr.arpa", 12)))).toBe(3);
    expect(b.host.queries).toEqual([]);
  });

  test.each([
    ["an address of the network without a name", "15.2.0.10.in-addr.arpa", 3],
    ["its name server's", "3.2.0.10.in-addr.arpa", 3],
    ["the network itself", "2.0.10.in-addr.arpa", 0],
    ["its services", "lb._dns-sd._udp.0.2.0.10.in-addr.arpa", 3],
    ["something below an address", "9.2.2.0.10.in-addr.arpa", 3],
    ["no address of it", "300.2.0.10.in-addr.arpa", 3],
    ["another writing of one", "02.2.0.10.in-addr.arpa", 3],
    ["loopback (RFC 6303)", "9.9.0.127.in-addr.arpa", 3],
    ["the zone of loopback", "127.in-addr.arpa", 0],
    ["link-local", "1.1.254.169.in-addr.arpa", 3],
    ["documentation", "7.2.0.192.in-addr.arpa", 3],
    ["this network", "0.0.0.0.in-addr.arpa", 3],
    ["broadcast", "255.255.255.255.in-addr.arpa", 0],
    ["loopback of IPv6", `1.${"0.".repeat(31)}ip6.arpa`, 0],
    ["link-local of IPv6", "1.0.8.e.f.ip6.arpa", 3],
    ["documentation of IPv6", "1.8.b.d.0.1.0.0.2.ip6.arpa", 3],
    ["invalid (RFC 6761)", "Any.Invalid", 3],
    ["onion (RFC 7686)", "abc.onion", 3],
  ])("%s is answered at once", async (_what, text, expected) => {
    const b = bench();
    expect(rcode(await ask(b, query(text, 12)))).toBe(expected);
    expect(b.host.queries).toEqual([]);
  });

  test.each([
    "1.2.0.10.in-addr.arpa.example",
    "4.3.0.10.in-addr.arpa", // another network of the host's, private or not
    "1.1.168.192.in-addr.arpa",
    "0.10.in-addr.arpa",
    "x.0.10.in-addr.arpa",
    "2.2.0.10.5.in-addr.arpa",
    "in-addr.arpa",
    "xinvalid",
    "1.0.0.c.f.ip6.arpa",
  ])("%s is for the host's servers to say", async (text) => {
    const b = answering({});
    await ask(b, query(text, 12));
    expect(b.host.queries.length).toBe(1);
  });

  test("of a larger network than the guests' own the host's servers say the names", async () => {
    const options = { subnet: "10.0.0.0/20", gateway: "10.0.2.2", dns: "10.0.2.3", guest: "10.0.2.15" };
    const b = answering({}, { ...options, names: { "net.test": "172.0.0.0" } });
    for (const text of ["10.in-addr.arpa", "0.10.in-addr.arpa", "1.16.0.10.in-addr.arpa", "172.in-addr.arpa"]) {
      await ask(b, query(text, 12));
    }
    expect(b.host.queries.length).toBe(4);
    expect(rcode(await ask(b, query("15.0.10.in-addr.arpa", 12)))).toBe(0);
    expect(rcode(await ask(b, query("1.15.0.10.in-addr.arpa", 12)))).toBe(3);
    expect(b.host.queries.length).toBe(4);
  });

  test("localhost and all below is the guest's own loopback (RFC 6761, 6.3)", async () => {
    const b = bench();
    for (const text of ["localhost", "a.LocalHost"]) {
      expect(decode(await ask(b, query(text, 1))).answers).toMatchObject([{ data: "127.0.0.1" }]);
    }
    const other = bench({ names: { Localhost: "10.0.2.2" } });
    expect(decode(await ask(other, query("localhost", 1))).answers).toMatchObject([{ data: "10.0.2.2" }]);
    expect(b.host.queries).toEqual([]);
  });

  test("a label may hold a dot, and is then not two", async () => {
    const b = bench(options);
    b.host.names = (asked) => Uint8Array.from(asked, (byte, i) => (i === 2 ? 0x81 : i === 3 ? 0x80 : byte));
    const dotted = Uint8Array.from([
      ...query("", 1).subarray(0, 12),
      13,
      ...Buffer.from("host.internal"),
      0,
      0,
      1,
      0,
      1,
    ]);
    expect(head(await ask(b, dotted))).toBe("abcd81800001000000000000");
    expect(b.host.queries.length).toBe(1);
  });

  test.each(["", ".", "a..b", `${"a".repeat(64)}.test`, `${"a.".repeat(127)}b`, "ü.test", "a b"])(
    "a name that can't be is refused: %j",
    (bad) => {
      const make = (): UserNetwork =>
        new UserNetwork({ host: new MemoryHost(), options: { names: { [bad]: "10.0.2.2" } } });
      expect(make).toThrow(expect.objectContaining({ code: "BAD_VALUE" } satisfies Partial<UserNetworkError>));
    },
  );

  test("a name as long as can be is not", async () => {
    const long = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`;
    const b = bench({ names: { [long]: "10.0.2.2" } });
    expect(decode(await ask(b, query(long, 1))).answers).toMatchObject([{ data: "10.0.2.2" }]);
    expect(decode(await ask(b, query("2.2.0.10.in-addr.arpa", 12))).answers).toMatchObject([{ data: long }]);
  });
});

describe("a policy", () => {
  test("that allows nothing lets no name leave, and no address come", async () => {
    const b = answering({ answers: [A("a.b", "192.0.2.1")] }, { allow: () => false, names: { "h.i": "10.0.2.2" } });
    expect(head(await ask(b, query("a.b", 1)))).toBe("abcd81850001000000000000");
    expect(decode(await ask(b, query("h.i", 1))).answers).toMatchObject([{ data: "10.0.2.2" }]); // never leaves
    expect(b.host.queries).toEqual([]);
    expect(b.network.counters.dropped.prohibited).toBe(1);
  });

  test("is asked for each name, in lower case, even if its answer is known", async () => {
    const asked: unknown[] = [];
    let allowed = true;
    const b = answering(
      { answers: [A("a.b", "192.0.2.1")] },
      {
        allow: (...args) => {
          asked.push(args);
          return allowed;
        },
      },
    );
    expect(rcode(await ask(b, query("A.b", 1)))).toBe(0);
    allowed = false;
    expect(rcode(await ask(b, query("a.b", 1)))).toBe(5);
    expect(asked).toEqual([
      ["dns", "a.b", 53],
      ["dns", "a.b", 53],
    ]);
  });

  test("that throws has refused", async () => {
    const b = bench({
      allow: () => {
        throw new Error("no");
      },
    });
    expect(rcode(await ask(b, query("a.b", 1)))).toBe(5);
    expect(b.network.counters.faults).toBe(1);
  });
});

describe("equal questions", () => {
  const later = (b: Bench): ((fields: AnswerFields) => void)[] => {
    const due: ((fields: AnswerFields) => void)[] = [];
    b.host.names = (asked) => new Promise((resolve) => due.push((fields) => resolve(answerTo(asked, fields))));
    return due;
  };

  test("are asked once, and each is answered, by its own id, port and letter case", async () => {
    const b = bench();
    const due = later(b);
    send(b, query("A.b", 1, { id: 1 }), 4001);
    send(b, query("a.B", 1, { id: 2 }), 4002);
    send(b, query("a.b", 1, { id: 1 }), 4001);
    await settled();
    expect(due.length).toBe(1);
    due[0]({ answers: [A("a.b", "192.0.2.1")] });
    await settled();
    const got = answers(b).map(({ port, bytes }) => [
      port,
      head(bytes).slice(0, 8),
      Buffer.from(bytes.subarray(12, 16)).toString(),
    ]);
    expect(got).toEqual([
      [4001, "00018180", "\x01A\x01b"],
      [4002, "00028180", "\x01a\x01B"],
      [4001, "00018180", "\x01a\x01b"],
    ]);
    expect(b.network.counters).toMatchObject({ dnsAnswered: 3, dnsForwarded: 1 });
  });

  test.each([
    ["another type", query("a.b", 2)],
    ["another name", query("a.c", 1)],
    ["no recursion", query("a.b", 1, { flags: 0 })],
    ["checking disabled", query("a.b", 1, { flags: 0x0110 })],
    ["EDNS", query("a.b", 1, { edns: 1232 })],
    ["EDNS and DNSSEC", query("a.b", 1, { edns: 1232, ednsFlags: 0x8000 })],
    ["a letter outside ASCII of another case", query("\xe9.b", 1)],
  ])("are not those with %s", async (what, other) => {
    const b = bench();
    const due = later(b);
    send(b, what.startsWith("a letter") ? query("\xc9.b", 1) : query("a.b", 1));
    send(b, other);
    await settled();
    expect(due.length).toBe(2);
  });

  test("are not those that want DNSSEC and those that don't", async () => {
    const b = bench();
    const due = later(b);
    for (const ednsFlags of [0, 0x8000, 0]) send(b, query("a.b", 1, { edns: 1232, ednsFlags }));
    await settled();
    expect(b.host.queries.map(({ message }) => message.at(-4))).toEqual([0, 0x80]);
    expect(due.length).toBe(2);
  });

  test("are those whose letters differ in case, from A to Z", async () => {
    const b = bench();
    const due = later(b);
    for (const text of ["AZ[.b", "az[.b", "aZ{.b"]) send(b, query(text, 1));
    await settled();
    expect(due.length).toBe(2);
  });

  test("the answer of one that was given up is not taken for that of the next", async () => {
    const b = bench({ limits: { dnsPending: 1 } });
    const due = later(b);
    send(b, query("a.b", 1), 4001);
    send(b, query("c.d", 1), 4002);
    send(b, query("a.b", 1), 4003);
    await settled();
    expect(answers(b).map(({ port, bytes }) => [port, rcode(bytes)])).toEqual([
      [4001, 2],
      [4002, 2],
    ]);
    due[0]({ flags: 3 });
    await settled();
    expect(answers(b)).toEqual([]);
    due[2]({ answers: [A("a.b", "192.0.2.1")] });
    await settled();
    expect(answers(b).map(({ port, bytes }) => [port, rcode(bytes)])).toEqual([[4003, 0]]);
  });
});

test("the last response code that fits a plain header comes as it is (RFC 6891, 6.1.3: more need EDNS)", async () => {
  expect(rcode(await ask(answering({ flags: 15 }), query("a.b", 1)))).toBe(15);
});

test("a question that gives way is traced by its name", async () => {
  const gone: string[] = [];
  const b = bench({
    limits: { dnsPending: 1 },
    trace: (event) => event.type === "entry-ended" && gone.push(event.entry),
  });
  for (const text of ["a.b", "c.d"]) send(b, query(text, 1));
  await settled();
  expect(gone).toEqual(["a.b"]);
});

describe("answers are kept as long as they are good", () => {
  async function askedAgain(fields: AnswerFields, ms: number, type = 1): Promise<number> {
    const b = answering(fields);
    await ask(b, query("a.b", type));
    b.clock.advance(ms);
    await ask(b, query("a.b", type));
    return b.host.queries.length - 1;
  }

  test.each<[string, AnswerFields, number, number]>([
    ["the shortest TTL counts", { answers: [A("a.b", "192.0.2.1", 60), A("a.b", "192.0.2.2", 9)] }, 8999, 9000],
    [
      "that of additional records too",
      { answers: [A("a.b", "192.0.2.1", 60)], additionals: [A("x.b", "192.0.2.1", 5)] },
      4999,
      5000,
    ],
    ["no such name: the SOA's MINIMUM", { flags: 3, authorities: [SOA("b", 60, 7)] }, 6999, 7000],
    ["no such name: the SOA's TTL", { flags: 3, authorities: [SOA("b", 6, 90)] }, 5999, 6000],
    ["no such record", { authorities: [SOA("b", 60, 7)] }, 6999, 7000],
    [
      "an alias of nothing",
      { answers: [{ type: "CNAME", name: "a.b", ttl: 5, data: "c.d" }], authorities: [SOA("d", 60, 60)] },
      4999,
      5000,
    ],
    ["not for ever: the host's servers may change", { answers: [A("a.b", "192.0.2.1", 86_400)] }, 299_999, 300_000],
  ])("%s", async (_what, fields, good, over) => {
    expect(await askedAgain(fields, good)).toBe(0);
    expect(await askedAgain(fields, over)).toBe(1);
  });

  test.each<[string, AnswerFields]>([
    ["a TTL of 0", { answers: [A("a.b", "192.0.2.1", 0)] }],
    ["a TTL with the uppermost bit (RFC 2181, 8)", { answers: [A("a.b", "192.0.2.1", 0x8000_0001)] }],
    ["no such name, without an SOA (RFC 2308, 5)", { flags: 3 }],
    ["no such name, an alias only", { flags: 3, answers: [{ type: "CNAME", name: "a.b", ttl: 60, data: "c.d" }] }],
    ["no such name, and its address all the same", { flags: 3, answers: [A("a.b", "192.0.2.1")] }],
    ["an alias of what is elsewhere", { answers: [{ type: "CNAME", name: "a.b", ttl: 60, data: "c.d" }] }],
    ["a referral", { authorities: [{ type: "NS", name: "b", ttl: 60, data: "ns.b" }] }],
    [
      "an SOA too short to have a MINIMUM",
      { flags: 3, authorities: [{ type: "UNKNOWN_6" as "NULL", name: "b", ttl: 60, data: Buffer.alloc(21, 1) }] },
    ],
    ["an SOA as the answer's additional", { flags: 3, additionals: [SOA("b", 60, 60)] }],
    ["a failure", { flags: 2, answers: [A("a.b", "192.0.2.1")] }],
    ["a failure with an SOA", { flags: 2, authorities: [SOA("b", 60, 60)] }],
    ["a refusal", { flags: 5, answers: [A("a.b", "192.0.2.1")] }],
    ["what is cut short", { flags: 0x0200, answers: [A("a.b", "192.0.2.1")] }],
    ["what is huge", { answers: Array.from({ length: 300 }, () => A("a.b", "192.0.2.1")) }],
  ])("%s is not kept at all", async (_what, fields) => {
    expect(await askedAgain(fields, 0)).toBe(1);
  });

  test("a referral for the type that was asked for is none", async () => {
    expect(await askedAgain({ authorities: [{ type: "NS", name: "b", ttl: 60, data: "ns.b" }] }, 0, 2)).toBe(1);
    expect(await askedAgain({ answers: [{ type: "NS", name: "b", ttl: 60, data: "ns.b" }] }, 0, 2)).toBe(0);
  });

  test("all records of a name are an answer to ANY", async () => {
    expect(await askedAgain({ answers: [A("a.b", "192.0.2.1", 60)] }, 0, 255)).toBe(0);
  });

  test("five minutes from when they came, however often they are asked for; then their place is free", async () => {
    const b = answering({ answers: [A("a.b", "192.0.2.1", 86_400)] });
    for (const at of [0, 200_000, 299_999]) {
      b.clock.advance(at + 1000 - b.clock.time);
      await ask(b, query("a.b", 1));
    }
    expect(b.host.queries.length).toBe(1);
    b.clock.advance(1);
    await ask(b, query("a.b", 1));
    expect(b.host.queries.length).toBe(2);
    expect(b.network.counters.tables.dnsCache.expired).toBe(0);
    b.clock.advance(300_000);
    expect(b.network.counters.tables.dnsCache.expired).toBe(1);
  });

  test("up to 4096 bytes: a longer one is asked for again", async () => {
    // 12 bytes of header, 9 of the question, 15 of the record and its data: texts of 250 letters and their lengths.
    const again = (last: number): Promise<number> => {
      const data = [...Array.from({ length: 16 }, () => Buffer.alloc(250)), Buffer.alloc(last)];
      return askedAgain({ answers: [{ type: "TXT", name: "a.b", ttl: 60, data }] }, 0, 16);
    };
    const last = 4096 - 12 - 9 - 15 - 16 * 251 - 1;
    expect([await again(last), await again(last + 1)]).toEqual([0, 1]);
  });

  test("what is not kept takes no place", async () => {
    const b = answering({ answers: [A("a.b", "192.0.2.1", 60)] }, { limits: { dnsCache: 1 } });
    await ask(b, query("a.b", 1));
    b.host.names = (asked) => answerTo(asked, { answers: [A("c.d", "192.0.2.1", 0)] });
    await ask(b, query("c.d", 1));
    await ask(b, query("a.b", 1));
    expect(b.host.queries.length).toBe(2);
  });

  test("TTLs go down by whole seconds", async () => {
    const b = answering({ answers: [A("a.b", "192.0.2.1", 10)], authorities: [SOA("b", 60, 60)] });
    const ttls = async (): Promise<unknown> => {
      const { answers, authorities } = decode(await ask(b, query("a.b", 1)));
      return [...answers!, ...authorities!].map((record) => "ttl" in record && record.ttl);
    };
    expect(await ttls()).toEqual([10, 60]);
    b.clock.advance(3999);
    expect(await ttls()).toEqual([7, 57]);
    b.clock.advance(5001);
    expect(await ttls()).toEqual([1, 51]);
    expect(b.host.queries.length).toBe(1);
    expect(b.network.counters).toMatchObject({ dnsAnswered: 3, dnsCached: 2, dnsForwarded: 1 });
  });

  test("an answer of another letter case, id, size and EDNS option is the same", async () => {
    const b = answering({ answers: Array.from({ length: 70 }, (_, i) => A("a.b", `192.0.2.${i}`)) });
    const long = await ask(b, query("a.b", 1, { edns: 4096 }));
    const short = await ask(b, query("A.B", 1, { edns: 512, id: 7, options: [0, 10, 0, 1, 7] }));
    expect([long[2] & 2, short[2] & 2, short.length <= 512, short[13]]).toEqual([2, 2, true, 0x41]);
    expect(b.host.queries.length).toBe(1);
  });

  test("in a bounded table: the one not asked for the longest gives way", async () => {
    const b = answering({ answers: [A("a.b", "192.0.2.1")] }, { limits: { dnsCache: 2 } });
    for (const text of ["a.b", "c.d", "a.b", "e.f", "a.b", "c.d"]) await ask(b, query(text, 1));
    expect(b.host.queries.map(({ message }) => String.fromCharCode(message[13]))).toEqual(["a", "c", "e", "c"]);
    expect(b.network.counters.tables.dnsCache.evicted).toBe(2);
  });
});

describe("each question is answered, whatever the host does", () => {
  test.each<[string, (asked: Uint8Array) => unknown]>([
    ["rejects", () => Promise.reject(new Error("no"))],
    [
      "throws",
      () => {
        throw new Error("no");
      },
    ],
    ["answers with nothing", () => undefined],
    ["answers with text", () => "192.0.2.1"],
    ["answers with no bytes", () => new Uint8Array(0)],
    ["answers with the query", (asked) => asked],
    ["answers with another id", (asked) => answerTo(Uint8Array.from(asked, (byte, i) => (i === 0 ? byte ^ 1 : byte)))],
    ["answers another name", (asked) => answerTo(query("a.c", 1, { id: asked[0] * 256 + asked[1] }))],
    ["answers another type", (asked) => answerTo(query("a.b", 2, { id: asked[0] * 256 + asked[1] }))],
    ["answers for another class", (asked) => answerTo(query("a.b", 1, { id: asked[0] * 256 + asked[1], qclass: 3 }))],
    [
      "answers by another opcode",
      (asked) => Uint8Array.from(answerTo(asked), (byte, i) => (i === 2 ? byte | 8 : byte)),
    ],
    [
      "answers without the question",
      (asked) => Uint8Array.from([...asked.subarray(0, 2), 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]),
    ],
    [
      "says that there is no such name as it does not repeat",
      (asked) => Uint8Array.from([...asked.subarray(0, 2), 0x81, 0x83, 0, 0, 0, 0, 0, 0, 0, 0]),
    ],
    ["answers a part of the question", (asked) => answerTo(asked).slice(0, -1)],
    ["answers with two", (asked) => Uint8Array.from(answerTo(asked), (byte, i) => (i === 5 ? 2 : byte))],
    [
      "promises records that are not there",
      (asked) => Uint8Array.from(answerTo(asked), (byte, i) => (i === 7 ? 1 : byte)),
    ],
    ["has a record that ends too late", (asked) => answerTo(asked, { answers: [A("a.b", "192.0.2.1")] }).slice(0, -1)],
    [
      "has an OPT record among the answers",
      (asked) => answerTo(asked, { answers: [{ type: "OPT", name: "." } as never] }),
    ],
    [
      "has two OPT records",
      (asked) =>
        answerTo(asked, {
          additionals: [
            { type: "OPT", name: "." },
            { type: "OPT", name: "." },
          ] as never[],
        }),
    ],
  ])("one that %s is a failure", async (_what, names) => {
    const b = bench();
    b.host.names = names as typeof b.host.names;
    expect(head(await ask(b, query("a.b", 1)))).toBe("abcd81820001000000000000");
    b.host.names = (asked) => answerTo(asked);
    expect(head(await ask(b, query("a.b", 1)))).toBe("abcd81800001000000000000");
  });

  test("a method that throws at once is a failure, and a fault", async () => {
    const b = bench();
    Object.assign(b.host, {
      resolve: () => {
        throw new Error("no");
      },
    });
    expect(rcode(await ask(b, query("a.b", 1)))).toBe(2);
    expect(b.network.counters.faults).toBe(1);
  });

  test("one that could not read the question need not repeat it (FORMERR)", async () => {
    const b = bench();
    b.host.names = (asked) => Uint8Array.from([...asked.subarray(0, 2), 0x80, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(head(await ask(b, query("a.b", 1)))).toBe("abcd81810001000000000000");
  });

  test("records cut short are left out, and TC said on (RFC 2181, 9)", async () => {
    const b = bench();
    b.host.names = (asked) => answerTo(asked, { flags: 0x0200, answers: [A("a.b", "192.0.2.1")] }).slice(0, -3);
    expect(head(await ask(b, query("a.b", 1)))).toBe("abcd83800001000000000000");
  });

  test.each([
    ["a pointer to itself", [0xc0, 21]],
    ["a pointer ahead, to a name", [0xc0, 33]],
    ["a pointer into the header", [0xc0, 4]],
    ["a loop of labels and a pointer", [1, 97, 0xc0, 21]],
    ["a label of 64", [64, ...Array(64).fill(97), 0]],
    ["a label of an unknown kind", [0x80, 12]],
    ["a label of another unknown kind", [0x40, 0]],
    ["256 bytes", [...Array(127).fill([1, 97]).flat(), 1, 97, 0]],
    ["a pointer cut in two", [0xc0]],
  ])("a record's name that is none (%s) makes a failure", async (what, bad) => {
    const b = bench();
    b.host.names = (asked) => {
      const end = what.endsWith("two") ? [] : [0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 0, 0, 0, 0];
      const answer = Uint8Array.from([...answerTo(asked), ...bad, ...end]);
      answer[7] = 1;
      return answer;
    };
    expect(head(await ask(b, query("a.b", 1)))).toBe("abcd81820001000000000000");
  });

  test("a record's name that leads into a loop before it makes a failure", async () => {
    const b = bench();
    b.host.names = (asked) => {
      const end = answerTo(asked).length;
      const loop = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, end + 12];
      const answer = Uint8Array.from([...answerTo(asked), ...loop, 0xc0, end + 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 0]);
      answer[7] = 2;
      return answer;
    };
    expect(head(await ask(b, query("a.b", 1)))).toBe("abcd81820001000000000000");
  });

  test("a record's name of 255 bytes, by pointers, is one", async () => {
    const b = bench();
    const long = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(59)}`;
    b.host.names = (asked) => {
      const answer = Uint8Array.from([...answerTo(asked), 1, 97, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 0]);
      answer[7] = 1;
      return answer;
    };
    expect(rcode(await ask(b, query(long, 1)))).toBe(0);
    expect(rcode(await ask(b, query(`x${long.slice(0, 62)}.${long}`.slice(64), 1)))).toBe(0);
    const longest = long.replace("d".repeat(59), "d".repeat(61));
    expect(rcode(await ask(b, query(longest, 1)))).toBe(2); // 255 and two more
  });

  test("one that says nothing is a failure in the end, and is told to stop", async () => {
    const b = bench();
    send(b, query("a.b", 1));
    b.clock.advance(19_999);
    expect(b.guest.got()).toEqual([]);
    b.clock.advance(1);
    expect(answers(b).map(({ bytes }) => head(bytes))).toEqual(["abcd81820001000000000000"]);
    expect(b.host.queries.map(({ signal }) => signal.aborted)).toEqual([true]);
    expect(b.network.counters.tables.dns.expired).toBe(1);
    b.host.names = (asked) => answerTo(asked);
    expect(rcode(await ask(b, query("a.b", 1)))).toBe(0);
  });

  test("a good name waits for no bad one: of too many that wait, the oldest gives way", async () => {
    const b = bench({ limits: { dnsPending: 3 } });
    for (let i = 0; i < 5; i++) send(b, query(`bad${i}.test`, 1), 4000 + i);
    await settled();
    expect(answers(b).map(({ port, bytes }) => [port, rcode(bytes)])).toEqual([
      [4000, 2],
      [4001, 2],
    ]);
    expect(b.host.queries.map(({ signal }) => signal.aborted)).toEqual([true, true, false, false, false]);
    b.host.names = (asked) => answerTo(asked, { answers: [A("good.test", "192.0.2.1")] });
    send(b, query("good.test", 1), 5000);
    await settled();
    expect(answers(b).map(({ port, bytes }) => [port, rcode(bytes)])).toEqual([
      [4002, 2],
      [5000, 0],
    ]);
    expect(b.network.counters.tables.dns.evicted).toBe(3);
  });

  test("those that were answered wait no more: a thousand, one after the other, push nobody out", async () => {
    const b = bench({ limits: { dnsPending: 2 } });
    send(b, query("silent.test", 1), 4001);
    for (let i = 0; i < 1000; i++) {
      b.host.names = (asked) => (i % 2 === 0 ? answerTo(asked) : Promise.reject(new Error("no")));
      expect(rcode(await ask(b, query(`n${i}.test`, 1)))).toBe(i % 2 === 0 ? 0 : 2);
    }
    b.clock.advance(20_000);
    expect(answers(b).map(({ port }) => port)).toEqual([4001]);
    expect(b.network.counters.tables.dns).toEqual({ evicted: 0, expired: 1 });
    b.network.close();
    expect(b.clock.pending).toBe(0);
  });

  test("one that gives way to the same question leaves it to be asked anew", async () => {
    const b = bench({ limits: { dnsPending: 1 } });
    send(b, query("a.b", 1), 4001);
    b.host.names = (asked) => answerTo(asked);
    send(b, query("a.b", 1), 4002);
    await settled();
    expect(answers(b).map(({ port, bytes }) => [port, rcode(bytes)])).toEqual([
      [4001, 2],
      [4002, 0],
    ]);
  });

  test("one of several that wait for the same gives way alone", async () => {
    const b = bench({ limits: { dnsPending: 2 } });
    for (let port = 4001; port <= 4003; port++) send(b, query("a.b", 1), port);
    await settled();
    expect(answers(b).map(({ port }) => port)).toEqual([4001]);
    expect(b.host.queries.map(({ signal }) => signal.aborted)).toEqual([false]);
  });

  test("the memory of a query is the host's own", async () => {
    const b = bench();
    b.host.names = (asked) => {
      const answer = answerTo(asked);
      asked.fill(0xee);
      return answer;
    };
    expect(rcode(await ask(b, query("a.b", 1)))).toBe(0);
  });

  test("the memory of an answer may be used again", async () => {
    const b = bench();
    b.host.names = (asked) => {
      const bytes = answerTo(asked, { answers: [A("a.b", "192.0.2.1")] });
      void Promise.resolve().then(() => Promise.resolve().then(() => setTimeout(() => bytes.fill(0xee))));
      return bytes;
    };
    const first = await ask(b, query("a.b", 1));
    await new Promise((resolve) => setTimeout(resolve, 2));
    expect(await ask(b, query("a.b", 1))).toEqual(first);
    expect(b.host.queries.length).toBe(1);
  });
});

describe("a guest that is gone", () => {
  test("gets no answer any more, nor does the next one at its address", async () => {
    const b = bench();
    let answer: (() => void) | undefined;
    b.host.names = (asked) =>
      new Promise((resolve) => {
        answer = () => resolve(answerTo(asked, { answers: [A("a.b", "192.0.2.1")] }));
      });
    send(b, query("a.b", 1));
    b.network.detach();
    expect(b.host.queries.map(({ signal }) => signal.aborted)).toEqual([true]);
    const next = new TestGuest(b.network);
    b.network.attach(next);
    next.hello(GUEST);
    answer?.();
    await settled();
    expect(next.got()).toEqual([]);
    expect(b.network.counters.dnsAnswered).toBe(0);
    // And what it had asked is not known any more.
    b.host.names = (asked) => answerTo(asked, { answers: [A("a.b", "192.0.2.1")] });
    next.send(udpFrame(4000, 53, query("a.b", 1), { destination: DNS, fromMac: GUEST_MAC }));
    await settled();
    expect(b.host.queries.length).toBe(2);
    b.network.detach();
    b.network.attach(next);
    next.send(udpFrame(4000, 53, query("a.b", 1), { destination: DNS, fromMac: GUEST_MAC }));
    expect(b.host.queries.length).toBe(3);
    b.network.close();
    expect(b.clock.pending).toBe(0);
  });
});

describe("questions that are none", () => {
  test.each([
    ["another opcode: not implemented", query("a.b", 1, { flags: 0x2900 }), "abcda9840000000000000000"],
    ["another class: refused", query("a.b", 1, { qclass: 3 }), "abcd81850001000000000000"],
    ["a transfer: refused", query("a.b", 252), "abcd81850001000000000000"],
    ["no question", Uint8Array.from(query("a.b", 1), (byte, i) => (i === 5 ? 0 : byte)), "abcd81810000000000000000"],
    ["two questions", Uint8Array.from(query("a.b", 1), (byte, i) => (i === 5 ? 2 : byte)), "abcd81810000000000000000"],
    [
      "a pointer as its name",
      Uint8Array.from(query("a.b", 1), (byte, i) => (i === 12 ? 0xc0 : byte)),
      "abcd81810000000000000000",
    ],
    [
      "a name of 256 bytes",
      query(`${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(62)}`, 1),
      "abcd81810000000000000000",
    ],
  ])("%s", async (_what, question, expected) => {
    const b = bench();
    expect(head(await ask(b, question))).toBe(expected);
    expect(b.host.queries).toEqual([]);
  });

  test("a name of 255 bytes is one", async () => {
    const b = answering({});
    const text = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`;
    expect(rcode(await ask(b, query(text, 1)))).toBe(0);
  });

  test("pieces of one are refused or dropped, and never answered at length; answers are not answered", async () => {
    const b = bench();
    const good = query("x.y", 1);
    for (let length = 0; length < good.length; length++) send(b, good.slice(0, length));
    send(
      b,
      Uint8Array.from(good, (byte, i) => (i === 2 ? byte | 0x80 : byte)),
    );
    await settled();
    expect(b.host.queries).toEqual([]);
    for (const { bytes } of answers(b)) expect(head(bytes)).toBe("abcd81810000000000000000");
    expect(b.network.counters.dropped.malformed).toBe(12 + 1);
    expect(b.network.counters.dnsAnswered).toBe(good.length - 12);
  });

  test("what stands behind a whole question is not looked at", async () => {
    const b = answering({});
    expect(head(await ask(b, Uint8Array.from([...query("a.b", 1), 1, 2, 3])))).toBe("abcd81800001000000000000");
    expect([...b.host.queries[0].message.subarray(12)]).toEqual([...name("a.b"), 0, 1, 0, 1]);
  });
});
