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
import type { Bench, Row } from "../bench.ts";
import { type DrivenNic, plugNic, transmit } from "./nic.ts";

const MEMORY = 16 << 20;
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

const CASES: Readonly<Record<string, Misdeed | null>> = {
  idle: null,
  "kick flood": (nic) => {
    for (let i = 0; i < KICKS; i++) nic.kick();
  },
  "transmit flood": (nic) => void transmit(nic, FRAMES),
  "interrupt storm": (_, source) => source.flood(INTERRUPTS),
};

/** The benchmark. */
export const fairnessBench: Bench = {
  name: "fairness",
  description: "round trip of one NIC while the driver of another does its worst, as a ratio to idle (at most 3)",
  columns: ["case", "medianMicroseconds", "p99Microseconds", "ratio", "eventsPerSecond"],
  async run(progress, only): Promise<Row[]> {
    const worker = new Worker(new URL("echo-thread.js", import.meta.url));
    const port = await new Promise<number>((resolve) => worker.once("message", resolve));
    const rows: Row[] = [];
    let idle = 0;
    for (const [name, misdeed] of Object.entries(CASES)) {
      if (only !== undefined && misdeed !== null && !name.includes(only)) continue;
      progress(name);
      const { median, p99, eventsPerSecond } = await measure(port, misdeed);
      idle ||= median;
      rows.push({
        case: name,
        medianMicroseconds: rounded(median),
        p99Microseconds: rounded(p99),
        ratio: Math.round((median / idle) * 100) / 100,
        eventsPerSecond: Math.round(eventsPerSecond),
      });
    }
    await worker.terminate();
    return rows;
  },
};

async function measure(
  port: number,
  misdeed: Misdeed | null,
): Promise<{ median: number; p99: number; eventsPerSecond: number }> {
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
  let events = 0;
  const bad = await plugNic(machine, host, "bad", source, (rxq) => {
    events++;
    drain(rxq);
  });
  bad.rxq.interruptEnable();

  let running = misdeed !== null;
  const go = (): void => {
    misdeed?.(bad, source);
    events++;
    if (running) setImmediate(go);
  };
  if (running) setImmediate(go);
  const times: number[] = [];
  const start = performance.now();
  for (let i = 0; i < WARM_UP + ROUND_TRIPS; i++) {
    const sent = performance.now();
    const answered = new Promise<void>((resolve) => {
      back = resolve;
    });
    transmit(good, 1);
    await answered;
    if (i >= WARM_UP) times.push(1000 * (performance.now() - sent));
  }
  const seconds = (performance.now() - start) / 1000;
  running = false;
  await good.stop();
  await bad.stop();
  await network.close();
  times.sort((a, b) => a - b);
  return {
    median: times[times.length >> 1],
    p99: times[Math.floor(times.length * 0.99)],
    eventsPerSecond: events / seconds,
  };
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

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
