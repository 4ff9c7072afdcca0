/** A guest played by the test: it has a NIC that may be full or lose frames, and a small TCP of its own. */

import { FrameBurst, type NetPort, OFFLOAD_ALL } from "@virtio-ts/net-link";
import { expect } from "vitest";
import { UserNetwork, type UserNetworkOptions } from "../../src/index.ts";
import { MemoryHost } from "./memory-host.ts";
import { seeded, TestClock } from "./test-clock.ts";
import { type Decoded, decode, GUEST, ipv4Frame, type TcpFields, tcpFrame } from "./wire-test.ts";

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

export class TestGuest implements NetPort {
  accepts: number = OFFLOAD_ALL;
  /** Frames the NIC still has buffers for. */
  room: number = Number.POSITIVE_INFINITY;
  /** Whether a frame is lost after it was taken. */
  loses: () => boolean = () => false;
  /** Frames taken, not looked at yet. */
  readonly frames: Decoded[] = [];
  /** Called within `take`, as a guest that runs at once would. */
  onTake: (() => void) | undefined;
  resumed = 0;
  readonly network: UserNetwork;

  constructor(network: UserNetwork) {
    this.network = network;
  }

  take(burst: FrameBurst, first: number): number {
    for (let i = first; i < burst.count; i++) {
      if (this.room <= 0) return i;
      this.room--;
      const bytes = new Uint8Array(burst.lengths[i]);
      expect(burst.copyFrame(i, 0, bytes, 0, bytes.length)).toBe(bytes.length);
      const decoded = decode(
        bytes,
        {
          flags: burst.flags[i],
          gsoType: burst.gsoType[i],
          hdrLen: burst.hdrLen[i],
          gsoSize: burst.gsoSize[i],
          csumStart: burst.csumStart[i],
          csumOffset: burst.csumOffset[i],
        },
        this.network.mtu,
      );
      const needed = (decoded.flags & 1) | (decoded.gsoType === 1 ? 2 : 0);
      expect(needed & ~this.accepts).toBe(0);
      if (!this.loses()) this.frames.push(decoded);
    }
    this.onTake?.();
    return burst.count;
  }

  resume(): void {
    this.resumed++;
  }

  /** The NIC gets buffers. */
  makeRoom(frames: number): void {
    this.room = frames;
    this.network.resume();
  }

  send(frame: Uint8Array, flags = 0, gsoType = 0, gsoSize = 0): void {
    const burst = new FrameBurst(1, 4);
    // Headers and payload are separate, as guests send them, and headers are in two pieces, as guests may.
    const cut = Math.min(20, frame.length);
    const memory = new Uint8Array(frame.length + 3);
    memory.set(frame, 3);
    burst.addSegment(memory, 3, cut);
    if (frame.length > cut) burst.addSegment(memory, 3 + cut, frame.length - cut);
    burst.endFrame(flags, gsoType, 54, gsoSize, 34, 16);
    expect(this.network.take(burst, 0)).toBe(1);
    memory.fill(0xdd); // the NIC has given the memory back
  }

  /** Frames taken so far, and forgets them. */
  got(): Decoded[] {
    return this.frames.splice(0);
  }

  /** The one frame taken so far. */
  one(): Decoded {
    const got = this.got();
    expect(got.length).toBe(1);
    return got[0];
  }

  /** Lets the network learn our MAC address, by a ping to the gateway whose answer is ignored. */
  hello(source: number = GUEST): void {
    this.send(ipv4Frame(Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0), { protocol: 1, source }));
    this.got();
  }

  tcp(fields: TcpFields): void {
    this.send(tcpFrame(fields));
  }
}

export interface Bench {
  network: UserNetwork;
  guest: TestGuest;
  host: MemoryHost;
  clock: TestClock;
}

export function bench(options: UserNetworkOptions = {}, seed = 1): Bench {
  const clock = new TestClock();
  const host = new MemoryHost();
  const network = new UserNetwork({ host, clock, random: seeded(seed), options });
  const guest = new TestGuest(network);
  network.attach(guest);
  return { network, guest, host, clock };
}

/** A segment as the guest sees it. */
export interface Segment {
  fromPort: number;
  toPort: number;
  sequence: number;
  acknowledged: number;
  flags: number;
  window: number;
  options: Uint8Array;
  data: Uint8Array;
}

export function segmentOf(frame: Decoded): Segment {
  expect(frame.protocol).toBe(6);
  const { payload } = frame;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const header = (payload[12] >> 4) * 4;
  return {
    fromPort: view.getUint16(0),
    toPort: view.getUint16(2),
    sequence: view.getUint32(4),
    acknowledged: view.getUint32(8),
    flags: payload[13],
    window: view.getUint16(14),
    options: payload.slice(20, header),
    data: payload.slice(header),
  };
}
