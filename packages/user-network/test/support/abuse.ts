/**
 * What a hostile or broken guest may do to a network, and hosts to its forwards: each function does a little of it.
 * They write frames and read none of the network's state; the guest they play has a TCP just good enough to bring a
 * connection into the state in which it is then abandoned.
 */
import { FrameBurst, type NetPort, OFFLOAD_ALL } from "@virtio-ts/net-link";
import { type Random, UserNetwork, type UserNetworkOptions } from "../../src/index.ts";
import { A, answerTo, query } from "../dns/messages.ts";
import { MemoryHost, type MemoryUdp } from "./memory-host.ts";
import { seeded, TestClock } from "./test-clock.ts";
import { ACK, FIN, RST, SYN } from "./test-guest.ts";
import { arpFrom, DNS, GATEWAY, GUEST, ipv4Frame, tcpFrame, udpFrame, WORLD } from "./wire-test.ts";

/** The honest ends: a host that answers everything, and a known name. */
export const HONEST_HOST = 0x01010101;
export const HONEST_NAME = "honest.example";
/** The target of a forward, a guest that is never there. */
const ABSENT = "10.0.2.200";
const NOTHING = new Uint8Array(0);

/** The fields of a segment that the abuser reads. */
interface Seen {
  source: number;
  protocol: number;
  fromPort: number;
  toPort: number;
  sequence: number;
  acknowledged: number;
  flags: number;
  bytes: Uint8Array;
}

/** The set-up of an attack: a network, its host and clock, and a NIC that keeps the frames it is given. */
export class Attack implements NetPort {
  readonly accepts: number = OFFLOAD_ALL;
  readonly clock = new TestClock();
  readonly host = new MemoryHost();
  readonly network: UserNetwork;
  readonly random: Random;
  /** The host's sockets of UDP forwards. */
  readonly forwards: readonly MemoryUdp[];
  /** Frames given to the guest since its last look. */
  seen: Seen[] = [];
  isStuck = false;
  readonly #burst = new FrameBurst(1, 1);
  #port = 1024;

  constructor(seed: number, options: UserNetworkOptions = {}) {
    this.random = seeded(seed);
    const { host } = this;
    host.verdict = (address, port) => {
      if (address === "1.1.1.1" || port === 80) return "stands";
      return port === 81 ? "silence" : "refused";
    };
    host.names = (asked) => {
      const text = String.fromCharCode(...asked.subarray(12));
      if (!text.includes("honest")) return new Promise(() => {});
      return answerTo(asked, { answers: [A(HONEST_NAME, "192.0.2.77")] });
    };
    this.network = new UserNetwork({
      host,
      clock: this.clock,
      random: seeded(seed + 1),
      options: {
        hostLoopback: true,
        forwards: [
          { protocol: "tcp", hostPort: 1, guestPort: 80, guestAddress: ABSENT },
          { protocol: "udp", hostPort: 1, guestPort: 80, guestAddress: ABSENT },
          { protocol: "tcp", hostPort: 2, guestPort: 80, guestAddress: "10.0.2.15" },
          { protocol: "udp", hostPort: 2, guestPort: 80, guestAddress: "10.0.2.15" },
        ],
        ...options,
      },
    });
    this.network.attach(this);
    this.forwards = host.sockets.splice(0);
  }

  take(burst: FrameBurst, first: number): number {
    if (this.isStuck) return first;
    for (let i = first; i < burst.count; i++) {
      const bytes = new Uint8Array(Math.min(Math.max(burst.lengths[i], 54), 400));
      burst.copyFrame(i, 0, bytes, 0, bytes.length);
      const view = new DataView(bytes.buffer);
      this.seen.push({
        source: view.getUint32(26),
        protocol: bytes[23],
        fromPort: view.getUint16(34),
        toPort: view.getUint16(36),
        sequence: view.getUint32(38),
        acknowledged: view.getUint32(42),
        flags: bytes[47],
        bytes,
      });
    }
    if (this.seen.length > 4096) this.seen.splice(0, 2048);
    return burst.count;
  }

  resume(): void {}

