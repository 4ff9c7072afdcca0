/** UDP: flows, forwards, and what is not brought back. */
import { describe, expect, test } from "vitest";
import { bench, TestGuest } from "../support/test-guest.ts";
import { arpFrom, DNS, GATEWAY, GUEST, GUEST_MAC, ipv4Frame, udpFrame, WORLD } from "../support/wire-test.ts";

const data = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);

describe("UDP to the world", () => {
  test("one socket for each port of a guest; answers come from addresses that were asked", () => {
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
    host.sockets[0].handlers.message(data(9), "192.0.2.1", 2000);
    host.sockets[0].handlers.message(data(9), "fe80::1", 2000);
    host.sockets[0].handlers.message(new Uint8Array(65_508), "93.184.216.34", 2000);
    expect(guest.got()).toEqual([]);
    expect(network.counters.dropped.udp).toBe(3);
    host.sockets[0].handlers.message(new Uint8Array(65_507), "93.184.216.34", 2000);
    expect(guest.got().length).toBe(45);
  });

  test("an answer from another port of the address that was asked reaches the guest, as TFTP's does (RFC 4787, REQ-8)", () => {
    const { guest, host } = bench({ hostLoopback: true });
    guest.send(udpFrame(1000, 69, data(1), { destination: WORLD }));
    guest.send(udpFrame(1000, 69, data(1), { destination: GATEWAY }));
    host.sockets[0].handlers.message(data(9), "93.184.216.34", 32_001);
    host.sockets[0].handlers.message(data(8), "127.0.0.1", 32_002);
    expect(guest.got().map(({ source, view, payload }) => [source, view.getUint16(34), payload[8]])).toEqual([
      [WORLD, 32_001, 9],
      [GATEWAY, 32_002, 8],
    ]);
    guest.send(udpFrame(1000, 32_001, data(2), { destination: WORLD }));
    expect(host.sockets[0].sent.at(-1)).toMatchObject({ address: "93.184.216.34", port: 32_001 });
    expect(host.sockets.length).toBe(1);
  });

  test("a port of a guest hears from the 256 endpoints it has spoken to last", () => {
    const { guest, host, network } = bench();
    const to = (i: number): void => guest.send(udpFrame(1000, 2000, data(1), { destination: WORLD + i }));
    const hears = (i: number): boolean => {
      host.sockets[0].handlers.message(data(9), `93.184.216.${34 + i}`, 2000);
      return guest.got().length === 1;
    };
    for (let i = 0; i < 200; i++) to(i);
    to(0);
    for (let i = 0; i < 56; i++) guest.send(udpFrame(1000, 3000 + i, data(1), { destination: WORLD + 1000 }));
    expect([0, 1, 2, 199].map(hears)).toEqual([true, true, true, true]);
    guest.send(udpFrame(1000, 4000, data(1), { destination: WORLD + 1000 }));
    expect([0, 1, 2, 199].map(hears)).toEqual([true, false, true, true]);
    host.sockets[0].handlers.failed("host-unreachable", "93.184.216.35", 2000);
    expect(guest.got()).toEqual([]);
    expect(network.counters.dropped.udp).toBe(1);
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
    clock.advance(1_200_000);
    expect(clock.pending).toBe(0);
  });

  test("a flow that is used, either way, stays; a question to a name server does not make it a short one", () => {
    const { guest, host, clock } = bench({ limits: { udpIdleMs: 60_000 } });
    guest.send(udpFrame(1000, 53, data(1), { destination: WORLD }));
    guest.send(udpFrame(1000, 2000, data(1), { destination: WORLD }));
    guest.send(udpFrame(1000, 53, data(1), { destination: WORLD }));
    for (let i = 0; i < 10; i++) {
      clock.advance(59_999);
      if (i % 2 === 0) guest.send(udpFrame(1000, 2000, data(1), { destination: WORLD }));
      else host.sockets[0].handlers.message(data(2), "93.184.216.34", 2000);
    }
    expect([host.sockets.length, host.sockets[0].closed]).toEqual([1, false]);
    clock.advance(60_000);
    expect(host.sockets[0].closed).toBe(true);
  });

  test("when a guest has used more ports than there are flows, the one used least recently gives way", () => {
    const { guest, host, network } = bench({ limits: { udpFlows: 5 } });
    const from = (port: number): void => guest.send(udpFrame(port, 2000, data(1), { destination: WORLD }));
    for (let port = 1; port <= 5; port++) from(port);
    from(1);
    from(6);
    expect(host.sockets.map(({ closed }) => closed)).toEqual([false, true, false, false, false, false]);
    for (let port = 7; port <= 100; port++) from(port);
    expect(host.sockets.map(({ sent }) => sent.length > 0).length).toBe(100);
    expect(host.sockets.filter(({ closed }) => !closed).length).toBe(5);
    expect(network.counters.tables.udp).toEqual({ evicted: 95, expired: 0 });
    network.detach();
    expect(host.sockets.every(({ closed }) => closed)).toBe(true);
  });

  test("a socket that fails after its flow gave way ends no other", () => {
    const { guest, host } = bench({ limits: { udpFlows: 1 } });
    for (const port of [1, 2, 1]) guest.send(udpFrame(port, 2000, data(1), { destination: WORLD }));
    host.sockets[0].handlers.failed("failed");
    expect(host.sockets.map(({ closed }) => closed)).toEqual([true, true, false]);
    guest.send(udpFrame(1, 2000, data(2), { destination: WORLD }));
    expect(host.sockets[2].sent.map(({ bytes }) => bytes[0])).toEqual([1, 2]);
  });

  test("a guest that is taken away when a flow gives way gets no socket for the next one", () => {
    const { guest, host, network } = bench({
      limits: { udpFlows: 1 },
      trace: (event) => event.type === "entry-ended" && network.detach(),
    });
    guest.send(udpFrame(1, 2000, data(1), { destination: WORLD }));
    guest.send(udpFrame(2, 2000, data(1), { destination: WORLD }));
    expect(host.sockets.map(({ closed }) => closed)).toEqual([true]);
  });

  test("there are 1,024 flows unless the user says otherwise, and one more is answered at once", () => {
    const { guest, host, network } = bench();
    for (let port = 1; port <= 1024; port++) guest.send(udpFrame(port, 2000, data(1), { destination: WORLD }));
    expect(network.counters.tables.udp).toEqual({ evicted: 0, expired: 0 });
    guest.send(udpFrame(1025, 2000, data(1), { destination: WORLD }));
    expect(network.counters.tables.udp).toEqual({ evicted: 1, expired: 0 });
    expect([0, 1, 1024].map((i) => host.sockets[i].closed)).toEqual([true, false, false]);
    host.sockets[1024].handlers.message(data(9), "93.184.216.34", 2000);
    expect(guest.one().view.getUint16(36)).toBe(1025);
  });

  test("a flow somebody answers outlives any number that nobody does, and those to name servers go first", () => {
    const { guest, host } = bench({ limits: { udpFlows: 5 } });
    guest.send(udpFrame(1, 2000, data(1), { destination: WORLD }));
    host.sockets[0].handlers.message(data(2), "93.184.216.34", 2000);
    guest.send(udpFrame(2, 2000, data(1), { destination: WORLD }));
    for (let port = 3; port <= 200; port++) guest.send(udpFrame(port, 53, data(1), { destination: WORLD }));
    expect(host.sockets.slice(0, 2).map(({ closed }) => closed)).toEqual([false, false]);
    for (let port = 201; port <= 400; port++) guest.send(udpFrame(port, 2000, data(1), { destination: WORLD }));
    expect(host.sockets.slice(0, 2).map(({ closed }) => closed)).toEqual([false, true]);
  });

  test("an answer to a guest whose MAC address was forgotten is kept while ARP asks", () => {
    const { guest, host } = bench({ subnet: "10.0.0.0/16", gateway: "10.0.2.2", dns: "10.0.2.3", guest: "10.0.2.15" });
    guest.send(udpFrame(1000, 2000, data(1), { destination: WORLD }));
    for (let i = 0; i < 1024; i++) guest.send(arpFrom(GUEST_MAC, 0x0a000300 + i));
    guest.got();
    host.sockets[0].handlers.message(data(9), "93.184.216.34", 2000);
    expect(guest.one().view.getUint32(38)).toBe(GUEST); // who has it?
    guest.send(arpFrom(GUEST_MAC, GUEST));
    expect(guest.one().payload[8]).toBe(9);
  });

  test("nothing of a link reaches the guest of the next: flows end with it, whether it was detached or replaced", () => {
    for (const isReplaced of [false, true]) {
      const { guest, host, network } = bench();
      guest.send(udpFrame(1000, 2000, data(1), { destination: WORLD }));
      if (!isReplaced) network.detach();
      const next = new TestGuest(network);
      network.attach(next);
      next.hello();
      expect(host.sockets[0].closed).toBe(true);
      next.send(udpFrame(1000, 2000, data(1), { destination: WORLD }));
      expect(host.sockets.length).toBe(2);
    }
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
    host.sockets[0].handlers.failed("refused", "93.184.216.34", 2000);
    expect([...guest.one().payload.subarray(0, 2)]).toEqual([3, 3]);
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

  const UDP = { protocol: "udp", hostPort: 5, guestPort: 7 } as const;

  test("a host keeps its port at the gateway from 1024 on", async () => {
    const { guest, host, network } = bench({ forwards: [UDP] });
    await network.ready;
    guest.hello();
    for (const port of [1023, 1024]) host.sockets[0].handlers.message(data(1), "127.0.0.1", port);
    const [below, own] = guest.got().map(({ view }) => view.getUint16(34));
    expect(below).toBeGreaterThan(1024);
    expect(own).toBe(1024);
  });

  test("the first datagrams to a guest that was not heard of wait while ARP asks, the latest four of them", async () => {
    const { guest, host, network, clock } = bench({ forwards: [UDP] });
    await network.ready;
    const send = (byte: number): void => host.sockets[0].handlers.message(data(byte), "127.0.0.1", 5555);
    send(1);
    expect(guest.one().view.getUint32(38)).toBe(GUEST); // who has it?
    for (let byte = 2; byte <= 6; byte++) send(byte);
    expect(guest.got()).toEqual([]);
    guest.send(arpFrom(GUEST_MAC, GUEST));
    expect(guest.got().map(({ payload }) => payload[8])).toEqual([3, 4, 5, 6]);
    expect(network.counters).toMatchObject({ udpFromHost: 4, dropped: { toGuest: 2 } });
    send(7);
    expect(guest.one().payload[8]).toBe(7);
    clock.advance(1_200_000);
    expect(clock.pending).toBe(0);
  });

  test("a guest that never answers is asked for once a second, and what waits for it is dropped in the end", async () => {
    const { guest, host, network, clock } = bench({ forwards: [UDP] });
    await network.ready;
    for (let i = 0; i < 30; i++) {
      host.sockets[0].handlers.message(data(i), "127.0.0.1", 5555);
      clock.advance(100);
    }
    expect(guest.got().map(({ etherType }) => etherType)).toEqual([0x0806, 0x0806, 0x0806]);
    clock.advance(3000);
    expect(network.counters.dropped.toGuest).toBe(30);
    expect(clock.pending).toBe(0);
    guest.send(arpFrom(GUEST_MAC, GUEST));
    expect(guest.got()).toEqual([]);
  });

  test("host B never gets the answer meant for host A, though the guest came and went between", async () => {
    const { guest, host, network } = bench({ forwards: [UDP] });
    await network.ready;
    const [socket] = host.sockets;
    guest.hello();
    socket.handlers.message(data(1), "127.0.0.1", 5555);
    network.detach();
    network.attach(guest);
    guest.hello();
    socket.handlers.message(data(2), "192.0.2.1", 5555); // it has the port of the gateway that A had
    guest.got();
    socket.handlers.message(data(1), "127.0.0.1", 5555);
    const { view } = guest.one();
    expect(view.getUint16(34)).not.toBe(5555);
    guest.send(udpFrame(7, view.getUint16(34), data(8)));
    guest.send(udpFrame(7, 5555, data(9)));
    expect(socket.sent).toEqual([
      { bytes: data(8), address: "127.0.0.1", port: 5555 },
      { bytes: data(9), address: "192.0.2.1", port: 5555 },
    ]);
  });

  test("what waits for a guest does not reach the next one", async () => {
    const { guest, host, network } = bench({ forwards: [UDP] });
    await network.ready;
    host.sockets[0].handlers.message(data(1), "127.0.0.1", 5555);
    network.detach();
    host.sockets[0].handlers.message(data(2), "127.0.0.1", 5555);
    network.attach(guest);
    guest.got();
    guest.send(arpFrom(GUEST_MAC, GUEST));
    expect(guest.got()).toEqual([]);
    expect(network.counters.dropped.toGuest).toBe(2);
  });

  test("hosts that send stay within their bound: the one that sent least recently gives way, one that is answered last", async () => {
    const { guest, host, network } = bench({ forwards: [UDP], limits: { udpFlows: 3 } });
    await network.ready;
    const [socket] = host.sockets;
    guest.hello();
    socket.handlers.message(data(1), "192.0.2.1", 2001);
    guest.send(udpFrame(7, 2001, data(1)));
    for (let port = 2002; port < 2100; port++) socket.handlers.message(data(1), "192.0.2.1", port);
    guest.got();
    for (const port of [2001, 2097, 2098, 2099]) guest.send(udpFrame(7, port, data(2)));
    expect(socket.sent.map(({ port }) => port)).toEqual([2001, 2001, 2098, 2099]);
    expect(network.counters.tables.udpSenders.evicted).toBe(96);
  });

  test("a host that has not sent for long is forgotten", async () => {
    const { guest, host, network, clock } = bench({ forwards: [UDP], limits: { udpIdleMs: 60_000 } });
    await network.ready;
    guest.hello();
    host.sockets[0].handlers.message(data(1), "192.0.2.1", 2001);
    clock.advance(59_999);
    guest.send(udpFrame(7, 2001, data(1)));
    clock.advance(59_999);
    guest.send(udpFrame(7, 2001, data(1)));
    clock.advance(60_000);
    guest.got();
    guest.send(udpFrame(7, 2001, data(1)));
    expect(host.sockets[0].sent.length).toBe(2);
    expect([...guest.one().payload.subarray(0, 2)]).toEqual([3, 3]);
  });

  test("an answer to a forward that was closed goes nowhere", async () => {
    const { guest, host, network } = bench({ forwards: [UDP] });
    const [forward] = await network.ready;
    guest.hello();
    host.sockets[0].handlers.message(data(1), "192.0.2.1", 2001);
    guest.got();
    forward.close();
    guest.send(udpFrame(7, 2001, data(1)));
    expect([...guest.one().payload.subarray(0, 2)]).toEqual([3, 3]);
    expect(network.counters.faults).toBe(0);
  });

  test("two forwards of one guest's port keep their hosts apart", async () => {
    const { guest, host, network } = bench({ forwards: [UDP, { ...UDP, hostPort: 6 }] });
    await network.ready;
    guest.hello();
    for (const socket of host.sockets) socket.handlers.message(data(1), "192.0.2.1", 2001);
    const ports = guest.got().map(({ view }) => view.getUint16(34));
    for (const port of ports) guest.send(udpFrame(7, port, data(2)));
    expect(host.sockets.map(({ sent }) => sent.length)).toEqual([1, 1]);
  });
});
