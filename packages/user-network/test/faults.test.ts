/** Code that is not the network's own fails: a policy, the host's sockets. Nothing of it reaches who called. */

import { FrameBurst } from "@virtio-ts/net-link";
import { describe, expect, test } from "vitest";
import { guardHost } from "../src/guarded-host.ts";
import {
  type HostSockets,
  type HostTcpHandlers,
  UserNetwork,
  type UserNetworkError,
  type UserNetworkEvent,
  type UserNetworkOptions,
} from "../src/index.ts";
import { MemoryHost } from "./support/memory-host.ts";
import { seeded, TestClock } from "./support/test-clock.ts";
import { ACK, type Bench, bench, SYN, segmentOf, TestGuest } from "./support/test-guest.ts";
import { GATEWAY, tcpFrame, udpFrame, WORLD } from "./support/wire-test.ts";

const data = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);

/** Takes frames in one burst, as a NIC gives them. */
function sendAll(b: Bench, frames: readonly Uint8Array[]): void {
  const burst = new FrameBurst();
  for (const frame of frames) burst.addFrame(frame);
  expect(b.network.take(burst, 0)).toBe(frames.length);
}

/** A network on a host whose methods are the memory host's but for those given. */
function benchOn(broken: (host: MemoryHost) => Partial<HostSockets>, options: UserNetworkOptions = {}): Bench {
  const clock = new TestClock();
  const host = new MemoryHost();
  const whole: HostSockets = {
    connectTcp: (address, port, handlers) => host.connectTcp(address, port, handlers),
    listenTcp: (address, port, accept) => host.listenTcp(address, port, accept),
    openUdp: (handlers) => host.openUdp(handlers),
    listenUdp: (address, port, handlers) => host.listenUdp(address, port, handlers),
    resolve: (query, signal) => host.resolve(query, signal),
    ...broken(host),
  };
  const network = new UserNetwork({ host: whole, clock, random: seeded(1), options });
  const guest = new TestGuest(network);
  network.attach(guest);
  return { network, guest, host, clock };
}

const fail = (): never => {
  throw new Error("not today");
};

describe("a policy that fails", () => {
  const errors: UserNetworkError[] = [];
  const trace = (event: UserNetworkEvent): void => {
    if (event.type === "fault") errors.push(event.error);
  };

  test.each([
    ["throws", fail],
    ["answers with a promise", async () => true],
    ["answers with a promise that is rejected", async () => fail()],
    ["answers with something", () => 1],
  ])("and %s has refused; the rest of the burst goes on, and the user is told", (_how, allow) => {
    errors.length = 0;
    const b = bench({ allow: allow as unknown as () => boolean, trace });
    b.guest.hello();
    sendAll(b, [
      udpFrame(1000, 2000, data(1), { destination: WORLD }),
      tcpFrame({ fromPort: 1, toPort: 80, sequence: 0, flags: SYN }),
      udpFrame(1000, 2000, data(1), { destination: GATEWAY }),
    ]);
    expect(b.guest.got().map(({ payload }) => [payload[0], payload[1]])).toEqual([
      [3, 13],
      [3, 13],
      [3, 3],
    ]);
    expect([b.host.sockets, b.host.connections]).toEqual([[], []]);
    expect(b.network.counters.faults).toBe(2);
    expect(errors.map(({ code }) => code)).toEqual(["CALLBACK_FAILED", "CALLBACK_FAILED"]);
    expect(errors[0].message).toMatch(/^allow /);
  });

  test("and so does one who is told of it: nothing is thrown", () => {
    const b = bench({ allow: fail, trace: fail });
    b.guest.send(udpFrame(1000, 2000, data(1), { destination: WORLD }));
    expect(b.network.counters).toMatchObject({ faults: 1, traceThrew: 1 });
  });
});

