/** ARP, ICMP, and what an IPv4 header may not be. */
import { describe, expect, test } from "vitest";
import { type Bench, bench } from "../support/test-guest.ts";
import {
  DNS,
  GATEWAY,
  GATEWAY_MAC,
  GUEST,
  GUEST_MAC,
  ipv4Frame,
  slowSum,
  tagged,
  tcpFrame,
  udpFrame,
  WORLD,
} from "../support/wire-test.ts";

const BROADCAST = new Uint8Array(6).fill(255);

function arp(operation: number, sender: number, target: number): Uint8Array {
  const frame = new Uint8Array(42);
  const view = new DataView(frame.buffer);
  frame.set(BROADCAST, 0);
  frame.set(GUEST_MAC, 6);
  view.setUint16(12, 0x0806);
  view.setUint32(14, 0x0001_0800);
  view.setUint16(18, 0x0604);
  view.setUint16(20, operation);
  frame.set(GUEST_MAC, 22);
  view.setUint32(28, sender);
  view.setUint32(38, target);
  return frame;
}

const echo = (data: Uint8Array): Uint8Array => {
  const message = Uint8Array.from([8, 0, 0, 0, 0x12, 0x34, 0, 1, ...data]);
  const sum = 0xffff - slowSum(message);
  message[2] = sum >> 8;
  message[3] = sum & 255;
  return message;
};

describe("ARP", () => {
  test.each([
    ["gateway", GATEWAY],
    ["name server", DNS],
  ])("the %s answers for itself", (_who, address) => {
    const { guest } = bench();
    guest.send(arp(1, GUEST, address));
    const { bytes, view } = guest.one();
    expect(bytes.subarray(0, 6)).toEqual(GUEST_MAC);
    expect([...bytes.subarray(14, 22)]).toEqual([0, 1, 8, 0, 6, 4, 0, 2]);
    expect(bytes.subarray(22, 28)).toEqual(GATEWAY_MAC);
    expect(view.getUint32(28)).toBe(address);
    expect(bytes.subarray(32, 38)).toEqual(GUEST_MAC);
    expect(view.getUint32(38)).toBe(GUEST);
  });

  test("nobody answers for guests, or for the world", () => {
    const { guest } = bench();
    for (const address of [GUEST, 0x0a000210, WORLD]) guest.send(arp(1, GUEST, address));
    guest.send(arp(2, GUEST, GATEWAY));
    expect(guest.got()).toEqual([]);
  });

  test("a guest that makes sure its address is free gets silence, one that tries ours an answer", () => {
    const { guest } = bench();
    guest.send(arp(1, 0, GUEST));
    expect(guest.got()).toEqual([]);
    guest.send(arp(1, 0, GATEWAY));
    expect(guest.got().length).toBe(1);
  });

  test("a guest that claims our address is not believed", () => {
    const { guest, network } = bench();
    guest.send(arp(2, GATEWAY, GUEST));
    expect(network.counters.dropped.spoofed).toBe(1);
  });

  test("of another hardware or protocol, or cut short: malformed", () => {
    const { guest, network } = bench();
    const wrong = arp(1, GUEST, GATEWAY);
    wrong[15] = 2;
    guest.send(wrong);
    for (const length of [14, 20, 41]) guest.send(arp(1, GUEST, GATEWAY).slice(0, length));
    expect(guest.got()).toEqual([]);
    expect(network.counters.dropped.malformed).toBe(4);
  });
});

