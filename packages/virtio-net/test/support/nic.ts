/** A NIC, its state machine, a mock driver on both queues and a backend that remembers. */
import { FrameBurst, type NetBackend, type NetPort, OFFLOAD_ALL } from "@virtio-ts/net-link";
import { feature, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { DeviceCore, type DeviceFault } from "@virtio-ts/virtio-device";
import { CountingInterrupts, ManualScheduler } from "@virtio-ts/virtio-device/testing";
import { type MockElement, MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { NetDevice, type NetDeviceOptions } from "../../src/index.ts";

export const RX = 0;
export const TX = 1;
export const MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);

/** A frame as a backend or a driver saw it. */
export interface Seen {
  bytes: Uint8Array;
  flags: number;
  gsoType: number;
  hdrLen: number;
  gsoSize: number;
  csumStart: number;
  csumOffset: number;
}

export class TestBackend implements NetBackend {
  accepts: number = OFFLOAD_ALL;
  /** Frames it still takes. */
  room: number = Number.POSITIVE_INFINITY;
  readonly frames: Seen[] = [];
  /** Whether each segment it saw was a view of this buffer. */
  segmentBuffers: ArrayBufferLike[] = [];
  peer: NetPort | null = null;
  resumed = 0;
  onTake: () => void = () => {};

  take(burst: FrameBurst, first: number): number {
    let i = first;
    for (; i < burst.count && this.room > 0; i++, this.room--) {
      for (let s = burst.first[i]; s < burst.first[i + 1]; s++) this.segmentBuffers.push(burst.views[s].buffer);
      const bytes = new Uint8Array(burst.lengths[i]);
      burst.copyFrame(i, 0, bytes, 0, bytes.length);
      this.frames.push({
        bytes,
        flags: burst.flags[i],
        gsoType: burst.gsoType[i],
        hdrLen: burst.hdrLen[i],
        gsoSize: burst.gsoSize[i],
        csumStart: burst.csumStart[i],
        csumOffset: burst.csumOffset[i],
      });
    }
    this.onTake();
    return i;
  }
  resume(): void {
    this.resumed++;
  }
  attach(peer: NetPort): void {
    this.peer = peer;
  }
  detach(): void {
    this.peer = null;
  }
  /** Sends plain frames; returns how many were taken. */
  send(...frames: Uint8Array[]): number {
    const burst = new FrameBurst();
    for (const bytes of frames) burst.addFrame(bytes);
    return this.peer?.take(burst, 0) ?? 0;
  }
}

export interface NicOptions {
  /** Bits the driver accepts, besides VERSION_1 (not for a legacy driver). */
  features?: readonly number[];
  legacy?: boolean;
  size?: number;
  nic?: NetDeviceOptions;
  /** Features of the transport that it is behind. */
  transportFeatures?: bigint;
  memory?: GuestMemory;
  /** Moves the queues, for a second NIC on the same memory. */
  offset?: number;
  /** Stop before DRIVER_OK. */
  asleep?: boolean;
}

export type Nic = ReturnType<typeof setupNic>;

export function setupNic(options: NicOptions = {}) {
  const memory = options.memory ?? new GuestMemory([new MemoryRegion(0, new Uint8Array(0x80_0000))]);
  const size = options.size ?? 16;
  const nic = new NetDevice({ mac: MAC, queueSize: size, ...options.nic });
  const backend = new TestBackend();
  nic.attach(backend);
  backend.attach(nic);
  const scheduler = new ManualScheduler();
  const interrupts = new CountingInterrupts();
  const faults: DeviceFault[] = [];
  const { transportFeatures = 0n } = options;
  const onFault = (fault: DeviceFault): void => void faults.push(fault);
  const core = new DeviceCore(nic, { memory, scheduler, interrupts, transportFeatures, onFault });
  const rig = {
    memory,
    nic,
    backend,
    scheduler,
    interrupts,
    faults,
    core,
    rx: new MockSplitDriver(memory, { size, base: 0x1000 + (options.offset ?? 0) }),
    tx: new MockSplitDriver(memory, { size, base: 0x40_0000 + (options.offset ?? 0) }),
    kick: (index: number): void => core.notify(index),
    /** Brings the device up; features as before by default. */
    start: (features: readonly number[] = options.features ?? []): void => start(rig, { ...options, features }),
    interruptsOf: (index: number): number => interrupts.queueCounts[index] ?? 0,
  };
  if (options.asleep !== true) rig.start();
  return rig;
}

function start(
  { core, rx, tx }: { core: DeviceCore; rx: MockSplitDriver; tx: MockSplitDriver },
  options: NicOptions,
): void {
  const legacy = options.legacy === true;
  const features = feature(...(options.features ?? []), ...(legacy ? [] : [VIRTIO_F_VERSION_1]));
  core.writeStatus(1, legacy);
  core.writeStatus(3, legacy);
  core.writeDriverFeatures(0, Number(features & 0xffff_ffffn));
  core.writeDriverFeatures(1, Number(features >> 32n));
  if (!legacy) core.writeStatus(11);
  [rx, tx].forEach((driver, index) => {
    core.queueSelect = index;
    const queue = core.selectedQueue;
    queue?.setAddress(0, driver.areas.descriptorArea);
    queue?.setAddress(1, driver.areas.driverArea);
    queue?.setAddress(2, driver.areas.deviceArea);
    core.enableQueue();
  });
  core.writeStatus(legacy ? 7 : 15, legacy);
}

/** Fields of a header, all 0 but the given ones. */
export function header(fields: Partial<Omit<Seen, "bytes">> = {}, size = 12): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  bytes[0] = fields.flags ?? 0;
  bytes[1] = fields.gsoType ?? 0;
  view.setUint16(2, fields.hdrLen ?? 0, true);
  view.setUint16(4, fields.gsoSize ?? 0, true);
  view.setUint16(6, fields.csumStart ?? 0, true);
  view.setUint16(8, fields.csumOffset ?? 0, true);
  return bytes;
}

