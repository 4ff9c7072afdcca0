/** Node's sockets under the network: real connections over the loopback, guests played by the test. */
import { createSocket, type Socket as DgramSocket } from "node:dgram";
import { existsSync, readFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { UserNetwork, type UserNetworkOptions } from "../src/index.ts";
import { nodeHostSockets } from "../src/node/index.ts";
import { TestClock } from "./support/test-clock.ts";
import { ACK, segmentOf, TestGuest } from "./support/test-guest.ts";
import { GATEWAY, udpFrame } from "./support/wire-test.ts";
import { TcpModel } from "./tcp/model.ts";

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function until(what: () => boolean, meanwhile: () => void = () => {}): Promise<void> {
  const end = Date.now() + 10_000;
  while (!what()) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    meanwhile();
    await turn();
  }
}

async function serve(onSocket: (socket: Socket) => void): Promise<{ server: Server; port: number; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  return { server, sockets, port: typeof address === "object" && address !== null ? address.port : 0 };
}

function start(options: UserNetworkOptions = {}): { network: UserNetwork; guest: TestGuest } {
  const network = new UserNetwork({ host: nodeHostSockets(), options: { hostLoopback: true, ...options } });
  const guest = new TestGuest(network);
  network.attach(guest);
  open.push(() => network.close());
  return { network, guest };
}

const step = (guest: TestGuest, tcp: TcpModel): void => {
  tcp.process(guest.got().map(segmentOf));
  tcp.read(Number.POSITIVE_INFINITY);
  tcp.output(20_000, 8);
};