describe("a host whose sockets throw", () => {
  test("a UDP socket that can't be opened: the flow ends, another guest's port may have one", () => {
    let left = 1;
    const b = benchOn((host) => ({ openUdp: (handlers) => (left-- > 0 ? fail() : host.openUdp(handlers)) }));
    sendAll(b, [
      udpFrame(1000, 2000, data(1), { destination: WORLD }),
      udpFrame(1001, 2000, data(2), { destination: WORLD }),
    ]);
    expect(b.host.sockets.map(({ sent }) => sent.length)).toEqual([1]);
    expect(b.network.counters.faults).toBe(1);
    b.clock.advance(1);
    b.guest.send(udpFrame(1000, 2000, data(3), { destination: WORLD })); // and so may the first one, by now
    expect(b.host.sockets.map(({ sent }) => sent.length)).toEqual([1, 1]);
  });

  test("a datagram that can't be sent is lost, and no other", () => {
    const errors: UserNetworkError[] = [];
    const b = benchOn(
      (host) => ({
        openUdp: (handlers) => {
          const udp = host.openUdp(handlers);
          return {
            send: (bytes, address, port) => (bytes[0] === 1 ? fail() : udp.send(bytes, address, port)),
            close: fail,
          };
        },
      }),
      { trace: (event) => event.type === "fault" && errors.push(event.error) },
    );
    sendAll(
      b,
      [1, 2].map((byte) => udpFrame(1000, 2000, data(byte), { destination: WORLD })),
    );
    expect(b.host.sockets[0].sent.map(({ bytes }) => bytes[0])).toEqual([2]);
    b.network.close();
    expect(errors.map(({ code, message }) => [code, message])).toEqual([
      ["HOST_FAILED", "send of the host's sockets threw"],
      ["HOST_FAILED", "close of the host's sockets threw"],
    ]);
  });

  test("a connection that can't be opened is reset", () => {
    const b = benchOn(() => ({ connectTcp: fail }));
    b.guest.tcp({ fromPort: 1, toPort: 80, sequence: 0, flags: SYN });
    b.clock.advance(1);
    expect(segmentOf(b.guest.one()).flags).toBe(4 | ACK);
    expect(b.network.counters).toMatchObject({ faults: 1, tcpActive: 0 });
  });

  test.each(["write", "end", "pause", "resume", "keepAlive"] as const)(
    "a connection whose %s throws is reset",
    (method) => {
      const b = benchOn((host) => ({
        connectTcp: (address, port, handlers) =>
          Object.assign(host.connectTcp(address, port, handlers), { [method]: fail }),
      }));
      b.guest.room = Number.POSITIVE_INFINITY;
      b.guest.tcp({ fromPort: 1, toPort: 80, sequence: 0, flags: SYN });
      b.host.run();
      const ends = { fromPort: 1, toPort: 80, sequence: 1, acknowledged: segmentOf(b.guest.one()).sequence + 1 };
      b.guest.tcp({ ...ends, flags: ACK, window: 0 });
      const [tcp] = b.host.connections;
      if (method === "write") b.guest.tcp({ ...ends, flags: ACK, data: data(1, 2, 3) });
      else if (method === "end") b.guest.tcp({ ...ends, flags: ACK | 1 });
      else if (method === "pause") for (let i = 0; i < 40; i++) tcp.handlers.data(new Uint8Array(0x1_0000));
      else if (method === "keepAlive") {
        b.clock.advance(75_000);
        b.guest.tcp({ ...ends, sequence: 0, flags: ACK });
      }
      b.clock.advance(10);
      expect(b.network.counters).toMatchObject({ faults: 1, tcpActive: 0 });
      expect(tcp.destroyed).toBe("reset");
      expect(b.guest.got().some((frame) => segmentOf(frame).flags === (4 | ACK))).toBe(true);
    },
  );

  test("a connection whose host can't ask whether the other side is alive stays", () => {
    const b = benchOn((host) => ({
      connectTcp: (address, port, handlers) =>
        Object.assign(host.connectTcp(address, port, handlers), { keepAlive: undefined }),
    }));
    b.guest.tcp({ fromPort: 1, toPort: 80, sequence: 0, flags: SYN });
    b.host.run();
    const ends = { fromPort: 1, toPort: 80, acknowledged: segmentOf(b.guest.one()).sequence + 1, flags: ACK };
    b.guest.tcp({ ...ends, sequence: 1 });
    b.clock.advance(75_000);
    b.guest.tcp({ ...ends, sequence: 0 });
    expect(segmentOf(b.guest.one()).flags).toBe(ACK);
    expect(b.network.counters).toMatchObject({ faults: 0, tcpActive: 1 });
  });

  test("a connection that failed is asked for nothing more", () => {
    const told: string[] = [];
    const guarded = guardHost({ connectTcp: fail } as unknown as HostSockets, {
      threw: (method) => told.push(method),
      later: () => {},
    });
    const tcp = guarded.connectTcp("192.0.2.1", 80, {} as unknown as HostTcpHandlers);
    tcp.write(data(1));
    tcp.pause();
    tcp.resume();
    tcp.keepAlive?.(1000);
    tcp.end();
    tcp.destroy(true);
    expect(told).toEqual(["connectTcp"]);
  });

  test("a connection whose destroy throws is gone all the same", () => {
    const b = benchOn((host) => ({
      connectTcp: (address, port, handlers) =>
        Object.assign(host.connectTcp(address, port, handlers), { destroy: fail }),
    }));
    b.guest.tcp({ fromPort: 1, toPort: 80, sequence: 0, flags: SYN });
    b.network.detach();
    expect(b.network.counters).toMatchObject({ faults: 1, tcpActive: 0 });
  });

  test("a connection its owner has let go of is not told that it failed", () => {
    const closed: unknown[] = [];
    const later: (() => void)[] = [];
    const guarded = guardHost({ connectTcp: fail } as unknown as HostSockets, {
      threw: () => {},
      later: (run) => later.push(run),
    });
    const handlers = { closed: (failure: unknown) => closed.push(failure) } as unknown as HostTcpHandlers;
    guarded.connectTcp("192.0.2.1", 80, handlers);
    guarded.connectTcp("192.0.2.1", 80, handlers).destroy(true);
    for (const run of later) run();
    expect(closed).toEqual(["failed"]);
  });

  test("a host that can't listen at all: the forward is refused by its name", async () => {
    for (const protocol of ["tcp", "udp"] as const) {
      const b = benchOn(() => ({ listenTcp: fail, listenUdp: fail }));
      await expect(b.network.forward({ protocol, hostPort: 5, guestPort: 5 })).rejects.toMatchObject({
        code: "LISTEN_FAILED",
        message: `can't listen on ${protocol} port 5 of 127.0.0.1: not today`,
      });
    }
  });

  test("a forward whose sockets throw when closed, or when they send", async () => {
    const b = benchOn((host) => ({
      listenUdp: async (address, port, handlers) => {
        await host.listenUdp(address, port, handlers);
        return { address, port, send: fail, close: fail };
      },
      listenTcp: async (address, port) => ({ address, port, close: fail }),
    }));
    const udp = await b.network.forward({ protocol: "udp", hostPort: 5, guestPort: 7 });
    const tcp = await b.network.forward({ protocol: "tcp", hostPort: 5, guestPort: 7 });
    b.guest.hello();
    b.host.sockets[0].handlers.message(data(1), "127.0.0.1", 5555);
    b.guest.send(udpFrame(7, 5555, data(2)));
    udp.close();
    tcp.close();
    expect(b.network.counters.faults).toBe(3);
  });
});

describe("port 0", () => {
  test("of the gateway is closed, of the world prohibited: no socket is asked to send there", () => {
    const b = bench({ hostLoopback: true });
    for (const [destination, code] of [
      [GATEWAY, 3],
      [WORLD, 13],
    ]) {
      b.guest.send(udpFrame(1000, 0, data(1), { destination }));
      expect([...b.guest.one().payload.subarray(0, 2)]).toEqual([3, code]);
    }
    expect(b.host.sockets).toEqual([]);
  });

  test("as the source of a datagram to a forward: the guest gets it, and its answer goes nowhere", async () => {
    const b = bench({ forwards: [{ protocol: "udp", hostPort: 5, guestPort: 7 }] });
    await b.network.ready;
    b.guest.hello();
    b.host.sockets[0].handlers.message(data(1), "127.0.0.1", 0);
    const { payload } = b.guest.one();
    expect(payload[8]).toBe(1);
    b.guest.send(udpFrame(7, payload[0] * 256 + payload[1], data(2)));
    expect(b.host.sockets[0].sent).toEqual([]);
    expect(b.network.counters.dropped.udp).toBe(1);
  });
});