describe("ICMP", () => {
  test.each([
    ["gateway", GATEWAY],
    ["name server", DNS],
  ])("the %s answers an echo request with the same data", (_who, destination) => {
    const { guest } = bench();
    const data = Uint8Array.from({ length: 56 }, (_, i) => i);
    guest.send(ipv4Frame(echo(data), { protocol: 1, destination }));
    const { bytes, payload, source } = guest.one();
    expect([source, ...bytes.subarray(0, 6)]).toEqual([destination, ...GUEST_MAC]);
    expect([payload[0], payload[1], ...payload.subarray(4, 8)]).toEqual([0, 0, 0x12, 0x34, 0, 1]);
    expect([...payload.subarray(8)]).toEqual([...data]);
  });

  test("a large echo request comes and goes in fragments", () => {
    const { guest } = bench();
    const message = echo(new Uint8Array(4000).fill(7));
    for (const [from, to] of [
      [2960, 4008],
      [0, 1480],
      [1480, 2960],
    ] as const) {
      const fragment = (to < 4008 ? 0x2000 : 0) | (from / 8);
      guest.send(ipv4Frame(message.slice(from, to), { protocol: 1, fragment, id: 9 }));
    }
    const frames = guest.got();
    expect(frames.map(({ payload }) => payload.length)).toEqual([1480, 1480, 1048]);
    expect(frames.map(({ view }) => view.getUint16(20))).toEqual([0x2000, 0x2000 | 185, 370]);
    expect(frames[0].payload[0]).toBe(0);
  });

  test("an echo request to the world is refused, not swallowed", () => {
    const { guest } = bench();
    guest.send(ipv4Frame(echo(new Uint8Array(8)), { protocol: 1, destination: WORLD }));
    const { payload, source } = guest.one();
    expect([source, payload[0], payload[1]]).toEqual([GATEWAY, 3, 13]);
  });

  test("an echo request to a neighbour says that it is not there", () => {
    const { guest } = bench();
    guest.send(ipv4Frame(echo(new Uint8Array(8)), { protocol: 1, destination: 0x0a000263 }));
    expect([...guest.one().payload.subarray(0, 2)]).toEqual([3, 1]);
  });

  test.each([
    ["the subnet's broadcast", 0x0a0002ff],
    ["the limited broadcast", 0xffff_ffff],
    ["the subnet's old broadcast", 0x0a000200],
    ["a multicast group", 0xe000_0001],
  ])("nothing is said of what was sent to %s (RFC 1122, 3.2.2)", (_what, destination) => {
    const { guest, network } = bench();
    const to = { destination, toMac: BROADCAST };
    guest.send(ipv4Frame(echo(new Uint8Array(8)), { ...to, protocol: 1, ttl: 1 }));
    guest.send(ipv4Frame(new Uint8Array(8), { ...to, protocol: 2, ttl: 1 }));
    guest.send(udpFrame(1, 2, Uint8Array.of(1), { ...to, ttl: 1 }));
    guest.send(tcpFrame({ ...to, fromPort: 1, toPort: 2, sequence: 1, flags: 2 }));
    expect(guest.got()).toEqual([]);
    expect(network.counters.icmpErrors).toBe(0);
  });

  test("nothing is said of a frame to everybody, whatever its IP header says (RFC 1122, 3.2.2)", () => {
    const { guest } = bench();
    guest.send(ipv4Frame(echo(new Uint8Array(8)), { destination: WORLD, toMac: BROADCAST, protocol: 1 }));
    expect(guest.got()).toEqual([]);
  });

  test.each([1, 0])("a packet to the world with a TTL of %i ends at the gateway, which says so", (ttl) => {
    const { guest, host, network } = bench();
    const sent = [
      udpFrame(33434, 33435, Uint8Array.of(1, 2, 3), { destination: WORLD, ttl }),
      tcpFrame({ fromPort: 1000, toPort: 80, sequence: 5, flags: 2, ttl }),
      ipv4Frame(echo(new Uint8Array(8)), { protocol: 1, destination: WORLD, ttl }),
    ];
    for (const frame of sent) {
      guest.send(frame);
      const { payload, source } = guest.one();
      expect(source).toBe(GATEWAY);
      expect([...payload.subarray(0, 2), ...payload.subarray(4, 8)]).toEqual([11, 0, 0, 0, 0, 0]);
      expect([...payload.subarray(8)]).toEqual([...frame.subarray(14, 14 + 28)]);
    }
    expect([host.sockets, host.connections]).toEqual([[], []]);
    expect(network.counters.dropped.ttl).toBe(3);
  });

  test("of a fragmented packet with a TTL of 1 the first fragment is answered only", () => {
    const { guest, network } = bench();
    for (const fragment of [0x2000, 1]) {
      guest.send(ipv4Frame(new Uint8Array(8), { destination: WORLD, ttl: 1, fragment }));
    }
    expect(guest.one().payload[0]).toBe(11);
    guest.send(ipv4Frame(new Uint8Array(8), { destination: WORLD, ttl: 2, fragment: 1 }));
    network.close();
    expect(network.counters.dropped).toMatchObject({ ttl: 2, fragment: 0 });
  });

  test("a TTL of 1 is enough for the gateway and the name server", () => {
    const { guest } = bench();
    for (const destination of [GATEWAY, DNS]) {
      guest.send(ipv4Frame(echo(new Uint8Array(8)), { protocol: 1, destination, ttl: 1 }));
      expect(guest.one().payload[0]).toBe(0);
    }
  });

  test.each([
    ["world", WORLD],
    ["gateway", GATEWAY],
    ["name server", DNS],
  ])("another protocol than ICMP, TCP and UDP to the %s: protocol unreachable", (_who, destination) => {
    const { guest, network } = bench();
    guest.send(ipv4Frame(new Uint8Array(4), { protocol: 47, destination }));
    const { payload, source } = guest.one();
    expect([source, payload[0], payload[1], payload.length]).toEqual([GATEWAY, 3, 2, 8 + 24]); // all there is of it
    expect(network.counters.dropped.protocol).toBe(1);
  });

  test("a wrong checksum or a cut header is dropped", () => {
    const { guest, network } = bench();
    const wrong = echo(new Uint8Array(8));
    wrong[2] ^= 1;
    guest.send(ipv4Frame(wrong, { protocol: 1 }));
    guest.send(ipv4Frame(wrong.slice(0, 7), { protocol: 1 }));
    expect(guest.got()).toEqual([]);
    expect(network.counters.dropped).toMatchObject({ checksum: 1, malformed: 1 });
  });
});

