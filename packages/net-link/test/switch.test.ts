import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { connect, Switch, type SwitchOptions, type SwitchPort } from "../src/index.ts";
import { Collector } from "../src/testing/index.ts";

const BROADCAST = [255, 255, 255, 255, 255, 255];
const MULTICAST = [1, 0, 0x5e, 0, 0, 1];
const mac = (n: number): number[] => [0x52, 0x54, 0, 0, n >> 8, n & 255];
const frame = (to: number[], from: number[], mark = 0): Uint8Array => Uint8Array.from([...to, ...from, 8, 0, mark]);

function make(n: number, options: SwitchOptions = {}): { sw: Switch; nics: Collector[]; ports: SwitchPort[] } {
  const sw = new Switch(options);
  const nics = Array.from({ length: n }, () => new Collector());
  const ports = nics.map((nic) => {
    const port = sw.addPort();
    connect(nic, port);
    return port;
  });
  return { sw, nics, ports };
}

const counts = (nics: Collector[]): number[] => nics.map((nic) => nic.frames.length);

describe("a switch", () => {
  it("floods what it has not learned, and forwards what it has", () => {
    const { nics } = make(3);
    nics[0].send(frame(mac(2), mac(1)));
    expect(counts(nics)).toEqual([0, 1, 1]);
    nics[1].send(frame(mac(1), mac(2)));
    expect(counts(nics)).toEqual([1, 1, 1]);
    nics[0].send(frame(mac(2), mac(1)));
    expect(counts(nics)).toEqual([1, 2, 1]);
  });

  it("floods broadcast and multicast, never back to where they came from", () => {
    const { nics } = make(3);
    nics[1].send(frame(BROADCAST, mac(2)), frame(MULTICAST, mac(2)));
    expect(counts(nics)).toEqual([2, 0, 2]);
  });

  it("keeps to itself what is for the port it came from", () => {
    const { sw, nics } = make(2);
    nics[0].send(frame(BROADCAST, mac(1)));
    nics[0].send(frame(mac(1), mac(9)));
    expect(counts(nics)).toEqual([0, 1]);
    expect(sw.counters.filtered).toBe(1);
  });

  it("does not learn group addresses, nor none", () => {
    const { sw, nics } = make(2);
    nics[0].send(frame(mac(2), MULTICAST), frame(mac(2), [0, 0, 0, 0, 0, 0]));
    expect(sw.addresses.size).toBe(0);
    nics[1].send(frame(MULTICAST, mac(2)));
    expect(counts(nics)).toEqual([1, 2]);
  });

  it("does not forward what is for the bridge itself", () => {
    const { sw, nics } = make(2);
    const group = (last: number): Uint8Array => frame([1, 0x80, 0xc2, 0, 0, last], mac(1));
    nics[0].send(group(0), group(15), group(16), frame([1, 0x80, 0xc1, 255, 255, 255], mac(1)));
    expect(counts(nics)).toEqual([0, 2]);
    expect(sw.counters.droppedReserved).toBe(2);
  });

  it("drops what is shorter than an Ethernet header", () => {
    const { sw, nics } = make(2);
    nics[0].send(new Uint8Array(13).fill(255), new Uint8Array(0), new Uint8Array(14).fill(255));
    expect(counts(nics)).toEqual([0, 1]);
    expect(sw.counters.droppedShort).toBe(2);
  });

  it("follows a station that moves, and forgets one that is silent", () => {
    let now = 0;
    const { nics } = make(3, { ageing: 1000, now: () => now });
    nics[0].send(frame(BROADCAST, mac(1)));
    nics[1].send(frame(BROADCAST, mac(1)));
    const before = counts(nics);
    nics[2].send(frame(mac(1), mac(3)));
    expect(counts(nics)).toEqual([before[0], before[1] + 1, before[2]]);
    now = 1001;
    nics[2].send(frame(mac(1), mac(3)));
    expect(counts(nics)).toEqual([before[0] + 1, before[1] + 2, before[2]]);
  });

  it("keeps no address for long that is too old to count", () => {
    let now = 0;
    const { sw, nics } = make(2, { ageing: 1000, now: () => now });
    nics[0].send(frame(BROADCAST, mac(1)));
    now = 900;
    nics[0].send(frame(BROADCAST, mac(2)));
    now = 1151; // a quarter of the time after it was looked for last
    nics[0].send(frame(BROADCAST, mac(2)));
    expect(sw.addresses.size).toBe(1);
  });

  it("learns no more addresses than it may, of a port and in all, and floods what it could not learn", () => {
    const { sw, nics } = make(3, { maxAddresses: 6, maxAddressesPerPort: 4 });
    for (let n = 0; n < 100; n++) nics[0].send(frame(BROADCAST, mac(n)));
    expect(sw.addresses.size).toBe(4);
    expect(sw.addresses.refused).toBe(96);
    expect(counts(nics)).toEqual([0, 100, 100]);
    for (let n = 100; n < 200; n++) nics[1].send(frame(BROADCAST, mac(n)));
    expect(sw.addresses.size).toBe(6);
    const before = counts(nics);
    nics[2].send(frame(mac(199), mac(0)));
    expect(counts(nics)).toEqual([before[0] + 1, before[1] + 1, before[2]]);
  });

  it("floods for a station that moved to a port which may not learn more, rather than send to where it was", () => {
    const { nics } = make(3, { maxAddressesPerPort: 1 });
    nics[0].send(frame(BROADCAST, mac(1)));
    nics[1].send(frame(BROADCAST, mac(2)), frame(BROADCAST, mac(1)));
    const before = counts(nics);
    nics[2].send(frame(mac(1), mac(3)));
    expect(counts(nics)).toEqual([before[0] + 1, before[1] + 1, before[2]]);
  });

  it("is not held up by a port that is full: that one's queue fills, and the rest is dropped and counted", () => {
    const { nics, ports } = make(3, { queue: { frames: 4 } });
    nics[1].room = 1;
    for (let n = 0; n < 10; n++) expect(nics[0].send(frame(BROADCAST, mac(1), n))).toBe(1);
    expect(counts(nics)).toEqual([0, 1, 10]);
    expect(ports[1].counters.given).toMatchObject({ queued: 4, droppedFull: 5 });
    nics[1].room = 99;
    nics[1].peer!.resume();
    expect(nics[1].bytes.map((b) => b[14])).toEqual([0, 1, 2, 3, 4]);
  });

  it("carries an answer sent from within the handing over", () => {
    const { nics } = make(3);
    nics[1].onFrame = (f) => {
      if (f.bytes[14] === 0) nics[1].send(frame(BROADCAST, mac(2), 1));
    };
    nics[2].onFrame = (f) => {
      if (f.bytes[14] === 1) nics[2].send(frame(mac(2), mac(3), 2));
    };
    nics[0].send(frame(BROADCAST, mac(1), 0), frame(BROADCAST, mac(1), 3));
    expect(nics[0].bytes.map((b) => b[14])).toEqual([1]);
    expect(nics[1].bytes.map((b) => b[14])).toEqual([0, 3, 2]);
    expect(nics[2].bytes.map((b) => b[14]).sort()).toEqual([0, 1, 3]);
  });

  it("does not change a burst while a port has it in hand", () => {
    const { nics } = make(3);
    const take = nics[1].take.bind(nics[1]);
    const counted: number[] = [];
    const taken: number[] = [];
    nics[1].take = (burst, first) => {
      const count = burst.count;
      if (counted.length < 2) {
        taken.push(nics[2].send(frame(mac(2), mac(3), counted.length + 1)));
        taken.push(nics[0].send(frame(mac(2), mac(1), 9))); // it is in the middle of a send: it is told after that
      }
      counted.push(burst.count - count);
      return take(burst, first);
    };
    nics[0].send(frame(mac(2), mac(1), 0));
    expect(counted).toEqual([0, 0, 0]);
    expect(taken).toEqual([1, 0, 1, 0]);
    expect(nics[0].resumed).toBe(1);
    expect(nics[1].bytes.map((b) => b[14])).toEqual([0, 1, 2]);
  });

  it("forgets a port that is removed or left, and drops what it still gets from it", () => {
    const { sw, nics, ports } = make(3);
    nics[0].send(frame(BROADCAST, mac(1)));
    sw.removePort(ports[0]);
    sw.removePort(ports[0]);
    expect(sw.addresses.size).toBe(0);
    expect(sw.ports.length).toBe(2);
    const before = counts(nics);
    expect(nics[0].send(frame(BROADCAST, mac(1)))).toBe(1);
    nics[1].send(frame(mac(1), mac(2)));
    expect(counts(nics)).toEqual([before[0], before[1], before[2] + 1]);
    ports[1].detach();
    expect(sw.addresses.size).toBe(0);
  });

  it("forgets what is behind a port whose link goes down, and no other address", () => {
    const sw = new Switch();
    const nics = [0, 1, 2].map(() => new Collector());
    const links = nics.map((nic) => connect(nic, sw.addPort()));
    nics.forEach((nic, n) => void nic.send(frame(BROADCAST, mac(n))));
    expect(sw.addresses.size).toBe(3);
    links[0].up = false;
    expect(sw.addresses.size).toBe(2);
    nics[0].send(frame(BROADCAST, mac(0))); // is not heard
    const before = counts(nics);
    nics[2].send(frame(mac(0), mac(2)), frame(mac(1), mac(2)));
    expect(counts(nics)).toEqual([before[0], before[1] + 2, before[2]]); // flooded: it may have been plugged in elsewhere
    links[0].up = true;
    nics[2].send(frame(mac(0), mac(2)));
    expect(counts(nics)).toEqual([before[0] + 1, before[1] + 3, before[2]]);
    expect(links[0].bToA.droppedDown).toBe(1);
  });

  it("counts what is for a port that nobody is connected to", () => {
    const { sw, nics, ports } = make(2);
    const empty = sw.addPort();
    nics[0].send(frame(BROADCAST, mac(1)), frame(BROADCAST, mac(1)));
    sw.removePort(ports[0]);
    nics[0].send(frame(BROADCAST, mac(1)));
    expect([empty, ...ports].map((port) => port.counters.droppedDetached)).toEqual([2, 1, 0]);
  });

  it("delivers like a model that knows where each address was heard last", () => {
    const step = fc.record({
      port: fc.nat(3),
      to: fc.oneof(fc.nat(5).map(mac), fc.constant(BROADCAST), fc.constant(MULTICAST)),
      from: fc.nat(5).map(mac),
      wait: fc.nat(400),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        let now = 0;
        const { nics } = make(4, { ageing: 1000, now: () => now });
        const heard = new Map<string, { port: number; at: number }>();
        const expected = [0, 0, 0, 0];
        for (const s of steps) {
          now += s.wait;
          nics[s.port].send(frame(s.to, s.from));
          heard.set(String(s.from), { port: s.port, at: now });
          const known = heard.get(String(s.to));
          if (known !== undefined && now - known.at <= 1000) {
            if (known.port !== s.port) expected[known.port]++;
          } else for (let p = 0; p < 4; p++) if (p !== s.port) expected[p]++;
          expect(counts(nics)).toEqual(expected);
        }
      }),
    );
  });
});
