/** The TFTP server, by RFC 1350, 2347, 2348, 2349 and 7440: a client that knows no more than these fetches files. */

import { OFFLOAD_ALL } from "@virtio-ts/net-link";
import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Bench, bench } from "../support/test-guest.ts";
import { GATEWAY, udpFrame, WORLD } from "../support/wire-test.ts";

const text = (...parts: string[]): number[] => parts.flatMap((part) => [...new TextEncoder().encode(part), 0]);
const rrq = (...parts: string[]): Uint8Array => Uint8Array.from([0, 1, ...text(...parts)]);
const ack = (block: number): Uint8Array => Uint8Array.of(0, 4, (block >> 8) & 255, block & 255);
const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255);

/** What the server sent: its port, and the message. */
function heard(b: Bench): { port: number; message: number[] }[] {
  return b.guest.got().map(({ view, payload }) => ({ port: view.getUint16(34), message: [...payload.subarray(8)] }));
}

function tell(b: Bench, port: number, message: Uint8Array, from = 2000): void {
  b.guest.send(udpFrame(from, port, message, { destination: GATEWAY }));
}

describe("a file is read", () => {
  test("in blocks of 512 bytes, each acknowledged, from a port of the transfer's own; the last one is shorter", () => {
    const b = bench({ tftp: { "a.txt": bytes(700) } });
    tell(b, 69, rrq("a.txt", "octet"));
    const [first] = heard(b);
    expect(first.port).not.toBe(69);
    expect(first.message).toEqual([0, 3, 0, 1, ...bytes(700).subarray(0, 512)]);
    tell(b, first.port, ack(1));
    expect(heard(b)).toEqual([{ port: first.port, message: [0, 3, 0, 2, ...bytes(700).subarray(512)] }]);
    tell(b, first.port, ack(2));
    expect(heard(b)).toEqual([]);
    b.network.close();
    expect(b.clock.pending).toBe(0);
  });

  test("that fills its blocks ends with an empty one, and so does an empty file", () => {
    const b = bench({ tftp: { full: bytes(512), empty: bytes(0) } });
    tell(b, 69, rrq("/full", "OCTET"));
    const [{ port }] = heard(b);
    tell(b, port, ack(1));
    expect(heard(b)).toEqual([{ port, message: [0, 3, 0, 2] }]);
    tell(b, port, ack(2));
    tell(b, 69, rrq("empty", "octet"), 2001);
    expect(heard(b).map(({ message }) => message)).toEqual([[0, 3, 0, 1]]);
  });

  test("with its options acknowledged: block size, size of the file, time-out, window; those unknown are left out", () => {
    const b = bench({ tftp: { k: bytes(5000) } });
    tell(b, 69, rrq("k", "octet", "BLKSIZE", "1024", "tsize", "0", "x", "1", "timeout", "3", "windowsize", "3"));
    const [{ port, message }] = heard(b);
    expect(message).toEqual([0, 6, ...text("blksize", "1024", "tsize", "5000", "timeout", "3", "windowsize", "3")]);
    tell(b, port, ack(0));
    expect(heard(b).map(({ message }) => [message[3], message.length])).toEqual([
      [1, 1028],
      [2, 1028],
      [3, 1028],
    ]);
    tell(b, port, ack(2)); // the third was lost
    expect(heard(b).map(({ message }) => [message[3], message.length])).toEqual([
      [3, 1028],
      [4, 1028],
      [5, 908],
    ]);
  });

  test.each([
    ["larger than a packet", "65464", "1468"],
    ["the least", "8", "8"],
  ])("in blocks of a size that is %s", (_, wanted, given) => {
    const b = bench({ tftp: { k: bytes(20) } });
    tell(b, 69, rrq("k", "octet", "blksize", wanted));
    expect(heard(b)[0].message).toEqual([0, 6, ...text("blksize", given)]);
  });

  test.each(["7", "-8", "1e3", "", "99999999999"])("as if a block size of %j had not been asked for", (wanted) => {
    const b = bench({ tftp: { k: bytes(20) } });
    tell(b, 69, rrq("k", "octet", "blksize", wanted));
    expect(heard(b)[0].message.slice(0, 4)).toEqual([0, 3, 0, 1]);
  });

  test.each([
    ["0", undefined],
    ["1", "1"],
    ["255", "255"],
    ["256", undefined],
  ])("with a time-out of %j seconds answered by %j (RFC 2349: 1 to 255)", (wanted, given) => {
    const b = bench({ tftp: { k: bytes(20) } });
    tell(b, 69, rrq("k", "octet", "tsize", "0", "timeout", wanted));
    const options = ["tsize", "20", ...(given === undefined ? [] : ["timeout", given])];
    expect(heard(b)[0].message).toEqual([0, 6, ...text(...options)]);
  });

  test.each([
    ["windowsize", "x"],
    ["windowsize", "0"],
    ["timeout", "-1"],
    ["tsize", "all"],
  ])("as if %s %j had not been asked for", (name, value) => {
    const b = bench({ tftp: { k: bytes(20) } });
    tell(b, 69, rrq("k", "octet", name, value));
    expect(heard(b)[0].message).toEqual([0, 3, 0, 1, ...bytes(20)]);
  });

  test("whose blocks are more than 65,535: their numbers go on at 0", () => {
    const file = bytes(65_540 * 8);
    const b = bench({ tftp: { long: file } });
    const got: number[] = [];
    const misnumbered: number[] = [];
    const frame = new Uint8Array(128);
    let port = 69;
    let block = 0;
    let isOver = false;
    b.network.attach({
      accepts: OFFLOAD_ALL,
      take: (burst, first) => {
        for (let i = first; i < burst.count; i++) {
          const length = burst.copyFrame(i, 0, frame, 0, frame.length);
          port = frame[34] * 256 + frame[35];
          if (frame[43] !== 3) continue;
          if (frame[44] * 256 + frame[45] !== (++block & 0xffff)) misnumbered.push(block);
          for (let at = 46; at < length; at++) got.push(frame[at]);
          isOver = length < 54;
        }
        return burst.count;
      },
      resume: () => {},
    });
    tell(b, 69, rrq("long", "octet", "blksize", "8", "windowsize", "64"));
    while (!isOver) tell(b, port, ack(block & 0xffff));
    expect(misnumbered).toEqual([]);
    expect(Buffer.compare(Uint8Array.from(got), file)).toBe(0);
  });
});

