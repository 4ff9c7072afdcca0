/** UDP: flows, forwards, and what is not brought back. */
import { describe, expect, test } from "vitest";
import { bench } from "./test-guest.ts";
import { DNS, GATEWAY, GUEST, ipv4Frame, udpFrame, WORLD } from "./wire-test.ts";

const data = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);

describe("UDP to the world", () => {
  test("one socket for each port of a guest; answers come from who was asked", () => {
    const { guest, host, network } = bench();
    guest.send(udpFrame(1000, 2000, data(1, 2, 3), { destination: WORLD }));
    guest.send(udpFrame(1000, 2001, data(4), { destination: WORLD }));
    guest.send(udpFrame(1001, 2000, data(5), { destination: WORLD }));
    expect(host.sockets.length).toBe(2);
    expect(host.sockets[0].sent).toEqual([
      { bytes: data(1, 2, 3), address: "93.184.216.34", port: 2000 },
      { bytes: data(4), address: "93.184.216.34", port: 2001 },
    ]);
    host.sockets[0].handlers.message(data(9), "93.184.216.34", 2000);
    const { payload, source, destination } = guest.one();
    expect([source, destination]).toEqual([WORLD, GUEST]);
    expect([...payload.subarray(0, 6), ...payload.subarray(8)]).toEqual([7, 208, 3, 232, 0, 9, 9]);
    host.sockets[0].handlers.message(data(9), "93.184.216.34", 2002);
    host.sockets[0].handlers.message(data(9), "192.0.2.1", 2000);
    expect(guest.got()).toEqual([]);
    expect(network.counters.dropped.udp).toBe(2);
  });

  test("an answer larger than the MTU comes in fragments", () => {
    const { guest, host } = bench();
    guest.send(udpFrame(1000, 2000, data(1), { destination: WORLD }));
    host.sockets[0].handlers.message(new Uint8Array(5000), "93.184.216.34", 2000);
    expect(guest.got().map(({ payload }) => payload.length)).toEqual([1480, 1480, 1480, 568]);
  });

  test("a flow nobody uses is closed: after minutes, a question to a name server after seconds", () => {
    const { guest, host, clock } = bench({ limits: { udpIdleMs: 60_000 } });
    guest.send(udpFrame(1000, 2000, data(1), { destination: WORLD }));
    guest.send(udpFrame(1001, 53, data(1), { destination: WORLD }));
    clock.advance(35_000);
    expect(host.sockets.map(({ closed }) => closed)).toEqual([false, true]);
    clock.advance(40_000);
    expect(host.sockets.map(({ closed }) => closed)).toEqual([true, true]);
    expect(clock.pending).toBe(0);
  });

  test("flows stay within their bound", () => {
    const { guest, host, network } = bench({ limits: { udpFlows: 5 } });
    for (let port = 1; port <= 100; port++) guest.send(udpFrame(port, 2000, data(1), { destination: WORLD }));
    expect(host.sockets.length).toBe(5);
    expect(network.counters.dropped.udp).toBe(95);
    network.detach();
    expect(host.sockets.every(({ closed }) => closed)).toBe(true);
  });

  test("what the host can't send is told by ICMP", () => {
    const { guest, host } = bench();
    guest.send(udpFrame(1000, 2000, data(1), { destination: WORLD }));
    host.sockets[0].handlers.failed("host-unreachable", "93.184.216.34", 2000);
    const { payload } = guest.one();
    expect([payload[0], payload[1]]).toEqual([3, 1]);
    expect([...payload.subarray(8 + 12)]).toEqual([
      10,
      0,
      2,
      15,
      93,
      184,
      216,
      34,
      3,
      232,
      7,
      208,
      0,
      9,
      ...payload.subarray(-2),
    ]);
    host.sockets[0].handlers.failed("failed");
    expect(host.sockets[0].closed).toBe(true);
  });

  test("a port of ours that is closed is told by ICMP; a group is not", () => {
    const { guest, host } = bench();
    for (const destination of [GATEWAY, DNS]) {
      guest.send(udpFrame(1000, 2000, data(1), { destination }));
      expect([...guest.one().payload.subarray(0, 2)]).toEqual([3, 3]);
    }
    for (const destination of [0xe00000fb, 0xffff_ffff, 0x0a0002ff]) {
      guest.send(udpFrame(1000, 2000, data(1), { destination }));
    }
    guest.send(udpFrame(1000, 2000, data(1), { destination: 0x7f00_0001 }));
    expect([...guest.one().payload.subarray(0, 2)]).toEqual([3, 13]);
    expect(host.sockets).toEqual([]);
  });

  test("with hostLoopback the gateway is the host, and answers as the gateway", () => {
    const { guest, host } = bench({ hostLoopback: true });
    guest.send(udpFrame(1000, 2000, data(1)));
    expect(host.sockets[0].sent[0]).toMatchObject({ address: "127.0.0.1", port: 2000 });
    host.sockets[0].handlers.message(data(2), "127.0.0.1", 2000);
    expect(guest.one().source).toBe(GATEWAY);
  });

  test.each([
    ["a length below its header", udpFrame(1, 2, data(1), { udpLength: 7 }), "malformed"],
    ["a length past the packet", udpFrame(1, 2, data(1), { udpLength: 10 }), "malformed"],
    ["half a header", ipv4Frame(data(1, 2, 3, 4), { protocol: 17 }), "malformed"],
    ["a wrong checksum", udpFrame(1, 2, data(1), { udpChecksum: 1 }), "checksum"],
    ["no address, and not DHCP", udpFrame(1, 2, data(1), { source: 0, destination: WORLD }), "spoofed"],
  ] as const)("a datagram with %s is dropped", (_what, frame, reason) => {
    const { guest, host, network } = bench();
    guest.send(frame);
    expect(network.counters.dropped[reason]).toBe(1);
    expect(host.sockets).toEqual([]);
  });

  test("no checksum is a right one; one that was left to us too", () => {
    const { guest, host } = bench();
    guest.send(udpFrame(1, 2, data(1), { udpChecksum: 0, destination: WORLD }));
    guest.send(udpFrame(1, 2, data(1), { udpChecksum: 77, destination: WORLD }), 1);
    guest.send(udpFrame(1, 2, data(1), { udpChecksum: 77, destination: WORLD }), 2);
    expect(host.sockets[0].sent.length).toBe(3);
  });
});

