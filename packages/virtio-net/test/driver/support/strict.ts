/** The NIC driver on a {@link StrictNic}. */
import { DEFAULT_RING_FEATURES } from "@virtio-ts/virtio-device";
import { ProcessHost } from "@virtio-ts/virtio-driver";
import { ManualClock } from "@virtio-ts/virtio-driver/testing";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { NetbufPool, NetDriver, type NetDriverOptions, type RxQueue, type TxQueue } from "../../../src/driver/index.ts";
import { DirectTransport } from "../../../src/testing/index.ts";
import { StrictNic, type StrictNicOptions } from "./strict-nic.ts";

export interface StrictOptions extends NetDriverOptions {
  device?: StrictNicOptions;
  ringFeatures?: bigint;
  legacy?: boolean;
  /** How far the driver goes: to the end by default. */
  upTo?: "unprobed" | "unconfigured" | "configured" | "queues" | "running";
  pairs?: number;
  entries?: number;
  buffers?: number;
  capacity?: number;
  onEvent?: (queue: RxQueue) => void;
}

export type Strict = Awaited<ReturnType<typeof setupStrict>>;

export async function setupStrict(options: StrictOptions = {}) {
  const memory = new GuestMemory([new MemoryRegion(0, new Uint8Array(0x40_0000))]);
  const host = new ProcessHost(memory, { clock: new ManualClock() });
  const device = new StrictNic(options.device);
  const transport = new DirectTransport(device, {
    memory,
    scheduler: { defer: (task) => task() },
    ringFeatures: options.ringFeatures ?? DEFAULT_RING_FEATURES,
    legacy: options.legacy === true,
  });
  const { buffers: count = 64, capacity = 1536 } = options;
  const pool = new NetbufPool(host, { count, capacity });
  const driver = new NetDriver(transport, host, options);
  const rxqs: RxQueue[] = [];
  const txqs: TxQueue[] = [];
  const { upTo = "running", pairs = 1, entries = 0, onEvent } = options;
  const bed = { memory, host, device, transport, core: transport.core, pool, driver, rxqs, txqs };
  if (upTo === "unprobed") return bed;
  await driver.probe();
  if (upTo === "unconfigured") return bed;
  driver.configure(pairs, pairs);
  if (upTo === "configured") return bed;
  for (let id = 0; id < pairs; id++) {
    txqs.push(driver.txqConfigure(id, entries, { pool }));
    rxqs.push(
      driver.rxqConfigure(id, entries, {
        pool,
        allocate: pool.allocateInto,
        ...(onEvent === undefined ? {} : { onEvent }),
      }),
    );
  }
  if (upTo === "queues") return bed;
  await driver.start();
  return bed;
}

/** A header in front of a frame. */
export function headed(
  fields: {
    flags?: number;
    gsoType?: number;
    hdrLen?: number;
    gsoSize?: number;
    csumStart?: number;
    csumOffset?: number;
    numBuffers?: number;
    size?: number;
  },
  frame: Uint8Array,
): Uint8Array {
  const { size = 12 } = fields;
  const bytes = new Uint8Array(size + frame.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = fields.flags ?? 0;
  bytes[1] = fields.gsoType ?? 0;
  view.setUint16(2, fields.hdrLen ?? 0, true);
  view.setUint16(4, fields.gsoSize ?? 0, true);
  view.setUint16(6, fields.csumStart ?? 0, true);
  view.setUint16(8, fields.csumOffset ?? 0, true);
  if (size >= 12) view.setUint16(10, fields.numBuffers ?? 1, true);
  bytes.set(frame, size);
  return bytes;
}

/** A packet of the pool that holds a frame. */
export function packetOf(pool: NetbufPool, frame: Uint8Array): number {
  const packet = pool.allocate();
  pool.write(packet, frame);
  return packet;
}