describe("IPv4", () => {
  const drops = (b: Bench, frame: Uint8Array): Record<string, number> => {
    const before = { ...b.network.counters.dropped };
    b.guest.send(frame);
    const changed: Record<string, number> = {};
    for (const [reason, n] of Object.entries(b.network.counters.dropped)) {
      const more = n - before[reason as keyof typeof before];
      if (more !== 0) changed[reason] = more;
    }
    return changed;
  };
  const ping = echo(new Uint8Array(8));

  test.each([
    ["a frame without a header", new Uint8Array(13), "malformed"],
    ["half an IPv4 header", ipv4Frame(ping, { protocol: 1 }).slice(0, 30), "malformed"],
    ["version 6", ipv4Frame(ping, { protocol: 1, versionIhl: 0x65 }), "malformed"],
    ["a header of 16 bytes", ipv4Frame(ping, { protocol: 1, versionIhl: 0x44 }), "malformed"],
    ["a header longer than the packet", ipv4Frame(ping, { protocol: 1, versionIhl: 0x4f }), "malformed"],
    ["a total length past the frame", ipv4Frame(ping, { protocol: 1, totalLength: 1000 }), "malformed"],
    ["a total length below the header", ipv4Frame(ping, { protocol: 1, totalLength: 19 }), "malformed"],
    ["a wrong header checksum", ipv4Frame(ping, { protocol: 1, ipChecksum: 0 }), "checksum"],
    ["the gateway's own address", ipv4Frame(ping, { protocol: 1, source: GATEWAY }), "spoofed"],
    ["the name server's own address", ipv4Frame(ping, { protocol: 1, source: DNS }), "spoofed"],
    ["an address of the world", ipv4Frame(ping, { protocol: 1, source: WORLD }), "spoofed"],
    ["the broadcast address", ipv4Frame(ping, { protocol: 1, source: 0x0a0002ff }), "spoofed"],
    ["no address", ipv4Frame(ping, { protocol: 1, source: 0 }), "spoofed"],
    ["another MAC address", ipv4Frame(ping, { protocol: 1, toMac: GUEST_MAC }), "notForUs"],
    ["IPv6", ipv4Frame(ping, { etherType: 0x86dd }), "etherType"],
    ["SCTP", ipv4Frame(ping, { protocol: 132 }), "protocol"],
  ])("%s is dropped", (_what, frame, reason) => {
    expect(drops(bench(), frame)).toEqual({ [reason]: 1 });
  });

  test("options are skipped, padding is ignored", () => {
    const b = bench();
    b.guest.send(ipv4Frame(ping, { protocol: 1, ipOptions: Uint8Array.of(1, 1, 1, 0), padding: 6 }));
    expect(b.guest.one().payload.length).toBe(ping.length);
  });

  test("a frame with a priority tag is one without; one of a VLAN is not for us", () => {
    const b = bench();
    b.guest.send(tagged(arp(1, GUEST, GATEWAY), 5, 0));
    expect(b.guest.one().etherType).toBe(0x0806);
    b.guest.send(tagged(ipv4Frame(ping, { protocol: 1, padding: 6 }), 7, 0));
    const { payload, etherType } = b.guest.one();
    expect([etherType, payload.length]).toEqual([0x0800, ping.length]);
    b.guest.send(tagged(udpFrame(1000, 2000, Uint8Array.of(1, 2, 3), { destination: WORLD }), 1, 0));
    b.guest.send(tagged(udpFrame(1000, 2000, Uint8Array.of(4), { destination: WORLD, udpChecksum: 1 }), 1, 0));
    b.guest.send(udpFrame(1000, 2000, Uint8Array.of(5, 6), { destination: WORLD }));
    expect(b.host.sockets[0].sent.map(({ bytes }) => [...bytes])).toEqual([
      [1, 2, 3],
      [5, 6],
    ]);
    expect(b.network.counters.dropped.checksum).toBe(1);
    for (const vlan of [1, 0xfff]) {
      expect(drops(b, tagged(ipv4Frame(ping, { protocol: 1 }), 5, vlan))).toEqual({ etherType: 1 });
    }
    expect(drops(b, tagged(tagged(ipv4Frame(ping, { protocol: 1 }), 5, 0), 5, 0))).toEqual({ etherType: 1 });
    const short = tagged(ipv4Frame(ping, { protocol: 1 }), 5, 0);
    for (const length of [14, 16, 17]) expect(drops(b, short.slice(0, length))).toEqual({ etherType: 1 });
    const lie = ipv4Frame(ping, { protocol: 1, totalLength: 20 + ping.length + 4 });
    expect(drops(b, tagged(lie, 5, 0))).toEqual({ malformed: 1 });
    for (const length of [18, 30, 37]) expect(drops(b, short.slice(0, length))).toEqual({ malformed: 1 });
  });

  test("fragments that overlap, lie past the end, or never come", () => {
    const b = bench({ limits: { fragmentedPackets: 4 } });
    const part = (id: number, offset: number, length: number, more: boolean): Uint8Array =>
      ipv4Frame(new Uint8Array(length), { protocol: 17, id, fragment: (more ? 0x2000 : 0) | offset });
    b.guest.send(part(1, 0, 800, true));
    expect(drops(b, part(1, 50, 800, true))).toEqual({ fragment: 1 });
    expect(drops(b, part(2, 8191, 800, true))).toEqual({ fragment: 1 });
    expect(drops(b, part(3, 0, 801, true))).toEqual({ fragment: 1 });
    expect(drops(b, part(4, 1, 0, false))).toEqual({ fragment: 1 });
    b.guest.send(part(5, 100, 8, false));
    expect(drops(b, part(5, 200, 8, false))).toEqual({ fragment: 1 });
    b.guest.send(part(6, 100, 8, false));
    expect(drops(b, part(6, 200, 8, true))).toEqual({ fragment: 1 });
    for (let id = 10; id < 1000; id++) b.guest.send(part(id, 0, 8, true));
    expect(b.network.counters.dropped.fragment).toBe(6 + 986);
    b.clock.advance(31_000);
    expect(b.network.counters.dropped.fragment).toBe(6 + 990);
  });

  test("a datagram in fragments reaches the host whole", () => {
    const b = bench();
    const whole = udpFrame(1000, 2000, new Uint8Array(3000).fill(3), { destination: WORLD }).slice(34);
    b.guest.send(ipv4Frame(whole.slice(1480, 2960), { destination: WORLD, fragment: 0x2000 | 185 }));
    b.guest.send(ipv4Frame(whole.slice(2960), { destination: WORLD, fragment: 370 }));
    expect(b.host.sockets).toEqual([]);
    b.guest.send(ipv4Frame(whole.slice(0, 1480), { destination: WORLD, fragment: 0x2000 }));
    expect(b.host.sockets[0].sent[0].bytes).toEqual(new Uint8Array(3000).fill(3));
  });
});