  send(frame: Uint8Array): void {
    this.#burst.clear();
    this.#burst.addFrame(frame);
    if (this.network.take(this.#burst, 0) !== 1) throw new Error("the network did not take a frame");
  }

  /** 0 to n - 1. */
  below(n: number): number {
    return this.random() % n;
  }

  /** A port that no recent connection of this guest has used. */
  freshPort(): number {
    this.#port = this.#port >= 65_000 ? 1024 : this.#port + 1;
    return this.#port;
  }

  /** An address of the world that is not the honest host's. */
  someAddress(): number {
    return WORLD + this.below(50_000);
  }

  /** Opens a connection as far as the host's answer; returns what the next segment needs. */
  handshake(destination: number, toPort: number, window: number): { fromPort: number } & TcpEnds {
    const fromPort = this.freshPort();
    const sequence = this.random();
    const ends = { destination, fromPort, toPort };
    this.seen = [];
    this.send(tcpFrame({ ...ends, sequence, flags: SYN, window }));
    this.host.run();
    const answer = this.seen.find(({ protocol, toPort: to, flags }) => {
      return protocol === 6 && to === fromPort && flags === (SYN | ACK);
    });
    const next = { ...ends, sequence: (sequence + 1) >>> 0, acknowledged: ((answer?.sequence ?? 0) + 1) >>> 0 };
    if (answer !== undefined) this.send(tcpFrame({ ...next, flags: ACK, window }));
    return next;
  }

  /** Forgets host sockets that are over: there are very many. */
  prune(): void {
    for (const list of [this.host.connections, this.host.sockets] as { over?: boolean; closed?: boolean }[][]) {
      let kept = 0;
      for (const socket of list) if (!(socket.over ?? socket.closed)) list[kept++] = socket;
      list.length = kept;
    }
    this.host.queries.length = 0;
  }
}

interface TcpEnds {
  destination: number;
  fromPort: number;
  toPort: number;
  sequence: number;
  acknowledged: number;
}

/** Each does a little harm, once. */
export const ABUSES: Readonly<Record<string, (attack: Attack) => void>> = {
  synFloodToSilentHosts: (a) => {
    const ends = { destination: a.someAddress(), fromPort: a.freshPort(), toPort: 81 };
    a.send(tcpFrame({ ...ends, sequence: a.random(), flags: SYN }));
  },

  halfOpenConnections: (a) => {
    a.send(tcpFrame({ destination: WORLD, fromPort: a.freshPort(), toPort: 80, sequence: a.random(), flags: SYN }));
    a.host.run();
  },

  forgottenConnections: (a) => {
    a.handshake(WORLD, 80, 0xffff);
  },

  connectionsTheServerNeverEnds: (a) => {
    a.send(tcpFrame({ ...a.handshake(WORLD, 80, 0xffff), flags: FIN | ACK }));
    a.host.run();
  },

  windowsOfNothing: (a) => {
    a.handshake(WORLD, 80, 0);
    const tcp = a.host.connections.at(-1);
    tcp?.send(new Uint8Array(2000));
    tcp?.read(1);
  },

  uploadsNobodyReads: (a) => {
    const ends = a.handshake(WORLD, 80, 0xffff);
    const tcp = a.host.connections.at(-1);
    if (tcp !== undefined) tcp.draining = false;
    a.send(tcpFrame({ ...ends, flags: ACK, data: new Uint8Array(1000) }));
    a.host.run();
  },

  timeWaitFlood: (a) => {
    const ends = a.handshake(WORLD, 80, 0xffff);
    a.host.connections.at(-1)?.finish();
    a.host.connections.at(-1)?.read(1);
    const acknowledged = (ends.acknowledged + 1) >>> 0;
    a.send(tcpFrame({ ...ends, acknowledged, flags: FIN | ACK }));
    a.host.run();
  },

  acknowledgementsWithoutEnd: (a) => {
    const ends = a.handshake(WORLD, 80, 0xffff);
    a.host.connections.at(-1)?.finish();
    a.host.connections.at(-1)?.read(1);
    for (let i = 0; i < 5; i++) a.send(tcpFrame({ ...ends, acknowledged: ends.acknowledged + i, flags: ACK }));
  },

  resetsAndStraySegments: (a) => {
    const flags = a.below(64);
    const ends = { destination: a.someAddress(), fromPort: a.below(65_536), toPort: a.below(65_536) };
    a.send(tcpFrame({ ...ends, sequence: a.random(), acknowledged: a.random(), flags: flags & ~SYN }));
    a.send(tcpFrame({ ...ends, sequence: a.random(), flags: RST }));
  },

  portScans: (a) => {
    const toPort = 1000 + a.below(60_000);
    a.send(tcpFrame({ destination: GATEWAY, fromPort: a.freshPort(), toPort, sequence: 1, flags: SYN }));
    a.send(udpFrame(40_000, toPort, NOTHING, { destination: GATEWAY }));
    a.host.sockets.at(-1)?.handlers.failed("refused", "127.0.0.1", toPort);
    a.host.run();
  },

  udpPortFlood: (a) => {
    a.send(udpFrame(1024 + a.below(64_000), 9, Uint8Array.of(1), { destination: a.someAddress() }));
  },

  udpToEverybody: (a) => {
    for (let i = 0; i < 4; i++)
      a.send(udpFrame(30_000, 1 + a.below(65_535), NOTHING, { destination: a.someAddress() }));
  },

  answersNobodyAskedFor: (a) => {
    const { sockets } = a.host;
    const socket = sockets.length === 0 ? undefined : sockets[a.below(sockets.length)];
    if (socket?.closed === false)
      socket.handlers.message(new Uint8Array(a.below(3000)), "203.0.113.9", a.below(65_536));
  },

  silentNames: (a) => {
    a.send(udpFrame(2000 + a.below(60_000), 53, query(`n${a.random()}.test`, 1), { destination: DNS }));
  },

  namesByForgottenConnections: (a) => {
    const ends = a.handshake(DNS, 53, 0xffff);
    const message = query(`t${a.random()}.test`, 16);
    const half = a.below(message.length + 1);
    const data = Uint8Array.of(0, message.length, ...message.subarray(0, half));
    a.send(tcpFrame({ ...ends, flags: ACK, data }));
  },

  connectionsToAbsentGuests: (a) => {
    a.host.dial(a.host.listeners[a.below(2)], 1024 + a.below(60_000));
  },

  datagramsToAbsentGuests: (a) => {
    const { handlers } = a.forwards[a.below(a.forwards.length)];
    handlers.message(Uint8Array.of(1, 2, 3), `203.0.113.${a.below(256)}`, a.below(65_536));
  },

  fragmentsWithoutEnd: (a) => {
    const fields = { destination: WORLD, id: a.below(65_536), protocol: a.below(2) === 0 ? 17 : 1 };
    a.send(ipv4Frame(new Uint8Array(8), { ...fields, fragment: 0x2000 | a.below(8000) }));
  },

  dhcpStarvation: (a) => {
    const bytes = new Uint8Array(300);
    bytes.set([1, 1, 6, 0]);
    bytes.set([2, a.below(256), a.below(256), a.below(256), 0, 1], 28);
    const type = [1, 3, 4, 7][a.below(4)];
    const address = a.below(256);
    if (type === 7) bytes.set([10, 0, 2, address], 12);
    bytes.set([0x63, 0x82, 0x53, 0x63, 53, 1, type, 50, 4, 10, 0, 2, address, 255], 236);
    a.send(udpFrame(68, 67, bytes, { source: 0, destination: 0xffff_ffff }));
  },

  arpFlood: (a) => {
    a.send(arpFrom(Uint8Array.of(2, 1, 0, 0, a.below(256), a.below(256)), 0x0a000204 + a.below(250)));
  },

  addressesMadeUp: (a) => {
    const source = 0x0a000204 + a.below(250);
    const fromMac = Uint8Array.of(2, 1, 0, 0, a.below(256), a.below(256));
    a.send(udpFrame(1000 + a.below(60_000), 9, NOTHING, { destination: WORLD, source, fromMac }));
  },

  pingsAndTraces: (a) => {
    a.send(ipv4Frame(Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0), { protocol: 1 }));
    a.send(udpFrame(33_434, 33_434, NOTHING, { destination: WORLD, ttl: 1 }));
    a.send(ipv4Frame(NOTHING, { protocol: a.below(256), destination: a.someAddress() }));
  },

  garbage: (a) => {
    const frame = Uint8Array.from({ length: a.below(100) }, () => a.below(256));
    frame.set(arpFrom(frame.slice(0, 6), GUEST).subarray(0, Math.min(14, frame.length)));
    a.send(frame);
  },

  aNicThatTakesNothing: (a) => {
    a.isStuck = a.below(4) === 0;
    if (!a.isStuck) a.network.resume();
  },
};
