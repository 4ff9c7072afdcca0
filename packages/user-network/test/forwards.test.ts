/** Ports of the host that lead to guests: what listens, what is refused, and how a connection comes in. */
import { describe, expect, test } from "vitest";
import { UserNetwork, UserNetworkError, type UserNetworkOptions } from "../src/index.ts";
import { MemoryHost } from "./support/memory-host.ts";
import { ACK, type Bench, bench, RST, SYN, segmentOf } from "./support/test-guest.ts";
import { arpFrom, GATEWAY, GUEST_MAC, udpFrame } from "./support/wire-test.ts";

const TCP = { protocol: "tcp", hostPort: 8080, guestPort: 80 } as const;

describe("a connection that comes in", () => {
  test("is a SYN from the gateway, and stands when the guest has answered", async () => {
    const { guest, host, network } = bench({ forwards: [TCP] });
    expect(await network.ready).toMatchObject([{ hostAddress: "127.0.0.1", hostPort: 8080, guestPort: 80 }]);
    guest.hello();
    const tcp = host.dial(host.listeners[0], 33_333)!;
    const syn = guest.one();
    expect(syn.source).toBe(GATEWAY);
    const segment = segmentOf(syn);
    expect(segment).toMatchObject({ fromPort: 33_333, toPort: 80, flags: SYN });
    expect(tcp.paused).toBe(true);
    guest.tcp({
      ...{ destination: GATEWAY, fromPort: 80, toPort: 33_333, sequence: 500, acknowledged: segment.sequence + 1 },
      ...{ flags: SYN | ACK, window: 1000, options: Uint8Array.of(2, 4, 5, 180, 1, 3, 3, 7) },
    });
    expect(segmentOf(guest.one())).toMatchObject({ flags: ACK, acknowledged: 501 });
    expect(tcp.paused).toBe(false);
    tcp.send(new Uint8Array(5000));
    tcp.read(1);
    expect(segmentOf(guest.one()).data.length).toBe(1000); // its SYN's window, which is never scaled
    network.close();
  });

  test("is refused by the guest: the host's side is cut", () => {
    const b = bench({ forwards: [TCP] });
    b.guest.hello();
    const tcp = b.host.dial(b.host.listeners[0], 33_333)!;
    const { sequence } = segmentOf(b.guest.one());
    b.guest.tcp({
      destination: GATEWAY,
      fromPort: 80,
      toPort: 33_333,
      sequence: 0,
      acknowledged: sequence + 1,
      flags: RST | ACK,
    });
    expect(tcp.destroyed).toBe("reset");
    expect(b.network.counters.tcpActive).toBe(0);
  });

  test("waits for a guest that was not heard of yet", () => {
    const b = bench({ forwards: [TCP] });
    b.host.dial(b.host.listeners[0], 33_333);
    expect(b.guest.one().etherType).toBe(0x0806);
    b.clock.advance(1000);
    expect(b.guest.one().etherType).toBe(0x0806);
    b.guest.send(udpFrame(1, 9, new Uint8Array(1), { destination: 0xffff_ffff }));
    expect(segmentOf(b.guest.one()).flags).toBe(SYN);
  });

  test("is not asked for again because another guest is heard of", () => {
    const b = bench({ forwards: [TCP] });
    b.guest.hello();
    b.host.dial(b.host.listeners[0], 33_333);
    expect(segmentOf(b.guest.one()).flags).toBe(SYN);
    b.guest.send(arpFrom(Uint8Array.of(2, 0, 0, 0, 0, 9), 0x0a000210));
    expect(b.guest.got()).toEqual([]);
  });

  test("is given up when the guest never answers", () => {
    const b = bench({ forwards: [TCP] });
    b.guest.hello();
    const tcp = b.host.dial(b.host.listeners[0], 33_333)!;
    b.clock.advance(240_000);
    expect(tcp.destroyed).toBe("reset");
    expect(b.guest.got().length).toBeGreaterThan(4);
  });

  test("is sent away when there is no guest, and the one that waits longest when too many do", async () => {
    const b = bench({ forwards: [TCP], limits: { tcpBacklog: 2 } });
    await b.network.ready;
    for (let i = 0; i < 3; i++) expect(b.host.dial(b.host.listeners[0], 1)).toBeDefined();
    expect(b.host.connections.map(({ destroyed }) => destroyed)).toEqual(["reset", undefined, undefined]);
    b.network.detach();
    expect(b.host.dial(b.host.listeners[0], 1)).toBeUndefined();
    b.network.close();
    expect(b.host.listeners[0].closed).toBe(true);
  });
});