describe("TCP", () => {
  test("an echo server gives back a megabyte, and both sides end in good order", async () => {
    const { port } = await serve((socket) => socket.pipe(socket));
    const { guest, network } = start();
    const tcp = new TcpModel(guest, { remote: GATEWAY, remotePort: port, capacity: 300_000 });
    const bytes = Uint8Array.from({ length: 1_000_000 }, (_, i) => (i * 31 + (i >> 10)) & 255);
    tcp.connect();
    tcp.write(bytes);
    tcp.end();
    await until(
      () => tcp.done,
      () => step(guest, tcp),
    );
    expect(tcp.received.length).toBe(bytes.length);
    expect(tcp.received.every((byte, i) => byte === bytes[i])).toBe(true);
    step(guest, tcp);
    await until(() => network.counters.tcpActive === 0);
  });

  test("a service on ::1 only is found", async () => {
    const server = createServer((socket) => socket.end("hello"));
    open.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, "::1", resolve));
    const address = server.address();
    const { guest } = start();
    const remotePort = typeof address === "object" && address !== null ? address.port : 0;
    const tcp = new TcpModel(guest, { remote: GATEWAY, remotePort });
    tcp.connect();
    tcp.end();
    await until(
      () => tcp.done,
      () => step(guest, tcp),
    );
    expect(Buffer.from(tcp.received).toString()).toBe("hello");
  });

  test("a port nobody listens on is an RST", async () => {
    const { server, port } = await serve(() => {});
    await new Promise((resolve) => server.close(resolve));
    const { guest } = start();
    const tcp = new TcpModel(guest, { remote: GATEWAY, remotePort: port });
    tcp.connect();
    await until(
      () => tcp.state === "reset",
      () => step(guest, tcp),
    );
  });

  test("the server is killed in the middle: the guest gets an RST", async () => {
    const { port, sockets } = await serve((socket) => socket.pause());
    const { guest, network } = start();
    const tcp = new TcpModel(guest, { remote: GATEWAY, remotePort: port });
    tcp.connect();
    tcp.write(new Uint8Array(100_000));
    await until(
      () => sockets.length > 0 && network.counters.tcpBytesFromGuest > 50_000,
      () => step(guest, tcp),
    );
    sockets[0].resetAndDestroy();
    await until(
      () => tcp.state === "reset",
      () => step(guest, tcp),
    );
    expect(network.counters.tcpActive).toBe(0);
  });

  describe.runIf(existsSync("/proc/net/tcp"))("a guest's keep-alives", () => {
    /** In how many seconds the system will ask the other side of a loopback connection; `null` where never. */
    function asksIn(localPort: number, remotePort: number): number | null {
      const address = (port: number): string => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
      const rows = readFileSync("/proc/net/tcp", "utf8").split("\n");
      const row = rows.find((text) => text.includes(` ${address(localPort)} ${address(remotePort)} `));
      if (row === undefined) throw new Error("no such connection");
      const [, timer, hundredths] = /^ *\d+: \S+ \S+ \S+ \S+ (\d\d):([0-9A-F]{8}) /.exec(row) ?? [];
      return timer === "02" ? Number.parseInt(hundredths, 16) / 100 : null; // 2: the keep-alive timer
    }

    test("make the system ask the real other side, after as long as the guest took", async () => {
      const { port, sockets } = await serve(() => {});
      const clock = new TestClock();
      const network = new UserNetwork({ host: nodeHostSockets(), clock, options: { hostLoopback: true } });
      open.push(() => network.close());
      const guest = new TestGuest(network);
      network.attach(guest);
      const tcp = new TcpModel(guest, { remote: GATEWAY, remotePort: port });
      tcp.connect();
      await until(
        () => sockets.length > 0 && tcp.state === "open",
        () => step(guest, tcp),
      );
      const localPort = sockets[0].remotePort ?? 0;
      expect(asksIn(localPort, port)).toBe(null);
      clock.advance(75_000);
      const ends = { fromPort: tcp.port, toPort: port, destination: GATEWAY, acknowledged: tcp.expected };
      guest.tcp({ ...ends, flags: ACK, sequence: tcp.una - 1 }); // RFC 9293, 3.8.4: one before what comes next
      const seconds = asksIn(localPort, port);
      expect(seconds).toBeGreaterThan(70);
      expect(seconds).toBeLessThanOrEqual(75);
    });

    // The system counts in whole seconds, and 0 would be its own two hours.
    test.each([
      [0, 1],
      [300, 1],
      [1000, 1],
      [7200_000, 7200],
    ])("of %i ms are the system's after %i s", async (idleMs, wanted) => {
      const { port, sockets } = await serve(() => {});
      const ignore = (): void => {};
      const handlers = { connected: ignore, data: ignore, ended: ignore, written: ignore, closed: ignore };
      const tcp = nodeHostSockets().connectTcp("127.0.0.1", port, handlers);
      open.push(() => tcp.destroy(true));
      await until(() => sockets.length > 0);
      const localPort = sockets[0].remotePort ?? 0;
      tcp.keepAlive?.(idleMs);
      const seconds = asksIn(localPort, port);
      expect(seconds).toBeGreaterThan(wanted - 1);
      expect(seconds).toBeLessThanOrEqual(wanted);
    });
  });

  test("a server that does not read closes the guest's window; nothing is lost when it reads again", async () => {
    let got = 0;
    const { port, sockets } = await serve((socket) => {
      socket.on("data", (bytes) => {
        got += bytes.length;
      });
      socket.pause();
    });
    const { guest } = start({ limits: { tcpReceive: 50_000 } });
    const tcp = new TcpModel(guest, { remote: GATEWAY, remotePort: port });
    tcp.connect();
    const total = 12_000_000;
    let given = 0;
    const more = (): void => {
      if (tcp.outgoing.length < 100_000 && given < total) {
        tcp.write(new Uint8Array(100_000));
        given += 100_000;
      }
      step(guest, tcp);
    };
    await until(() => tcp.window === 0 && tcp.state === "open", more);
    expect(got).toBe(0);
    expect(given).toBeLessThan(total);
    const before = given;
    sockets[0].resume();
    await until(
      () => got >= before - tcp.outgoing.length && tcp.window > 0,
      () => step(guest, tcp),
    );
  });

  test("the guest leaves in the middle: the server sees the connection cut", async () => {
    let cut = false;
    const { port, sockets } = await serve((socket) => {
      socket.on("close", () => {
        cut = true;
      });
      socket.resume();
    });
    const { guest, network } = start();
    const tcp = new TcpModel(guest, { remote: GATEWAY, remotePort: port });
    tcp.connect();
    await until(
      () => sockets.length > 0,
      () => step(guest, tcp),
    );
    network.detach();
    await until(() => cut);
  });

  test("a forward: a client of the host speaks with a guest", async () => {
    const { guest, network } = start({ forwards: [{ protocol: "tcp", hostPort: 0, guestPort: 80 }] });
    const [forward] = await network.ready;
    expect(forward.hostAddress).toBe("127.0.0.1");
    guest.hello();
    const client = connect({ host: forward.hostAddress, port: forward.hostPort, allowHalfOpen: true });
    open.push(() => client.destroy());
    let answer = "";
    client.on("data", (bytes) => {
      answer += bytes;
    });
    client.write("hello");
    await until(() => guest.frames.length > 0);
    const syn = segmentOf(guest.one());
    const ends = { destination: GATEWAY, fromPort: 80, toPort: syn.fromPort };
    guest.tcp({ ...ends, sequence: 0, acknowledged: syn.sequence + 1, flags: 18 });
    await until(() => guest.frames.length > 1);
    const [ack, data] = guest.got().map(segmentOf);
    expect([ack.flags, Buffer.from(data.data).toString()]).toEqual([16, "hello"]);
    guest.tcp({ ...ends, sequence: 1, acknowledged: syn.sequence + 6, flags: 25, data: Buffer.from("world") });
    await until(() => answer === "world");
    client.end();
    await until(() => guest.frames.some((frame) => (segmentOf(frame).flags & 1) === 1));
    guest.tcp({ ...ends, sequence: 7, acknowledged: syn.sequence + 7, flags: 16 });
    await until(() => network.counters.tcpActive === 0);
    await expect(
      network.forward({ protocol: "tcp", hostPort: forward.hostPort + 0, guestPort: 81 }),
    ).rejects.toMatchObject({
      code: "PORT_IN_USE",
    });
  });
});