describe("a transfer", () => {
  test("sends a block again after a second without an acknowledgement, then after two, and ends after the sixth wait", () => {
    const b = bench({ tftp: { a: bytes(10) } });
    tell(b, 69, rrq("a", "octet"));
    heard(b);
    for (const wait of [1000, 2000, 4000, 8000, 16_000]) {
      b.clock.advance(wait - 1);
      expect(heard(b)).toEqual([]);
      b.clock.advance(1);
      expect(heard(b)).toHaveLength(1);
    }
    b.clock.advance(1e6);
    expect(heard(b)).toEqual([]);
  });

  test("answers an acknowledgement that comes twice once only (RFC 1123, 4.2.3.1)", () => {
    const b = bench({ tftp: { a: bytes(2000) } });
    tell(b, 69, rrq("a", "octet"));
    const [{ port }] = heard(b);
    tell(b, port, ack(1));
    tell(b, port, ack(1));
    tell(b, port, ack(5));
    expect(heard(b)).toHaveLength(1);
  });

  test("is nobody else's: what another port says to it changes nothing", () => {
    const b = bench({ tftp: { a: bytes(2000) } });
    tell(b, 69, rrq("a", "octet"));
    const [{ port }] = heard(b);
    tell(b, port, ack(1), 2001);
    expect(heard(b).filter(({ message }) => message[1] === 3)).toEqual([]);
  });

  test("goes on when another guest asks from the same port", () => {
    const b = bench({ tftp: { a: bytes(2000) } });
    const source = 0x0a000210;
    tell(b, 69, rrq("a", "octet"));
    b.guest.send(udpFrame(2000, 69, rrq("a", "octet"), { destination: GATEWAY, source }));
    const [{ port }, other] = heard(b);
    tell(b, port, ack(1));
    b.guest.send(udpFrame(2000, other.port, ack(1), { destination: GATEWAY, source }));
    expect(heard(b).map(({ message }) => message.slice(0, 4))).toEqual([
      [0, 3, 0, 2],
      [0, 3, 0, 2],
    ]);
  });

  test("has a port that is chosen at random among the dynamic ones (RFC 1350, 4; RFC 6335, 6)", () => {
    const b = bench({ tftp: { a: bytes(1) } });
    for (let i = 0; i < 40; i++) tell(b, 69, rrq("a", "octet"), 3000 + i);
    const ports = heard(b).map(({ port }) => port);
    for (const port of ports) expect(port).toBeGreaterThanOrEqual(49_152);
    expect(Math.max(...ports) - Math.min(...ports)).toBeGreaterThan(8192);
  });

  test("ends when the guest says that it gives up, and with the link", () => {
    const b = bench({ tftp: { a: bytes(2000) } });
    tell(b, 69, rrq("a", "octet"));
    const [{ port }] = heard(b);
    tell(b, port, Uint8Array.from([0, 5, 0, 0, 0]));
    b.clock.advance(5000);
    expect(heard(b)).toEqual([]);
    tell(b, 69, rrq("a", "octet"));
    heard(b);
    b.network.detach();
    b.network.attach(b.guest);
    b.clock.advance(5000);
    expect(heard(b)).toEqual([]);
  });

  test("begins anew where the guest asks again, for the first answer may have been lost", () => {
    const b = bench({ tftp: { a: bytes(2000) } });
    tell(b, 69, rrq("a", "octet"));
    tell(b, 69, rrq("a", "octet"));
    expect(heard(b).map(({ message }) => message.slice(0, 4))).toEqual([
      [0, 3, 0, 1],
      [0, 3, 0, 1],
    ]);
    b.clock.advance(1000);
    expect(heard(b)).toHaveLength(1);
  });

  test("gives way to others, the one idle for longest first, where there are 64", () => {
    const gone: string[] = [];
    const b = bench({
      tftp: { a: bytes(2000) },
      trace: (event) => event.type === "entry-ended" && gone.push(event.entry),
    });
    for (let i = 0; i <= 64; i++) tell(b, 69, rrq("a", "octet"), 3000 + i);
    expect(gone).toEqual(["10.0.2.15:3000 a"]);
    const ports = heard(b).map(({ port }) => port);
    expect(new Set(ports).size).toBe(65);
    expect(b.network.counters.tables.tftp.evicted).toBe(1);
    tell(b, ports[1], ack(1), 3001);
    expect(heard(b)).toHaveLength(1);
  });
});

