/** Node's sockets one by one: what the system is asked, and what becomes of it when it can't be done. */
import { createSocket, Socket as DgramSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket, Socket as TcpSocket } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { HostTcpHandlers, HostUdpHandlers } from "../src/index.ts";
import { failureOf } from "../src/node/host-failure.ts";
import { nodeHostSockets } from "../src/node/index.ts";

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
  vi.restoreAllMocks();
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const QUIET: HostTcpHandlers = {
  connected: () => {},
  data: () => {},
  ended: () => {},
  written: () => {},
  closed: () => {},
};

test.each([
  ["refused", ["ECONNREFUSED"]],
  ["reset", ["ECONNRESET", "EPIPE", "ECONNABORTED"]],
  ["network-unreachable", ["ENETUNREACH", "ENETDOWN", "EADDRNOTAVAIL"]],
  ["host-unreachable", ["EHOSTUNREACH", "EHOSTDOWN"]],
  ["timed-out", ["ETIMEDOUT"]],
  ["prohibited", ["EACCES", "EPERM"]],
  ["too-large", ["EMSGSIZE"]],
  ["failed", ["EMFILE", undefined]],
])("%s is what the guest is told of %j", (failure, codes) => {
  for (const code of codes) expect(failureOf(Object.assign(new Error("no"), { code }))).toBe(failure);
});

describe("a TCP connection", () => {
  async function serve(): Promise<number> {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      open.push(() => socket.destroy());
    });
    open.push(() => server.close());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  }

  test.each([
    [75_000, 75_000],
    [400, 1000], // the system counts in seconds, and 0 would leave it as it is
  ])(
    "whose guest asks after %i ms whether the other side is alive is asked after by the system in %i ms",
    async (idle, asked) => {
      const port = await serve();
      const keepAlive = vi.spyOn(TcpSocket.prototype, "setKeepAlive");
      const tcp = nodeHostSockets().connectTcp("127.0.0.1", port, QUIET);
      open.push(() => tcp.destroy(true));
      tcp.keepAlive?.(idle);
      expect(keepAlive.mock.calls).toEqual([[true, asked]]);
    },
  );

  test("that its owner has cut calls nobody any more", async () => {
    const port = await serve();
    const called: string[] = [];
    const tcp = nodeHostSockets().connectTcp("127.0.0.1", port, {
      connected: () => called.push("connected"),
      data: () => called.push("data"),
      ended: () => called.push("ended"),
      written: () => called.push("written"),
      closed: () => called.push("closed"),
    });
    while (called.length === 0) await turn();
    const emitted = vi.spyOn(TcpSocket.prototype, "emit");
    tcp.destroy(true);
    while (!emitted.mock.calls.some((call: readonly unknown[]) => call[0] === "close")) await turn();
    expect(called).toEqual(["connected"]);
  });

  test("that comes in says from where", async () => {
    const peers: unknown[][] = [];
    const listener = await nodeHostSockets().listenTcp("127.0.0.1", 0, (socket, ...peer) => {
      open.push(() => socket.destroy(true));
      peers.push(peer);
      return QUIET;
    });
    open.push(() => listener.close());
    const client = connect(listener.port, "127.0.0.1");
    client.on("error", () => {});
    await once(client, "connect");
    const { localPort } = client;
    while (peers.length === 0) await turn();
    expect(peers).toEqual([["127.0.0.1", localPort]]);
  });

  test("that nobody takes is reset: who dialled learns of it", async () => {
    const listener = await nodeHostSockets().listenTcp("127.0.0.1", 0, () => undefined);
    open.push(() => listener.close());
    const client: Socket = connect(listener.port, "127.0.0.1");
    open.push(() => client.destroy());
    client.resume();
    const [error] = await once(client, "error");
    expect(error.code).toBe("ECONNRESET");
  });
});

