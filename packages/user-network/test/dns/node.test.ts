/** Real name servers behind the network: silent, slow, lying, cutting short, refusing. All on the loopback. */
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type HostSockets, UserNetwork, type UserNetworkOptions } from "../../src/index.ts";
import { HostsFile, parseHosts } from "../../src/node/hosts-file.ts";
import { nodeHostSockets } from "../../src/node/index.ts";
import { NameServers, parseServer } from "../../src/node/name-servers.ts";
import { NodeResolver } from "../../src/node/resolver.ts";
import { TestGuest } from "../support/test-guest.ts";
import { DNS, udpFrame } from "../support/wire-test.ts";
import { A, answerTo, decode, head, query, SOA } from "./messages.ts";
import { NameServer, type Says } from "./name-server.ts";

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

async function serve(says: Says, address?: string): Promise<NameServer> {
  const server = await NameServer.start(says, address);
  open.push(() => server.close());
  return server;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
async function until(what: () => boolean): Promise<void> {
  while (!what()) await turn(); // the test's own time-out ends it
}

const never = new AbortController().signal;
const asking = query("a.test", 1, { id: 0x1234 });
/** Waits so long for each server, ms: enough for the loopback. */
const PATIENCE = 10_000;
const HASTE = 40;

function resolver(servers: readonly NameServer[], rounds: readonly number[] = [PATIENCE]): NodeResolver {
  return new NodeResolver(new NameServers(() => servers.map(({ address }) => address)), undefined, rounds);
}

const sockets = (): number => process.getActiveResourcesInfo().filter((name) => /TCP|UDP/.test(name)).length;

const good: Says = ({ query }) => answerTo(query, { answers: [A("a.test", "192.0.2.1")] });
const addressIn = (answer: Uint8Array): unknown =>
  decode(answer).answers?.map((record) => "data" in record && record.data);

describe("a guest", () => {
  function start(server: NameServer, options: UserNetworkOptions = {}): { network: UserNetwork; guest: TestGuest } {
    const host = nodeHostSockets({ nameServers: [server.address] });
    const network = new UserNetwork({ host, options });
    const guest = new TestGuest(network);
    network.attach(guest);
    open.push(() => network.close());
    return { network, guest };
  }

  async function ask(guest: TestGuest, message: Uint8Array): Promise<Uint8Array> {
    guest.send(udpFrame(4000, 53, message, { destination: DNS }));
    await until(() => guest.frames.length > 0);
    return guest.one().payload.slice(8);
  }

  test.each(Object.entries({ SOA: 6, NAPTR: 35, DS: 43, DNSKEY: 48, SVCB: 64, HTTPS: 65, ANY: 255, CAA: 257 }))(
    "asks for %s and gets what the server has",
    async (_type, type) => {
      const server = await serve(({ query }) => answerTo(query, { authorities: [SOA("test", 60, 60)] }));
      const answer = await ask(start(server).guest, query("a.test", type));
      expect(head(answer)).toBe("abcd81800001000000010000");
      expect(server.asked.length).toBe(1);
    },
  );

  test("a name without an address is no error", async () => {
    const server = await serve(({ query }) => answerTo(query, { authorities: [SOA("test", 60, 60)] }));
    expect(head(await ask(start(server).guest, query("mx-only.test", 1)))).toBe("abcd81800001000000010000");
  });

  test("a name goes out as it was asked for: no search list, no other case", async () => {
    const server = await serve(({ query }) => answerTo(query, { flags: 3 }));
    const question = query("NoSuchName.Test", 1);
    expect(head(await ask(start(server).guest, question))).toBe("abcd81830001000000000000");
    expect(server.asked.map((asked) => [...asked.query.subarray(12)])).toEqual([[...question.subarray(12)]]);
  });

  test("names of the network's own addresses are answered without a server", async () => {
    const server = await serve(() => undefined);
    const { guest } = start(server);
    expect(head(await ask(guest, query("2.2.0.10.in-addr.arpa", 12)))).toBe("abcd81830001000000000000");
    expect(server.asked).toEqual([]);
  });

  test("no name leaves where the policy allows nothing", async () => {
    const server = await serve(good);
    const { guest } = start(server, { allow: () => false });
    expect(head(await ask(guest, query("a.test", 1)))).toBe("abcd81850001000000000000");
    expect(server.asked).toEqual([]);
  });

  test("a good name waits for no bad one, though a hundred servers are silent", async () => {
    const server = await serve((asked, self) => (asked.query[12] === 3 ? undefined : good(asked, self)));
    const { guest } = start(server);
    for (let i = 0; i < 100; i++) {
      guest.send(udpFrame(5000 + i, 53, query(`n${String(i).padStart(2, "0")}.bad`, 1), { destination: DNS }));
    }
    expect(addressIn(await ask(guest, query("a.test", 1)))).toEqual(["192.0.2.1"]);
  });

  test("asks from another port of the host each time", async () => {
    const server = await serve(({ query }) => answerTo(query));
    const { guest } = start(server);
    for (let i = 0; i < 20; i++) await ask(guest, query(`n${i}.test`, 1));
    const ports = server.asked.map(({ port }) => port);
    expect(new Set(ports).size).toBeGreaterThan(15);
    expect(ports.filter((port, i) => i > 0 && Math.abs(port - ports[i - 1]) <= 2).length).toBeLessThan(10);
  });

  test("that leaves in the middle leaves no socket behind", async () => {
    await until(() => sockets() === 0);
    const server = await serve(() => undefined);
    const { guest, network } = start(server);
    guest.send(udpFrame(4000, 53, asking, { destination: DNS }));
    await until(() => server.asked.length > 0);
    expect(sockets()).toBe(3); // the server's two, and a question
    network.close();
    await until(() => sockets() === 2);
  });

  test("hears of the hosts file and localhost", async () => {
    const network = new UserNetwork({ host: nodeHostSockets() });
    const guest = new TestGuest(network);
    network.attach(guest);
    open.push(() => network.close());
    expect(addressIn(await ask(guest, query("localhost", 1)))).toEqual(["127.0.0.1"]);
  });
});

describe("a name server", () => {
  test("that lies is not heard: another id, another question, no answer at all, another port", async () => {
    const other = createSocket("udp4");
    open.push(() => other.close());
    await new Promise<void>((resolve) => other.bind(0, "127.0.0.1", resolve));
    const server = await serve(({ query: asked, port }) => {
      const wrong = answerTo(asked, { answers: [A("a.test", "203.0.113.66")] });
      const id = Uint8Array.from(wrong, (byte, i) => (i === 1 ? byte ^ 1 : byte));
      const question = answerTo(query("b.test", 1, { id: 0x1234 }), { answers: [A("b.test", "203.0.113.66")] });
      other.send(wrong, port, "127.0.0.1");
      return [id, question, asked, new Uint8Array(3), answerTo(asked, { answers: [A("a.test", "192.0.2.1")] })];
    });
    expect(addressIn(await resolver([server]).resolve(asking, never))).toEqual(["192.0.2.1"]);
  });

  test("another address's answer is not heard either", async () => {
    const other = createSocket("udp4");
    open.push(() => other.close());
    await new Promise<void>((resolve) => other.bind(0, "127.0.0.1", resolve));
    const server = await serve(({ query: asked, port }) => {
      other.send(answerTo(asked, { answers: [A("a.test", "203.0.113.66")] }), port, "127.0.0.1");
      return undefined;
    });
    await expect(resolver([server], [HASTE]).resolve(asking, never)).rejects.toThrow("no name server answered");
  });

  test("that is silent is asked again, then the next one; silence of all is an error", async () => {
    const silent = await serve(() => undefined);
    const second = await serve(good, "127.0.0.2");
    expect(addressIn(await resolver([silent, second], [HASTE]).resolve(asking, never))).toEqual(["192.0.2.1"]);
    expect([silent.asked.length, second.asked.length]).toEqual([1, 1]);
    await expect(resolver([silent], [HASTE, HASTE]).resolve(asking, never)).rejects.toThrow("no name server answered");
    expect(silent.asked.length).toBe(3);
    const ports = silent.asked.map(({ port }) => port);
    expect(new Set(ports).size).toBe(3);
  });

  test("that lost the first question is asked again", async () => {
    let first = true;
    const server = await serve((asked, self) => {
      if (!first) return good(asked, self);
      first = false;
      return undefined;
    });
    expect(addressIn(await resolver([server], [HASTE, PATIENCE]).resolve(asking, never))).toEqual(["192.0.2.1"]);
  });

  test("that is silent is asked last from then on", async () => {
    const silent = await serve(() => undefined);
    const second = await serve(good, "127.0.0.2");
    const both = resolver([silent, second], [HASTE]);
    await both.resolve(asking, never);
    await both.resolve(asking, never);
    expect([silent.asked.length, second.asked.length]).toEqual([1, 2]);
  });

  test("that is not there is passed over at once", async () => {
    const gone = await NameServer.start(good);
    gone.close();
    const second = await serve(good, "127.0.0.2");
    const servers = new NameServers(() => [`127.0.0.1:${gone.port}`, second.address]);
    expect(addressIn(await new NodeResolver(servers, undefined, [PATIENCE]).resolve(asking, never))).toEqual([
      "192.0.2.1",
    ]);
  });

  test.each([
    ["fails", 2],
    ["does not implement it", 4],
    ["refuses", 5],
  ])("that %s is passed over for another; if there is none, that is the answer", async (_what, flags) => {
    const bad = await serve(({ query }) => answerTo(query, { flags }));
    const second = await serve(good, "127.0.0.2");
    expect(addressIn(await resolver([bad, second]).resolve(asking, never))).toEqual(["192.0.2.1"]);
    expect((await resolver([bad], [PATIENCE, PATIENCE]).resolve(asking, never))[3] & 15).toBe(flags);
    expect(bad.asked.length).toBe(2);
  });

  test.each([
    ["no such name", 3],
    ["a format error", 1],
  ])("that says %s has answered", async (_what, flags) => {
    const first = await serve(({ query }) => answerTo(query, { flags }));
    const second = await serve(good, "127.0.0.2");
    expect((await resolver([first, second]).resolve(asking, never))[3] & 15).toBe(flags);
    expect(second.asked).toEqual([]);
  });

  const huge = Array.from({ length: 2900 }, (_, i) => A("a.test", `10.0.${i >> 8}.${i & 255}`));
  const cutting: Says = ({ query, over }) =>
    over === "udp" ? answerTo(query, { flags: 0x0200 }) : answerTo(query, { answers: huge });

  test("that cuts its answer short is asked over TCP, where it may be huge", async () => {
    await until(() => sockets() === 0);
    const server = await serve(cutting);
    const answer = await resolver([server]).resolve(asking, never);
    expect([answer.length, answer[2] & 2, decode(answer).answers!.length]).toEqual([12 + 12 + 2900 * 22, 0, 2900]);
    expect(server.asked.map(({ over, query }) => [over, query[0] * 256 + query[1]])).toEqual([
      ["udp", 0x1234],
      ["tcp", 0x1234],
    ]);
    await until(() => sockets() === 2); // the server's own
  });

  test.each<[string, Says]>([
    ["is silent", () => undefined],
    ["lies", ({ query }) => answerTo(Uint8Array.from(query, (byte, i) => (i === 1 ? byte ^ 1 : byte)))],
    ["sends nothing", () => new Uint8Array(0)],
  ])("whose TCP %s is passed over; if there is no other, the short answer is better than none", async (_what, tcp) => {
    const bad = await serve((asked, self) => (asked.over === "udp" ? cutting(asked, self) : tcp(asked, self)));
    const failing = await serve(({ query }) => answerTo(query, { flags: 2 }), "127.0.0.2");
    const short = await resolver([failing, bad], [HASTE]).resolve(asking, never);
    expect(head(short)).toBe("123483800001000000000000");
    expect(head(await resolver([bad, failing], [HASTE]).resolve(asking, never))).toBe("123483800001000000000000");
    const second = await serve(good, "127.0.0.3");
    expect(addressIn(await resolver([bad, second], [HASTE]).resolve(asking, never))).toEqual(["192.0.2.1"]);
  });

  test("whose TCP hangs up is not waited for", async () => {
    const bad = await serve((asked, self) => (asked.over === "udp" ? cutting(asked, self) : "hang-up"));
    const second = await serve(good, "127.0.0.3");
    expect(addressIn(await resolver([bad, second]).resolve(asking, never))).toEqual(["192.0.2.1"]);
  });

  test("that has answered leaves no timer behind", async () => {
    const set = vi.spyOn(globalThis, "setTimeout");
    const clear = vi.spyOn(globalThis, "clearTimeout");
    open.push(
      () => set.mockRestore(),
      () => clear.mockRestore(),
    );
    const server = await serve(good);
    await resolver([server], [3_600_000]).resolve(asking, never);
    const timers = set.mock.results.filter((_, i) => set.mock.calls[i][1] === 3_600_000).map(({ value }) => value);
    expect(timers.length).toBe(1);
    expect(clear.mock.calls.map(([timer]) => timer)).toContain(timers[0]);
  });

  test("is given up at any moment after the question: nothing is thrown", async () => {
    await until(() => sockets() === 0);
    const server = await serve(() => undefined);
    for (let ticks = 0; ticks < 16; ticks++) {
      const abort = new AbortController();
      const answer = resolver([server]).resolve(asking, abort.signal);
      const after = (left: number): void => (left === 0 ? abort.abort() : process.nextTick(after, left - 1));
      after(ticks);
      await expect(answer).rejects.toThrow("no name server answered");
    }
    await until(() => sockets() === 2);
  });

  test("that was not waited for is not thought silent", async () => {
    const gone = await NameServer.start(good);
    gone.close();
    const silent = await serve(() => undefined, "127.0.0.2");
    const servers = new NameServers(() => [`127.0.0.1:${gone.port}`, silent.address]);
    const abort = new AbortController();
    const answer = new NodeResolver(servers, undefined, [PATIENCE]).resolve(asking, abort.signal);
    await until(() => silent.asked.length > 0);
    abort.abort();
    await expect(answer).rejects.toThrow("no name server answered");
    expect(servers.current().map(({ address }) => address)).toEqual(["127.0.0.2", "127.0.0.1"]);
  });

  test("may have an address of IPv6", async () => {
    const server = await serve(good, "::1");
    expect(addressIn(await resolver([server]).resolve(asking, never))).toEqual(["192.0.2.1"]);
  });

  test("is not asked for what is no longer wanted, and no socket is left", async () => {
    await until(() => sockets() === 0);
    const silent = await serve(() => undefined);
    const second = await serve(good, "127.0.0.2");
    const abort = new AbortController();
    const both = resolver([silent, second]);
    const answer = both.resolve(asking, abort.signal);
    await until(() => silent.asked.length > 0);
    abort.abort();
    await expect(answer).rejects.toThrow("no name server answered");
    await until(() => sockets() === 4);
    await expect(both.resolve(asking, abort.signal)).rejects.toThrow("no name server answered");
    expect([silent.asked.length, second.asked.length]).toEqual([1, 0]);
    // That says nothing of the server: it is still the first.
    silent.says = good;
    await both.resolve(asking, never);
    expect([silent.asked.length, second.asked.length]).toEqual([2, 0]);
  });

  test("many questions are on their way at a time", async () => {
    const held: (() => void)[] = [];
    const server = await serve((asked, self) => {
      held.push(() => self.send(answerTo(asked.query), { address: "127.0.0.1", port: asked.port }));
      return undefined;
    });
    const one = resolver([server]);
    const all = Array.from({ length: 50 }, (_, id) =>
      one.resolve(query("a.test", 1, { id }), new AbortController().signal),
    );
    await until(() => held.length === 50);
    for (const release of held.reverse()) release();
    expect((await Promise.all(all)).map((answer) => answer[1])).toEqual(Array.from({ length: 50 }, (_, id) => id));
  });
});

test("DNS over HTTPS is a function from message to message, like the README's", async () => {
  const served: unknown[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const asked = Uint8Array.from(Buffer.concat(chunks));
      served.push([request.method, request.headers["content-type"]]);
      response.end(Buffer.from(answerTo(asked, { answers: [A("a.test", "192.0.2.1")] })));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const { port } = server.address() as AddressInfo;
  const resolve: HostSockets["resolve"] = async (query, signal) => {
    const response = await fetch(`http://127.0.0.1:${port}/dns-query`, {
      method: "POST",
      headers: { "content-type": "application/dns-message" },
      body: query,
      signal,
    });
    if (!response.ok) throw new Error(`the name server says ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  };
  const network = new UserNetwork({ host: { ...nodeHostSockets(), resolve } });
  open.push(() => network.close());
  const guest = new TestGuest(network);
  network.attach(guest);
  guest.send(udpFrame(4000, 53, query("a.test", 1), { destination: DNS }));
  await until(() => guest.frames.length > 0);
  expect(addressIn(guest.one().payload.slice(8))).toEqual(["192.0.2.1"]);
  expect(served).toEqual([["POST", "application/dns-message"]]);
});

describe("the servers to ask", () => {
  test("are read anew when the configuration has changed", () => {
    let configured = ["192.0.2.1"];
    let now = 0;
    let reads = 0;
    const servers = new NameServers(
      () => {
        reads++;
        return configured;
      },
      () => now,
    );
    expect(servers.current()).toEqual([{ address: "192.0.2.1", port: 53 }]);
    configured = ["192.0.2.2", "[2001:db8::1]:5353"];
    now = 999;
    expect(servers.current()).toEqual([{ address: "192.0.2.1", port: 53 }]);
    expect(reads).toBe(1);
    now = 1000;
    expect(servers.current()).toEqual([
      { address: "192.0.2.2", port: 53 },
      { address: "2001:db8::1", port: 5353 },
    ]);
  });

  test("keep the order in which they answer until then", () => {
    let configured = ["192.0.2.1", "192.0.2.2"];
    let now = 0;
    const servers = new NameServers(
      () => configured,
      () => now,
    );
    const first = (): string => servers.current()[0].address;
    servers.demote(servers.current()[0]);
    expect(first()).toBe("192.0.2.2");
    now += 5000;
    expect(first()).toBe("192.0.2.2");
    servers.demote({ address: "192.0.2.2", port: 53 }); // one of a configuration before
    expect(first()).toBe("192.0.2.2");
    configured = ["192.0.2.1", "192.0.2.3"];
    now += 5000;
    expect(first()).toBe("192.0.2.1");
  });

  test.each([
    ["9.9.9.9", "9.9.9.9", 53],
    ["10.0.0.1:5353", "10.0.0.1", 5353],
    ["::1", "::1", 53],
    ["[::1]:5353", "::1", 5353],
    ["fe80::1%lo", "fe80::1%lo", 53],
  ])("are written as %s", (text, address, port) => {
    expect(parseServer(text)).toEqual({ address, port });
  });

  test.each(["", "localhost", "1.2.3", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:", "[::1]", "[1.2.3]:5", "::1:x"])(
    "are not written as %j",
    (text) => {
      expect(() => nodeHostSockets({ nameServers: [text] })).toThrow(expect.objectContaining({ code: "BAD_ADDRESS" }));
    },
  );
});

describe("the hosts file", () => {
  const text = `# comment
127.0.0.1\tlocalhost
192.0.2.1  a.test A2.test.   # the first
192.0.2.2 a.test\r
192.0.2.1 a.test a2.test
192.0.2.0 net.test
2001:db8::1 six.test
192.0.2.300 bad.test
192.0.2.4 bad..test .
192.0.2.5
`;

  function file(content: string): { hosts: HostsFile; write: (content: string) => void; wait: (ms: number) => void } {
    const folder = mkdtempSync(join(tmpdir(), "hosts-"));
    open.push(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "hosts");
    let now = 0;
    let changes = 1;
    const write = (text: string): void => {
      writeFileSync(path, text);
      utimesSync(path, changes, changes++);
    };
    write(content);
    return { hosts: new HostsFile(path, () => now), write, wait: (ms) => (now += ms) };
  }

  test("has names and addresses, and what it has wrong is left out", () => {
    const { addresses, names } = parseHosts(text);
    expect([...addresses]).toEqual([
      ["localhost", ["127.0.0.1"]],
      ["a.test", ["192.0.2.1", "192.0.2.2"]],
      ["a2.test", ["192.0.2.1"]],
      ["net.test", ["192.0.2.0"]],
    ]);
    expect([...names]).toEqual([
      [0x7f000001, "localhost"],
      [0xc0000201, "a.test"],
      [0xc0000202, "a.test"],
      [0xc0000200, "net.test"],
    ]);
  });

  test("answers for its names and addresses, and is silent of others", () => {
    const { hosts } = file(text);
    const found = (name: string, type: number): unknown => {
      const answer = hosts.answer(query(name, type));
      return answer && decode(answer).answers?.map((record) => "data" in record && [record.data, record.ttl]);
    };
    expect(found("A.test", 1)).toEqual([
      ["192.0.2.1", 0],
      ["192.0.2.2", 0],
    ]);
    expect(found("a2.test", 255)).toEqual([["192.0.2.1", 0]]);
    expect(found("1.2.0.192.in-addr.arpa", 12)).toEqual([["a.test", 0]]);
    expect(found("2.0.192.in-addr.arpa", 12)).toBeUndefined();
    expect(found("x.1.2.0.192.in-addr.arpa", 12)).toBeUndefined();
    expect(found("a.test", 15)).toBeUndefined();
    expect(found("six.test", 1)).toBeUndefined();
    expect(found("other.test", 1)).toBeUndefined();
    expect(hosts.answer(new Uint8Array(5))).toBeUndefined();
  });

  test("is read anew when it has changed; a file that is gone says nothing", () => {
    const { hosts, write, wait } = file("192.0.2.1 a.test");
    expect(addressIn(hosts.answer(asking)!)).toEqual(["192.0.2.1"]);
    write("192.0.2.7 a.test");
    expect(addressIn(hosts.answer(asking)!)).toEqual(["192.0.2.1"]);
    wait(1000);
    expect(addressIn(hosts.answer(asking)!)).toEqual(["192.0.2.7"]);
    for (const close of open.splice(0)) close();
    wait(1000);
    expect(hosts.answer(asking)).toBeUndefined();
  });

  test("comes before the servers, and its answers are not kept", async () => {
    const { hosts, write, wait } = file("192.0.2.9 a.test");
    const server = await serve(good);
    const both = new NodeResolver(new NameServers(() => [server.address]), hosts, [PATIENCE]);
    const network = new UserNetwork({ host: { ...nodeHostSockets(), resolve: (...args) => both.resolve(...args) } });
    open.push(() => network.close());
    const guest = new TestGuest(network);
    network.attach(guest);
    const asked = async (): Promise<unknown> => {
      guest.send(udpFrame(4000, 53, asking, { destination: DNS }));
      await until(() => guest.frames.length > 0);
      return addressIn(guest.one().payload.slice(8));
    };
    expect(await asked()).toEqual(["192.0.2.9"]);
    write("192.0.2.8 a.test");
    wait(1000);
    expect(await asked()).toEqual(["192.0.2.8"]);
    write("");
    wait(1000);
    expect(await asked()).toEqual(["192.0.2.1"]);
  });
});