describe("a request is refused", () => {
  test.each<[string, Uint8Array, number[]]>([
    ["for a file that is not there", rrq("b", "octet"), [0, 5, 0, 1, ...text("there is no such file")]],
    ["for what every object has", rrq("toString", "octet"), [0, 5, 0, 1, ...text("there is no such file")]],
    ["to write", Uint8Array.from([0, 2, ...text("a", "octet")]), [0, 5, 0, 2, ...text("files are only read here")]],
    ["without a mode", rrq("a"), [0, 5, 0, 4, ...text("a request has a file and a mode")]],
    [
      "without a zero at its end",
      Uint8Array.of(0, 1, 97, 0, 98),
      [0, 5, 0, 4, ...text("a request has a file and a mode")],
    ],
    ["by mail", rrq("a", "mail"), [0, 5, 0, 4, ...text("the mode is octet")]],
  ])("%s", (_, request, answer) => {
    const b = bench({ tftp: { a: bytes(1) } });
    tell(b, 69, request);
    expect(heard(b).map(({ message }) => message)).toEqual([answer]);
  });

  test.each([[[]], [[0]], [[0, 4, 0, 1]], [[1, 1, 97, 0, 98, 0]]])(
    "not, but dropped, where %j is no request",
    (request) => {
      const b = bench({ tftp: { a: bytes(1) } });
      tell(b, 69, Uint8Array.from(request));
      expect(heard(b)).toEqual([]);
      expect(b.network.counters.dropped.malformed).toBe(1);
    },
  );

  test("as by any closed port where no files are served; one of the world's servers is asked there", () => {
    const b = bench();
    b.guest.send(udpFrame(2000, 69, rrq("a", "octet"), { destination: WORLD }));
    expect(b.host.sockets[0].sent).toHaveLength(1);
    const served = bench({ tftp: {} });
    served.guest.send(udpFrame(2000, 69, rrq("a", "octet"), { destination: WORLD }));
    expect(served.host.sockets[0].sent).toHaveLength(1);
  });
});