describe("a forward that names no guest leads to the guest, wherever it is", () => {
  const UDP = { protocol: "udp", hostPort: 5, guestPort: 7 } as const;
  const request = (address: number, mac = 0x56): Uint8Array => {
    const bytes = new Uint8Array(300);
    bytes.set([1, 1, 6, 0]);
    bytes.set([0x52, 0x54, 0, 0x12, 0x34, mac], 28);
    bytes.set([0x63, 0x82, 0x53, 0x63, 53, 1, 3, 50, 4, 10, 0, 2, address, 255], 236);
    return udpFrame(68, 67, bytes, { source: 0, destination: 0xffff_ffff });
  };
  /** Which address a datagram and a connection that come in are sent to, or which is asked for. */
  const leadsTo = async (b: Bench): Promise<number[]> => {
    b.clock.advance(1000); // an address is asked for once a second
    b.guest.got();
    const dialled = b.host.dial(b.host.listeners[0], 33_333);
    b.host.sockets[0].handlers.message(Uint8Array.of(1), "127.0.0.1", 5555);
    const to = b.guest
      .got()
      .map(({ etherType, destination, view }) => (etherType === 0x0806 ? view.getUint32(38) : destination));
    dialled?.fail("reset");
    const [tcp, udp] = await b.network.ready;
    expect(tcp.guestAddress).toBe(udp.guestAddress);
    expect(to.length).toBeGreaterThan(0);
    return [...new Set(to.map((address) => address - 0x0a000200))];
  };
  const start = async (more = {}): Promise<Bench> => {
    const b = bench({
      forwards: [
        { ...TCP, ...more },
        { ...UDP, ...more },
      ],
    });
    await b.network.ready;
    return b;
  };

  test("nobody was heard of: the address DHCP gives out first", async () => {
    expect(await leadsTo(await start())).toEqual([15]);
  });

  test("it took a lease of another address", async () => {
    const b = await start();
    b.guest.send(request(50));
    expect(await leadsTo(b)).toEqual([50]);
    const [forward] = await b.network.ready;
    expect(forward.guestAddress).toBe("10.0.2.50");
    b.guest.send(arpFrom(GUEST_MAC, 0x0a000232));
    expect(await leadsTo(b)).toEqual([50]);
    b.guest.send(request(60)); // and then of yet another
    expect(await leadsTo(b)).toEqual([60]);
    b.guest.send(request(70, 1)); // a second guest changes nothing
    expect(await leadsTo(b)).toEqual([60]);
    b.network.detach();
    b.network.attach(b.guest);
    expect(await leadsTo(b)).toEqual([15]);
  });

  test("it has moved while a second guest has a lease", async () => {
    const b = await start();
    b.guest.send(request(50));
    b.guest.send(request(70, 1));
    b.guest.send(request(60));
    expect(await leadsTo(b)).toEqual([60]);
  });

  test("it gave its lease back, a second guest has one, and a third was only offered an address", async () => {
    const b = await start();
    const message = (type: number, address: number, mac: number, client = 0): Uint8Array => {
      const frame = request(address, mac);
      frame[42 + 242] = type;
      frame[42 + 15] = client;
      if (client !== 0) frame.set([10, 0, 2], 42 + 12);
      return udpFrame(68, 67, frame.slice(42), { source: 0, destination: 0xffff_ffff });
    };
    b.guest.send(request(50));
    b.guest.send(message(1, 80, 3));
    b.guest.send(request(70, 1));
    b.guest.send(message(7, 50, 0x56, 50));
    expect(await leadsTo(b)).toEqual([70]);
  });

  test("it was heard of at the first address, and has moved from there", async () => {
    const b = await start();
    b.guest.send(request(15));
    b.guest.send(arpFrom(GUEST_MAC, 0x0a00020f));
    expect(await leadsTo(b)).toEqual([15]);
    b.guest.send(request(50));
    expect(await leadsTo(b)).toEqual([50]);
  });

  test("it has an address of its own choice", async () => {
    const b = await start();
    b.guest.send(arpFrom(GUEST_MAC, 0x0a000263));
    expect(await leadsTo(b)).toEqual([99]);
  });

  test("it is where it is expected, and another took a lease", async () => {
    const b = await start();
    b.guest.send(arpFrom(GUEST_MAC, 0x0a00020f));
    b.guest.send(request(16, 1));
    expect(await leadsTo(b)).toEqual([15]);
  });

  test("one that names a guest leads there", async () => {
    const b = await start({ guestAddress: "10.0.2.20" });
    b.guest.send(request(50));
    expect(await leadsTo(b)).toEqual([20]);
  });

  test("a host whose guest has moved is answered from where it is now, by one port of the gateway", async () => {
    const b = await start();
    const ask = (): number => {
      b.host.sockets[0].handlers.message(Uint8Array.of(1), "127.0.0.1", 5555);
      return b.guest.one().view.getUint16(34);
    };
    b.guest.send(request(50));
    b.guest.send(arpFrom(GUEST_MAC, 0x0a000232));
    b.guest.got();
    ask();
    b.guest.send(request(60));
    b.guest.send(arpFrom(GUEST_MAC, 0x0a00023c));
    b.guest.got();
    const port = ask();
    expect(port).toBe(5555); // its own, as before
    b.guest.send(udpFrame(7, port, Uint8Array.of(2), { source: 0x0a000232 })); // from where it was
    expect(b.host.sockets[0].sent).toEqual([]);
    b.guest.send(udpFrame(7, port, Uint8Array.of(2), { source: 0x0a00023c }));
    expect(b.host.sockets[0].sent.length).toBe(1);
  });
});