/** A frame of `length` bytes that can be told from others. */
export function frame(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + seed * 31 + (i >> 8)) & 0xff;
  if (length >= 14) bytes.set([0x52, 0x54, 0, 0, 0, 1, 0x52, 0x54, 0, 0, 0, 2, 0x08, 0x00]);
  return bytes;
}

/** A frame whose type is `outer`, followed by 2 bytes and `inner`. */
export function tagged(length: number, outer: number, inner: number): Uint8Array {
  const bytes = frame(length);
  bytes.set([outer >> 8, outer & 0xff, 0, 5, inner >> 8, inner & 0xff], 12);
  return bytes;
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Cuts bytes into device-readable elements of the given lengths; the last takes the rest. */
export function pieces(bytes: Uint8Array, ...lengths: number[]): MockElement[] {
  const elements: MockElement[] = [];
  let at = 0;
  for (const length of lengths) {
    elements.push({ bytes: bytes.subarray(at, at + length) });
    at += length;
  }
  if (at < bytes.length) elements.push({ bytes: bytes.subarray(at) });
  return elements;
}

/** Transmits one frame behind a header, in two descriptors. */
export function transmit(s: Nic, bytes: Uint8Array, head: Uint8Array = header()): number {
  return s.tx.offer([{ bytes: head }, { bytes }]);
}

/** Offers receive buffers of one descriptor each. */
export function offerBuffers(s: Nic, count: number, length: number): number[] {
  const heads = Array.from({ length: count }, () => s.rx.add([{ length, writable: true }]));
  s.rx.publish();
  return heads;
}

/** What the driver finds in the device-writable part of a buffer. */
function contents(s: Nic, elements: readonly { address: number; length: number }[], length: number): Uint8Array {
  const parts = elements.map(({ address, length: size }) => {
    const bytes = new Uint8Array(size);
    s.memory.read(address, bytes);
    return bytes;
  });
  return concat(...parts).subarray(0, length);
}

/** Takes used receive buffers as a driver does: merges by `num_buffers`. */
export function receive(s: Nic, headerSize = 12): (Seen & { buffers: number[]; numBuffers: number })[] {
  // Heads are reused: contents are looked at before `collect` forgets where the buffers lay.
  const where = new Map<number, readonly { address: number; length: number }[]>();
  for (let head = 0; head < s.rx.areas.size; head++) where.set(head, s.rx.elements(head));
  const used = s.rx.collect();
  const received = [];
  for (let i = 0; i < used.length; ) {
    const first = contents(s, where.get(used[i].head) ?? [], used[i].length);
    const view = new DataView(first.buffer, first.byteOffset);
    const numBuffers = headerSize === 12 ? view.getUint16(10, true) : 1;
    const parts = [first.subarray(headerSize)];
    for (let k = 1; k < numBuffers; k++) {
      parts.push(contents(s, where.get(used[i + k].head) ?? [], used[i + k].length));
    }
    received.push({
      bytes: concat(...parts),
      flags: first[0],
      gsoType: first[1],
      hdrLen: view.getUint16(2, true),
      gsoSize: view.getUint16(4, true),
      csumStart: view.getUint16(6, true),
      csumOffset: view.getUint16(8, true),
      numBuffers,
      buffers: used.slice(i, i + numBuffers).map((u) => u.length),
    });
    i += Math.max(1, numBuffers);
  }
  return received;
}

export const INDIRECT = VIRTIO_F_INDIRECT_DESC;