test("after close nothing of it keeps the process alive", async () => {
  const handles = (): number => process.getActiveResourcesInfo().filter((name) => /TCP|UDP/.test(name)).length;
  await until(() => handles() === 0); // those of the tests before
  const { port } = await serve((socket) => socket.pipe(socket));
  const { guest, network } = start({
    forwards: [
      { protocol: "tcp", hostPort: 0, guestPort: 80 },
      { protocol: "udp", hostPort: 0, guestPort: 80 },
    ],
  });
  await network.ready;
  const tcp = new TcpModel(guest, { remote: GATEWAY, remotePort: port });
  tcp.connect();
  tcp.write(new Uint8Array(100_000));
  await until(
    () => tcp.received.length > 1000,
    () => step(guest, tcp),
  );
  guest.send(udpFrame(1000, 9, new Uint8Array(1)));
  await until(() => guest.frames.some(({ protocol }) => protocol === 1)); // nobody listens on port 9
  await until(() => handles() === 6); // the server, both ends of a connection, two forwards, a flow
  network.close();
  // The other ends of its connections go too.
  await until(() => handles() === 1);
});

describe("UDP", () => {
  test("a datagram to the host and its answer", async () => {
    const server = createSocket("udp4");
    open.push(() => server.close());
    server.on("message", (bytes, sender) => server.send(`${bytes}!`, sender.port, sender.address));
    await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
    const { guest } = start();
    guest.send(udpFrame(1000, server.address().port, Buffer.from("hello")));
    await until(() => guest.frames.length > 0);
    const { payload, source } = guest.one();
    expect([source, Buffer.from(payload.subarray(8)).toString()]).toEqual([GATEWAY, "hello!"]);
  });

  const bound = async (address: string, answer: (bytes: Buffer, socket: DgramSocket) => string): Promise<number> => {
    const socket = createSocket(address === "::1" ? "udp6" : "udp4");
    open.push(() => socket.close());
    socket.on("message", (bytes, sender) => socket.send(answer(bytes, socket), sender.port, sender.address));
    await new Promise<void>((resolve) => socket.bind(0, address, resolve));
    return socket.address().port;
  };
  const textOf = ({ payload }: { payload: Uint8Array }): string => Buffer.from(payload.subarray(8)).toString();

  test("a closed port of the host is port unreachable, each time, and quotes the datagram", async () => {
    const port = await bound("127.0.0.1", String);
    open.pop()!(); // nobody listens there any more
    const { guest } = start();
    for (const fromPort of [1000, 1000, 1001]) {
      guest.send(udpFrame(fromPort, port, Buffer.from("hello")));
      await until(() => guest.frames.length > 0);
      const { payload, source } = guest.one();
      expect([source, payload[0], payload[1]]).toEqual([GATEWAY, 3, 3]);
      expect([...payload.subarray(8 + 20, 8 + 24)]).toEqual([fromPort >> 8, fromPort & 255, port >> 8, port & 255]);
    }
  });

  test("of several closed ports asked at once each is told, and an open one among them answers", async () => {
    const port = await bound("127.0.0.1", (bytes) => `${bytes}!`);
    const { guest } = start();
    const closed = [port ^ 1, port ^ 2, port ^ 4];
    for (const to of [closed[0], port, closed[1], closed[2]]) guest.send(udpFrame(1000, to, Buffer.from("hello")));
    await until(() => guest.frames.length === 4);
    const frames = guest.got();
    const answers = frames.filter(({ protocol }) => protocol === 17);
    expect(answers.map(textOf)).toEqual(["hello!"]);
    const refused = frames
      .filter(({ protocol }) => protocol === 1)
      .map(({ payload }) => payload[30] * 256 + payload[31]);
    expect(refused.sort()).toEqual([...closed].sort());
  });

  test("a service that answers from another port of the host than it was asked at, as TFTP does, is heard", async () => {
    const other = createSocket("udp4");
    open.push(() => other.close());
    const server = createSocket("udp4");
    open.push(() => server.close());
    server.on("message", (bytes, sender) => other.send(`${bytes}!`, sender.port, sender.address));
    await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
    const { guest } = start();
    for (const text of ["one", "two"]) {
      guest.send(udpFrame(1000, server.address().port, Buffer.from(text)));
      await until(() => guest.frames.length > 0);
      const answer = guest.one();
      expect([answer.source, answer.view.getUint16(34), textOf(answer)]).toEqual([
        GATEWAY,
        other.address().port,
        `${text}!`,
      ]);
    }
  });

  test("a service on ::1 only is found, and found again", async () => {
    const port = await bound("::1", (bytes) => `${bytes}!`);
    const { guest } = start();
    for (const text of ["one", "two"]) {
      guest.send(udpFrame(1000, port, Buffer.from(text)));
      await until(() => guest.frames.length > 0);
      expect(textOf(guest.one())).toBe(`${text}!`);
    }
  });

  test("a service that goes away is refused from then on, and found again when it comes back", async () => {
    const port = await bound("127.0.0.1", (bytes) => `${bytes}!`);
    const { guest } = start();
    const ask = async (): Promise<number> => {
      guest.send(udpFrame(1000, port, Buffer.from("hello")));
      await until(() => guest.frames.length > 0);
      return guest.one().protocol;
    };
    expect(await ask()).toBe(17);
    open.pop();
    open.pop()!();
    expect([await ask(), await ask()]).toEqual([1, 1]);
    const again = createSocket("udp4");
    open.push(() => again.close());
    again.on("message", (bytes, sender) => again.send(bytes, sender.port, sender.address));
    await new Promise<void>((resolve) => again.bind(port, "127.0.0.1", resolve));
    expect(await ask()).toBe(17);
  });

  test("a guest's port speaks to many ports of the host: no more sockets are open than needed", async () => {
    const port = await bound("127.0.0.1", (bytes) => `${bytes}!`);
    const { guest } = start();
    const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === "UDPWrap").length;
    for (let i = 0; i < 100; i++) guest.send(udpFrame(1000, 20_000 + i, Buffer.from("hello")));
    await until(() => sockets() < 40);
    await turn();
    guest.got();
    guest.send(udpFrame(1000, port, Buffer.from("hello")));
    await until(() => guest.frames.some(({ protocol }) => protocol === 17));
  });

  test.each(["127.0.0.1", "::1", "::"])("a forward on %s", async (hostAddress) => {
    const { guest, network } = start({ forwards: [{ protocol: "udp", hostAddress, hostPort: 0, guestPort: 7 }] });
    const [forward] = await network.ready;
    guest.hello();
    const client = createSocket(hostAddress === "::1" ? "udp6" : "udp4");
    open.push(() => client.close());
    let answer = "";
    client.on("message", (bytes) => {
      answer += bytes;
    });
    client.send("hi", forward.hostPort, hostAddress === "::1" ? "::1" : "127.0.0.1");
    await until(() => guest.frames.length > 0);
    const { payload } = guest.one();
    guest.send(udpFrame(7, payload[0] * 256 + payload[1], Buffer.from("ho")));
    await until(() => answer === "ho");
  });
});
