/** Frames through links, queues, a switch, a capture, and software segmentation: bursts of 64. */
import { bench, run } from "mitata";
import {
  Capture,
  connect,
  FrameBurst,
  FrameQueue,
  GSO_TCPV4,
  HDR_F_NEEDS_CSUM,
  type NetBackend,
  type NetPort,
  OFFLOAD_ALL,
  Switch,
} from "../src/index.ts";

const BURST = 64;

class Null implements NetBackend {
  accepts: number = OFFLOAD_ALL;
  full = false;
  peer: NetPort | undefined;
  take(burst: FrameBurst, first: number): number {
    return this.full ? first : burst.count;
  }
  resume(): void {}
  attach(peer: NetPort): void {
    this.peer = peer;
  }
  detach(): void {}
}

function frames(length: number, count: number, flags = 0, gsoType = 0): FrameBurst {
  const memory = new Uint8Array(length * count).map(() => Math.random() * 256);
  const burst = new FrameBurst();
  for (let i = 0; i < count; i++) {
    const at = i * length;
    memory.set([0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 8, 0, 0x45], at);
    memory.set([0x40, 0, 64, 6], at + 20);
    memory[at + 46] = 0x50;
    burst.addSegment(memory, at, 54);
    burst.addSegment(memory, at + 54, length - 54);
    burst.endFrame(flags, gsoType, 54, 1448, 34, 16);
  }
  return burst;
}

function joined(backend: NetBackend): Null {
  const nic = new Null();
  connect(nic, backend);
  return nic;
}

const plain = frames(1514, BURST);
const unsummed = frames(1514, BURST, HDR_F_NEEDS_CSUM);
const large = frames(65226, 1, HDR_F_NEEDS_CSUM, GSO_TCPV4);

const untouched = joined(new Null());
bench("link, 64 plain frames of 1514 bytes", () => untouched.peer!.take(plain, 0));

const needy = joined(Object.assign(new Null(), { accepts: 0 }));
bench("link, 64 frames checksummed", () => needy.peer!.take(unsummed, 0));
bench("link, one frame of 64 KiB cut into 45, checksummed", () => needy.peer!.take(large, 0));

const summing = joined(Object.assign(new Null(), { accepts: 1 }));
bench("link, one frame of 64 KiB cut into 45, checksums left", () => summing.peer!.take(large, 0));

const network = new Switch();
const [a, b, c] = [joined(network.addPort()), joined(network.addPort()), joined(network.addPort())];
bench("switch of 3 ports, 64 frames flooded", () => a.peer!.take(plain, 0));
const network2 = new Switch();
const [d, e] = [joined(network2.addPort()), joined(network2.addPort()), joined(network2.addPort())];
const answer = new FrameBurst();
answer.addFrame(Uint8Array.of(0x52, 0x54, 0, 0, 0, 1, 0x52, 0x54, 0, 0, 0, 2, 8, 0));
e.peer!.take(answer, 0);
bench("switch of 3 ports, 64 frames forwarded", () => d.peer!.take(plain, 0));

const slow = new Null();
const queue = new FrameQueue(slow);
bench("queue, 64 frames in and out", () => {
  slow.full = true;
  queue.take(plain, 0);
  slow.full = false;
  queue.flush();
});

const captured = joined(new Capture(new Null(), { sink: () => {} }));
bench("capture, 64 frames", () => captured.peer!.take(plain, 0));

await run();
if (b === c) throw new Error("unreachable");