describe("forwards", () => {
  test("a datagram that comes in, and its answer", async () => {
    const { guest, host, network } = bench({ forwards: [{ protocol: "udp", hostPort: 0, guestPort: 7 }] });
    const [forward] = await network.ready;
    expect(forward).toMatchObject({
      protocol: "udp",
      hostAddress: "127.0.0.1",
      guestAddress: "10.0.2.15",
      guestPort: 7,
    });
    expect(forward.hostPort).toBeGreaterThan(0);
    const [socket] = host.sockets;
    socket.handlers.message(data(1), "127.0.0.1", 5555);
    const ask = guest.one(); // who has 10.0.2.15? The datagram itself is lost.
    expect(ask.etherType).toBe(0x0806);
    guest.hello();
    socket.handlers.message(data(2), "127.0.0.1", 5555);
    socket.handlers.message(data(3), "127.0.0.1", 5556);
    socket.handlers.message(data(4), "127.0.0.1", 80); // a port the gateway may need itself
    const frames = guest.got();
    expect(frames.map(({ source, payload }) => [source, payload[8]])).toEqual([
      [GATEWAY, 2],
      [GATEWAY, 3],
      [GATEWAY, 4],
    ]);
    const ports = frames.map(({ payload }) => payload[0] * 256 + payload[1]);
    expect(ports.slice(0, 2)).toEqual([5555, 5556]);
    expect(ports[2]).toBeGreaterThanOrEqual(1024);
    guest.send(udpFrame(7, 5556, data(8)));
    guest.send(udpFrame(7, ports[2], data(9)));
    expect(socket.sent).toEqual([
      { bytes: data(8), address: "127.0.0.1", port: 5556 },
      { bytes: data(9), address: "127.0.0.1", port: 80 },
    ]);
    guest.send(udpFrame(8, 5556, data(8))); // from another port: it answers nobody
    expect(socket.sent.length).toBe(2);
    forward.close();
    expect(socket.closed).toBe(true);
  });
});