describe("a UDP socket", () => {
  interface Heard extends HostUdpHandlers {
    readonly failures: unknown[][];
  }
  const heard = (): Heard => {
    const failures: unknown[][] = [];
    return { failures, message: () => {}, failed: (...what) => failures.push(what) };
  };
  /** The system takes what is sent, and says when it is done: the calls, with what to tell them. */
  function slowSystem(): { bytes: number; done: (error?: Error) => void }[] {
    const sent: { bytes: number; done: (error?: Error) => void }[] = [];
    vi.spyOn(DgramSocket.prototype, "send").mockImplementation(((bytes: Uint8Array, ...rest: unknown[]) => {
      sent.push({ bytes: bytes.length, done: rest.at(-1) as (error?: Error) => void });
    }) as never);
    return sent;
  }

  test("lets 4 MiB wait for the system, to the last byte, and drops more until some of it is gone", async () => {
    const sent = slowSystem();
    const udp = await nodeHostSockets().listenUdp("127.0.0.1", 0, heard());
    open.push(() => udp.close());
    for (let i = 0; i < 64; i++) udp.send(new Uint8Array(65_507), "127.0.0.1", 9);
    udp.send(new Uint8Array(1857), "127.0.0.1", 9); // 64 times 65,507 and 1,856 are 4,194,304
    expect(sent.length).toBe(64);
    udp.send(new Uint8Array(1856), "127.0.0.1", 9);
    udp.send(new Uint8Array(1), "127.0.0.1", 9);
    expect(sent.map(({ bytes }) => bytes)).toEqual([...new Array(64).fill(65_507), 1856]);
    sent[0].done();
    udp.send(new Uint8Array(65_507), "127.0.0.1", 9);
    udp.send(new Uint8Array(1), "127.0.0.1", 9);
    expect(sent.length).toBe(66);
  });

  test("tells of a datagram that could not be sent, and to whom; of none when it is closed", async () => {
    const sent = slowSystem();
    const handlers = heard();
    const udp = await nodeHostSockets().listenUdp("127.0.0.1", 0, handlers);
    for (let i = 0; i < 3; i++) udp.send(Uint8Array.of(i), "192.0.2.1", 9);
    sent[0].done();
    expect(handlers.failures).toEqual([]);
    const unreachable = Object.assign(new Error("no route"), { code: "EHOSTUNREACH" });
    sent[1].done(unreachable);
    udp.close();
    sent[2].done(unreachable);
    expect(handlers.failures).toEqual([["host-unreachable", "192.0.2.1", 9]]);
  });

  test("that is closed sends nothing, and is closed once", async () => {
    const sent = slowSystem();
    const udp = await nodeHostSockets().listenUdp("127.0.0.1", 0, heard());
    udp.close();
    udp.close();
    udp.send(Uint8Array.of(1), "127.0.0.1", 9);
    expect(sent).toEqual([]);
  });

  test("on the loopback that the system refuses to connect, by either address, is refused", async () => {
    const handlers = heard();
    const answered = new Promise((resolve) => {
      handlers.failed = (...what) => resolve(what);
    });
    vi.spyOn(DgramSocket.prototype, "connect").mockImplementation(((_port: number, _to: string, done: unknown) => {
      process.nextTick(done as () => void, Object.assign(new Error("no route"), { code: "ENETUNREACH" }));
    }) as never);
    const udp = nodeHostSockets().openUdp(handlers);
    open.push(() => udp.close());
    udp.send(Uint8Array.of(1), "127.0.0.1", 9);
    expect(await answered).toEqual(["refused", "127.0.0.1", 9]);
  });

  test("on the loopback lets 16 datagrams wait until it can send", async () => {
    const server = createSocket("udp4");
    open.push(() => server.close());
    const got: number[] = [];
    server.on("message", ([first]) => got.push(first));
    server.bind(0, "127.0.0.1");
    await once(server, "listening");
    const udp = nodeHostSockets().openUdp(heard());
    open.push(() => udp.close());
    for (let i = 0; i < 20; i++) udp.send(Uint8Array.of(i), "127.0.0.1", server.address().port);
    while (got.length < 16) await turn();
    udp.send(Uint8Array.of(99), "127.0.0.1", server.address().port);
    while (got.at(-1) !== 99) await turn();
    expect(got).toEqual([...Array.from({ length: 16 }, (_, i) => i), 99]);
  });

  test("on the loopback tries the other address once, however many datagrams the first one refuses", async () => {
    const server = createSocket("udp6");
    open.push(() => server.close());
    const got: number[] = [];
    server.on("message", ([first]) => got.push(first));
    server.bind(0, "::1");
    await once(server, "listening");
    const send = DgramSocket.prototype.send;
    const refused: ((error: Error) => void)[] = [];
    vi.spyOn(DgramSocket.prototype, "send").mockImplementation(function (this: DgramSocket, ...args: unknown[]) {
      if (this.address().family === "IPv6") Reflect.apply(send, this, args);
      else refused.push(args.at(-1) as (error: Error) => void);
    } as never);
    const handlers = heard();
    const udp = nodeHostSockets().openUdp(handlers);
    open.push(() => udp.close());
    for (const byte of [1, 2]) udp.send(Uint8Array.of(byte), "127.0.0.1", server.address().port);
    while (refused.length < 2) await turn();
    for (const done of refused) done(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
    while (got.length + handlers.failures.length === 0) await turn();
    expect([got, handlers.failures]).toEqual([[2], []]);
  });

  test("on the loopback whose datagrams wait for the system when it is closed leaves nothing behind", async () => {
    const server = createSocket("udp4");
    open.push(() => server.close());
    let got = 0;
    server.on("message", () => got++);
    server.bind(0, "127.0.0.1");
    await once(server, "listening");
    const udp = nodeHostSockets().openUdp(heard());
    udp.send(Uint8Array.of(1), "127.0.0.1", server.address().port);
    udp.close();
    for (let i = 0; i < 20; i++) await turn();
    expect(got).toBe(0);
  });
});
