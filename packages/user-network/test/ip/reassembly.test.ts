/**
 * Fragments against a reference that knows nothing of the code: a packet is a map from positions to bytes (RFC 791,
 * 3.2), put together when its last fragment has come and no position is left out. What the RFC leaves open is the
 * network's choice: a fragment that was there already, unchanged, changes nothing; one that contradicts what was
 * there ends the packet.
 */
import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { expect, test } from "vitest";
import { bench } from "../support/test-guest.ts";
import { GUEST, ipv4Frame, udpFrame, WORLD } from "../support/wire-test.ts";

const PACKETS = 3;

interface Fragment {
  source: number;
  protocol: number;
  destination: number;
  id: number;
  offset: number;
  bytes: number[];
  more: boolean;
}

class NaiveReassembly {
  /** Whole payloads of UDP packets, in order. */
  readonly whole: number[][] = [];
  /** Packets that were given up, and fragments that could not be. */
  lost = 0;
  time = 0;
  readonly #packets = new Map<string, { bytes: Map<number, number>; total: number | undefined; begun: number }>();

  get size(): number {
    return this.#packets.size;
  }

  add({ source, destination, protocol, id, offset, bytes, more }: Fragment): void {
    const name = [source, destination, protocol, id].join();
    const end = offset + bytes.length;
    if (bytes.length === 0 || end > 65_515 || (more && bytes.length % 8 !== 0)) {
      this.#lose(name);
      return;
    }
    let packet = this.#packets.get(name);
    if (packet === undefined) {
      if (this.#packets.size === PACKETS) this.#lose([...this.#packets.keys()][0]);
      packet = { bytes: new Map(), total: undefined, begun: this.time };
      this.#packets.set(name, packet);
    }
    const known = bytes.filter((_, i) => packet.bytes.has(offset + i)).length;
    const endOfAll = Math.max(0, ...[...packet.bytes.keys()].map((at) => at + 1));
    const { total } = packet;
    if (more ? total !== undefined && end >= total : end < endOfAll || (total ?? end) !== end) {
      this.#lose(name);
    } else if (known > 0) {
      const same = bytes.every((byte, i) => packet.bytes.get(offset + i) === byte);
      if (!same || !(more || total === end)) this.#lose(name);
    } else {
      for (const [i, byte] of bytes.entries()) packet.bytes.set(offset + i, byte);
      if (!more) packet.total = end;
      if (packet.total === undefined || packet.bytes.size < packet.total) return;
      this.#packets.delete(name);
      if (protocol === 17) this.whole.push(Array.from({ length: packet.total }, (_, i) => packet.bytes.get(i) ?? -1));
    }
  }

  wait(ms: number): void {
    this.time += ms;
    for (const [name, { begun }] of this.#packets) if (begun + 30_000 <= this.time) this.#lose(name);
  }

  #lose(name: string): void {
    this.lost++;
    this.#packets.delete(name);
  }
}

/** A UDP datagram from port 7000 to port 9 without a checksum: 24 bytes, and whatever comes behind. Half of it is 0. */
const datagram = (at: number): number => [27, 88, 0, 9, 0, 24, 0, 0][at] ?? ((at & 8) === 0 ? (at * 7) & 255 : 0);

const fragment = fc.record({
  source: fc.constantFrom(GUEST, GUEST, GUEST, GUEST + 1),
  destination: fc.constantFrom(WORLD, WORLD, WORLD, WORLD + 1),
  protocol: fc.constantFrom(17, 17, 17, 250),
  id: fc.constantFrom(0, 0, 0, 1),
  unit: fc.constantFrom(0, 0, 1, 1, 2, 3, 8188, 8191),
  length: fc.constantFrom(8, 8, 16, 16, 24, 32, 0, 1, 7, 9, 27),
  more: fc.boolean(),
  changed: fc.nat(4).map((n) => n === 0),
});

test("packets are put together as the positions of their bytes say, in any order, with anything between", () => {
  const step = fc.oneof({ weight: 9, arbitrary: fragment }, fc.constantFrom(0, 10_000, 29_999, 30_000));
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      const { guest, host, network, clock } = bench({ limits: { fragmentedPackets: PACKETS } });
      const naive = new NaiveReassembly();
      const { dropped } = network.counters;
      for (const of of steps) {
        if (typeof of === "number") {
          clock.advance(of);
          naive.wait(of);
        } else {
          const bytes = Array.from({ length: of.length }, (_, i) => datagram(of.unit * 8 + i) ^ (of.changed ? 1 : 0));
          guest.send(ipv4Frame(Uint8Array.from(bytes), { ...of, fragment: (of.more ? 0x2000 : 0) | of.unit }));
          if (of.unit > 0 || of.more) naive.add({ ...of, offset: of.unit * 8, bytes });
          else if (of.protocol === 17) naive.whole.push(bytes); // a packet of one piece is no fragment
        }
        expect(dropped.fragment).toBe(naive.lost);
      }
      const sent = host.sockets.flatMap((socket) => socket.sent.map(({ bytes }) => [...bytes]));
      const right = naive.whole.filter((bytes) => bytes.length >= 24 && bytes[5] === 24);
      expect(sent.map(String).sort()).toEqual(right.map((bytes) => String(bytes.slice(8, 24))).sort());
      clock.advance(30_000);
      naive.wait(30_000);
      expect([dropped.fragment, naive.size]).toEqual([naive.lost, 0]);
    }),
    propertyOptions(300),
  );
});

test("fragments that wait when the guest leaves are not counted as dropped", () => {
  const { guest, network } = bench();
  guest.send(ipv4Frame(new Uint8Array(16), { protocol: 17, fragment: 0x2000 }));
  network.detach();
  expect(network.counters.dropped.fragment).toBe(0);
});

test("each fragment of a datagram twice, in any order: it reaches the host", () => {
  const whole = udpFrame(
    1000,
    2000,
    Uint8Array.from({ length: 3001 }, (_, i) => i & 255),
    { destination: WORLD },
  );
  const cut = [0, 1, 2, 3, 4, 5, 6].map((i) => {
    const fragment = (i < 6 ? 0x2000 : 0) | (i * 60);
    return ipv4Frame(whole.slice(34 + i * 480, 34 + i * 480 + 480), { destination: WORLD, fragment });
  });
  fc.assert(
    fc.property(fc.shuffledSubarray([...cut, ...cut], { minLength: 14 }), (frames) => {
      const { guest, host, network } = bench();
      for (const frame of frames) guest.send(frame);
      expect(host.sockets[0].sent[0].bytes).toEqual(whole.slice(42));
      expect(network.counters.dropped).toMatchObject({ fragment: 0, malformed: 0 });
    }),
    propertyOptions(100),
  );
});