describe("what can't be", () => {
  const network = (options: UserNetworkOptions, host = new MemoryHost()): UserNetwork =>
    new UserNetwork({ host, options });
  const error = (options: UserNetworkOptions): UserNetworkError => {
    try {
      network(options);
    } catch (caught) {
      if (caught instanceof UserNetworkError) return caught;
      throw caught;
    }
    throw new Error("was accepted");
  };

  test.each([
    [{ subnet: "10.0.2.0" }, "BAD_SUBNET", '"10.0.2.0"'],
    [{ subnet: "10.0.2.0/8" }, "BAD_SUBNET", "16 to 28"],
    [{ subnet: "10.0.2.1/24" }, "BAD_SUBNET", "10.0.2.0/24"],
    [{ subnet: "10.0.2.0/24x" }, "BAD_SUBNET", "expected"],
    [{ gateway: "10.0.3.1" }, "BAD_ADDRESS", "10.0.2.1 to 10.0.2.254"],
    [{ gateway: "10.0.2" }, "BAD_ADDRESS", '"10.0.2"'],
    [{ dns: "10.0.2.2" }, "BAD_ADDRESS", "three addresses"],
    [{ guest: "10.0.2.255" }, "BAD_ADDRESS", "10.0.2.255"],
    [{ gatewayMac: Uint8Array.of(1, 2, 3, 4, 5, 6) }, "BAD_ADDRESS", "01:02:03:04:05:06"],
    [{ guestMac: Uint8Array.of(2) }, "BAD_ADDRESS", "6 bytes"],
    [{ mtu: 100 }, "BAD_VALUE", "576 to 65535"],
    [{ leaseSeconds: 1.5 }, "BAD_VALUE", "1.5"],
    [{ hostname: "ä" }, "BAD_VALUE", "ASCII"],
    [{ limits: { tcpConnections: 0 } }, "BAD_VALUE", "limits.tcpConnections"],
    [{ names: { "a.b": "example" } }, "BAD_ADDRESS", '"a.b"'],
    [{ forwards: [{ ...TCP, guestAddress: "10.0.2.2" }] }, "BAD_ADDRESS", "10.0.2.2"],
    [{ forwards: [{ ...TCP, guestPort: 0 }] }, "BAD_VALUE", "guestPort"],
    [{ forwards: [{ ...TCP, hostPort: 65_536 }] }, "BAD_VALUE", "65536"],
    [{ forwards: [TCP, { ...TCP, guestPort: 81 }] }, "OVERLAPPING_FORWARDS", "8080"],
    [{ forwards: [TCP, { ...TCP, hostAddress: "0.0.0.0" }] }, "OVERLAPPING_FORWARDS", "0.0.0.0"],
    [{ forwards: [TCP, { ...TCP, hostAddress: "::" }] }, "OVERLAPPING_FORWARDS", "::"],
    [{ forwards: [{ ...TCP, hostAddress: "::" }, TCP] }, "OVERLAPPING_FORWARDS", "::"],
  ] as const)("%o is %s", (options, code, text) => {
    const caught = error(options);
    expect(caught.code).toBe(code);
    expect(caught.message).toContain(text);
  });

  test("what can be: other protocols, other addresses, any port twice", async () => {
    const n = network({
      forwards: [
        TCP,
        { ...TCP, protocol: "udp" },
        { ...TCP, hostAddress: "127.0.0.2" },
        { ...TCP, hostPort: 0 },
        { ...TCP, hostPort: 0 },
      ],
    });
    expect((await n.ready).length).toBe(5);
    n.close();
  });

  test("a port that is taken is PORT_IN_USE, by name; the plan is forgotten", async () => {
    const host = new MemoryHost();
    host.taken.add(8080);
    const n = network({ forwards: [TCP] }, host);
    await expect(n.ready).rejects.toMatchObject({
      code: "PORT_IN_USE",
      message: expect.stringContaining("tcp port 8080 of 127.0.0.1"),
    });
    host.taken.clear();
    const forward = await n.forward(TCP);
    await expect(n.forward(TCP)).rejects.toMatchObject({ code: "OVERLAPPING_FORWARDS" });
    let closed = 0;
    const [listener] = host.listeners;
    listener.close = () => closed++;
    forward.close();
    forward.close();
    expect(closed).toBe(1);
    await n.forward(TCP);
    n.close();
    await expect(n.forward({ ...TCP, hostPort: 1 })).rejects.toMatchObject({ code: "CLOSED" });
  });
});
