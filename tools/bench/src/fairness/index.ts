/**
 * `pnpm bench fairness`: what a driver that does its worst costs the device beside it. Two NICs on one machine's PCI bus.
 * One exchanges frames with another thread over a socket, one at a time: that is the round trip. The other's driver has
 * its go in every turn of the event loop, as a guest has between its exits: it kicks without reason, or keeps its ring
 * full, or has a backend that gives it a burst frame by frame, with an interrupt for each.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import { connectStream, type StreamBackend } from "@virtio-ts/net-backends/node";
import { FrameBurst, type NetBackend, type NetPort } from "@virtio-ts/net-link";
import { ProcessHost } from "@virtio-ts/virtio-driver";
import { NETDEV_STATUS_SUCCESS, PacketBurst, type RxQueue } from "@virtio-ts/virtio-net/driver";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { Machine } from "@virtio-ts/vmm-glue";
import { type Bench, measureRows, once, type Plan } from "../bench.ts";
import { type DrivenNic, plugNic, transmit } from "./nic.ts";

const MEMORY = 16 << 20;
/** What the median may be, in times of that with nobody beside it. */
const TARGET = 3;
/** Measurements of each, by turns: the least counts, for whoever else is on the machine only ever adds. */
const ROUNDS = 3;
const WARM_UP = 500;
const ROUND_TRIPS = 2000;
/** Kicks of one go: a guest in a loop that does nothing else. */
const KICKS = 1000;
/** Frames transmitted in one go: a ring full. */
const FRAMES = 256;
/** Frames received in one go, with an interrupt each: a burst, the most that a backend of ours gives at a time. */
const INTERRUPTS = 64;

/** What the other driver does in its go. */
type Misdeed = (nic: DrivenNic, source: Source) => void;

const MISDEEDS: Readonly<Record<string, Misdeed>> = {
  "kick flood": (nic) => {
    for (let i = 0; i < KICKS; i++) nic.kick();
  },
  "transmit flood": (nic) => void transmit(nic, FRAMES),
  "interrupt storm": (_, source) => source.flood(INTERRUPTS),
};

/** Microseconds of a round trip. */
interface RoundTrip {
  readonly median: number;
  readonly p99: number;
}

/** The benchmark. */
export const fairnessBench: Bench = {
  name: "fairness",
  description: "round trip of one NIC while the driver of another does its worst, as a ratio to idle (at most 3)",
  async run(progress, only) {
    const worker = new Worker(new URL("echo-thread.js", import.meta.url));
    const port = once(
      () =>
        new Promise<number>((resolve, reject) => {
          worker.once("message", resolve);
          worker.once("error", reject);
        }),
    );
    const plans = Object.entries(MISDEEDS).flatMap(([name, misdeed]) => plansOf(name, port, misdeed));
    try {
      return await measureRows(plans, progress, only);
    } finally {
      await worker.terminate();
    }
  },
};

/** The usual round trip has a goal, the longest does not: those are the machine's as well. */
function plansOf(name: string, port: () => Promise<number>, misdeed: Misdeed): readonly Plan[] {
  const sides = once(async () => {
    const rounds: { readonly idle: RoundTrip; readonly busy: RoundTrip }[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      rounds.push({ idle: await measure(await port(), null), busy: await measure(await port(), misdeed) });
    }
    return rounds;
  });
  const plan = (kind: keyof RoundTrip, atMost?: number): Plan => ({
    name: `${name}, ${kind}`,
    unit: "us",
    peerName: "idle",
    atMost,
    measure: async () => {
      const rounds = await sides();
      const least = (side: "idle" | "busy"): number => Math.min(...rounds.map((round) => round[side][kind]));
      return { ours: least("busy"), peer: least("idle") };
    },
  });
  return [plan("median", TARGET), plan("p99")];
}

async function measure(port: number, misdeed: Misdeed | null): Promise<RoundTrip> {
  const memory = GuestMemory.of(new Uint8Array(MEMORY));
  const host = new ProcessHost(memory);
  const machine = new Machine({ memory, controller: host.lines, msi: host.messages });
  const network = await dial(port);
  let back: () => void = () => {};
  const good = await plugNic(machine, host, "good", network, (rxq) => {
    drain(rxq);
    back();
  });
  good.rxq.interruptEnable();
  const source = new Source();
  const bad = await plugNic(machine, host, "bad", source, drain);
  bad.rxq.interruptEnable();
  const flood = inEveryTurn(misdeed === null ? null : () => misdeed(bad, source));
  const roundTrip = (): Promise<void> =>
    new Promise((resolve) => {
      back = resolve;
      transmit(good, 1);
    });
  try {
    return await Promise.race([timesOf(roundTrip), flood.failed]);
  } finally {
    flood.stop();
    await good.stop();
    await bad.stop();
    await network.close();
  }
}

/** Does something in every turn of the event loop, until it throws or is stopped. With nothing to do, the loop may sleep. */
function inEveryTurn(act: (() => void) | null): { readonly failed: Promise<never>; stop(): void } {
  let running = true;
  const failed = new Promise<never>((_, reject) => {
    const go = (): void => {
      if (!running || act === null) return;
      try {
        act();
        setImmediate(go);
      } catch (error) {
        reject(error);
      }
    };
    go();
  });
  return {
    failed,
    stop: () => {
      running = false;
    },
  };
}

async function timesOf(roundTrip: () => Promise<void>): Promise<RoundTrip> {
  const times: number[] = [];
  for (let i = 0; i < WARM_UP + ROUND_TRIPS; i++) {
    const sent = performance.now();
    await roundTrip();
    if (i >= WARM_UP) times.push(1000 * (performance.now() - sent));
  }
  times.sort((a, b) => a - b);
  return { median: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] };
}

/** A connection to the thread that sends everything back. */
function dial(port: number): Promise<StreamBackend> {
  return new Promise((resolve) => {
    const network = connectStream({ port }, { onConnection: (connected) => connected && resolve(network) });
  });
}

/** Receives what there is, and gives it back. Interrupts come on by themselves. */
function drain(rxq: RxQueue): void {
  while ((rxq.rxBurst(received) & NETDEV_STATUS_SUCCESS) !== 0) {
    for (let i = 0; i < received.count; i++) rxq.pool.release(received.packets[i]);
  }
}

const received = new PacketBurst(64);

/** A backend that takes everything, and gives frames one at a time: each one an interrupt. */
class Source implements NetBackend {
  readonly accepts = 0;
  readonly #frame = new FrameBurst(1);
  #peer: NetPort | null = null;

  constructor() {
    const frame = new Uint8Array(60).fill(0xff, 0, 6);
    frame.set([0x88, 0xb5], 12);
    this.#frame.addFrame(frame);
  }

  attach(peer: NetPort): void {
    this.#peer = peer;
  }

  detach(): void {
    this.#peer = null;
  }

  take(burst: FrameBurst): number {
    return burst.count;
  }

  resume(): void {}

  flood(frames: number): void {
    for (let i = 0; i < frames; i++) this.#peer?.take(this.#frame, 0);
  }
}