describe("files of a function", () => {
  test("are asked for by the path as it came, and may come later; a request repeated meanwhile is served once", async () => {
    const asked: string[] = [];
    let give: (file: Uint8Array) => void = () => {};
    const b = bench({
      tftp: (path) => {
        asked.push(path);
        return new Promise((resolve) => {
          give = resolve;
        });
      },
    });
    tell(b, 69, rrq("/boot/x", "octet"));
    tell(b, 69, rrq("/boot/x", "octet"));
    expect(asked).toEqual(["/boot/x"]);
    give(bytes(3));
    await Promise.resolve();
    await Promise.resolve();
    expect(heard(b).map(({ message }) => message)).toEqual([[0, 3, 0, 1, ...bytes(3)]]);
  });

  test.each<[string, () => never]>([
    [
      "throws",
      () => {
        throw new Error("no");
      },
    ],
    ["is rejected", (() => Promise.reject(new Error("no"))) as unknown as () => never],
    ["gives a text", (() => "text") as unknown as () => never],
    ["promises a text", (() => Promise.resolve("text")) as unknown as () => never],
  ])("that %s are not there, and it is told once", async (_, files) => {
    const faults: unknown[] = [];
    const b = bench({ tftp: files, trace: (event) => event.type === "fault" && faults.push(event.error.code) });
    tell(b, 69, rrq("a", "octet"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard(b).map(({ message }) => message.slice(0, 4))).toEqual([[0, 5, 0, 1]]);
    expect(faults).toEqual(["CALLBACK_FAILED"]);
  });

  test("that come when the guest is gone go nowhere", async () => {
    let give: (file: Uint8Array) => void = () => {};
    const b = bench({
      tftp: () =>
        new Promise((resolve) => {
          give = resolve;
        }),
    });
    tell(b, 69, rrq("a", "octet"));
    b.network.detach();
    b.network.attach(b.guest);
    give(bytes(3));
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard(b)).toEqual([]);
    b.network.close();
    expect(b.clock.pending).toBe(0);
  });
});

/** Fetches a file as the RFCs say, over a line on which each datagram has a fate. Returns what arrived. */
function fetchOver(b: Bench, request: Uint8Array, blockSize: number, fates: Iterator<string>): Uint8Array {
  const fate = (): string => fates.next().value ?? "arrives";
  for (let turns = 0; turns < 100; turns++) {
    let port = 69;
    let message = request;
    let got: number[] = [];
    for (let silent = 0; silent < 10; silent++) {
      const what = fate();
      if (what !== "lost") tell(b, port, message);
      if (what === "twice") tell(b, port, message);
      if (b.guest.frames.length === 0) b.clock.advance(1000);
      for (const { port: from, message: answer } of heard(b)) {
        if (fate() === "lost") continue;
        if (port === 69) port = from;
        if (from !== port) continue;
        silent = -1;
        if (answer[1] === 6) message = ack(0);
        if (answer[1] !== 3) continue;
        if (answer[2] * 256 + answer[3] === got.length / blockSize + 1) {
          got = got.concat(answer.slice(4));
          if (answer.length - 4 < blockSize) return Uint8Array.from(got);
        }
        message = ack(got.length / blockSize);
      }
    }
  }
  throw new Error("the server has fallen silent");
}

test("a file arrives whole whatever datagrams are lost or come twice", () => {
  const story = fc.record({
    length: fc.oneof(fc.constantFrom(0, 1, 511, 512, 513, 1024), fc.nat({ max: 9000 })),
    options: fc.subarray(["blksize", "windowsize", "tsize"]),
    size: fc.integer({ min: 8, max: 1500 }),
    window: fc.integer({ min: 1, max: 70 }),
    fates: fc.array(fc.constantFrom("lost", "twice", "arrives", "arrives"), { maxLength: 40 }),
  });
  fc.assert(
    fc.property(story, ({ length, options, size, window, fates }) => {
      const file = bytes(length);
      const b = bench({ tftp: { f: file } });
      const values: Record<string, string> = { blksize: String(size), windowsize: String(window), tsize: "0" };
      const request = rrq("f", "octet", ...options.flatMap((name) => [name, values[name]]));
      const blockSize = options.includes("blksize") ? Math.min(size, 1468) : 512;
      expect(Buffer.compare(fetchOver(b, request, blockSize, fates.values()), file)).toBe(0);
      b.network.close();
      expect(b.clock.pending).toBe(0);
    }),
    propertyOptions(60),
  );
});
