/**
 * Memory, both queues with fast drivers, and a burst of frames, without a NIC: for benchmarks that compare the NIC with
 * something else.
 * @module
 */

import { FrameBurst, GSO_NONE, GSO_TCPV4, HDR_F_NEEDS_CSUM } from "@virtio-ts/net-link";
import { MemoryRegion } from "@virtio-ts/vm-memory";
import {
  HDR_CSUM_OFFSET,
  HDR_CSUM_START,
  HDR_FLAGS,
  HDR_GSO_SIZE,
  HDR_GSO_TYPE,
  HDR_HDR_LEN,
  HDR_SIZE,
} from "../layout/index.ts";
import { FastRing } from "./fast-ring.ts";

/** Options of {@link NicRings}. */
export interface NicRingsOptions {
  /** Bytes of each frame; a frame above 1514 is one TCP segment to be cut up. */
  readonly frameBytes: number;
  /** Frames passed at a time; 64 by default, fewer if the rings have no room. */
  readonly burst?: number;
  /** Bytes of each receive buffer; 1536 by default. */
  readonly bufferBytes?: number;
  /** Entries of each queue; 256 by default. */
  readonly queueSize?: number;
}

const MEMORY = 64 << 20;
const RX_BASE = 0;
const TX_BASE = 0x4_0000;
const RX_BUFFERS = 0x8_0000;
const TX_BUFFERS = 0x180_0000;
/** Largest descriptor of a transmitted frame: as Linux cuts its socket buffers. */
const FRAGMENT = 32768;

/** Both rings of a NIC, and a burst of frames for it. */
export class NicRings {
  /** The only region of memory; it starts at address 0. */
  readonly region: MemoryRegion;
  /** The receive queue. */
  readonly rx: FastRing;
  /** The transmit queue. */
  readonly tx: FastRing;
  /** A burst of frames to receive. */
  readonly frames: FrameBurst;
  /** Frames passed at a time. */
  readonly burst: number;
  /** Receive buffers that a frame takes. */
  readonly buffersPerFrame: number;
  /** Bytes of each descriptor of a frame to transmit, header included. */
  readonly shape: readonly number[];

  constructor(options: NicRingsOptions) {
    const { frameBytes, burst = 64, bufferBytes = 1536, queueSize = 256 } = options;
    const region = new MemoryRegion(0, new Uint8Array(MEMORY));
    const gso = frameBytes > 1514;
    const shape = [HDR_SIZE + Math.min(frameBytes, FRAGMENT)];
    for (let left = frameBytes - FRAGMENT; left > 0; left -= FRAGMENT) shape.push(Math.min(left, FRAGMENT));
    this.region = region;
    this.shape = shape;
    this.tx = new FastRing(region, queueSize, TX_BASE, TX_BUFFERS, shape, false);
    this.rx = new FastRing(region, queueSize, RX_BASE, RX_BUFFERS, [bufferBytes], true);
    this.buffersPerFrame = Math.ceil((frameBytes + HDR_SIZE) / bufferBytes);
    this.burst = Math.min(burst, this.tx.chains, Math.floor(this.rx.chains / this.buffersPerFrame));
    const stride = Math.ceil((HDR_SIZE + frameBytes) / 64) * 64;
    for (let i = 0; i < this.tx.chains; i++) {
      if (gso) writeGsoHeader(new DataView(region.u8.buffer, TX_BUFFERS + i * stride, HDR_SIZE));
    }
    this.frames = sourceFrames(this.burst, frameBytes, gso);
  }
}

/** Frames as a backend passes them: consecutive in one block of memory. */
function sourceFrames(count: number, length: number, gso: boolean): FrameBurst {
  const frames = new FrameBurst(count, count);
  const stride = Math.ceil(length / 64) * 64;
  const bytes = new Uint8Array(count * stride).map((_, i) => i * 7);
  for (let i = 0; i < count; i++) {
    frames.addSegment(bytes, i * stride, length);
    if (gso) frames.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV4, 54, 1460, 34, 16);
    else frames.endFrame(0, GSO_NONE);
  }
  return frames;
}

function writeGsoHeader(header: DataView): void {
  header.setUint8(HDR_FLAGS, HDR_F_NEEDS_CSUM);
  header.setUint8(HDR_GSO_TYPE, GSO_TCPV4);
  header.setUint16(HDR_HDR_LEN, 54, true);
  header.setUint16(HDR_GSO_SIZE, 1460, true);
  header.setUint16(HDR_CSUM_START, 34, true);
  header.setUint16(HDR_CSUM_OFFSET, 16, true);
}
