/**
 * The loads of `pnpm bench driver`. Each frame goes out by driver, transmit queue and device, and comes back in by
 * device, receive queue and driver, into a buffer of the caller's; it counts once. Several queues are as many NICs, for a
 * NIC has one pair of them.
 *
 * @module
 */
import { feature, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import { DEFAULT_RING_FEATURES } from "@virtio-ts/virtio-device";
import { ProcessHost } from "@virtio-ts/virtio-driver";
import { NetDevice } from "@virtio-ts/virtio-net/device";
import { DirectTransport, DriverRig } from "@virtio-ts/virtio-net/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import type { Load, Step } from "../loads/load.ts";
import { flatPackedNic } from "./flat-packed.ts";
import { FlatPool, MEMORY } from "./flat-pool.ts";
import { flatSplitNic } from "./flat-split.ts";

const FORMATS = [
  { format: "split", ringFeatures: DEFAULT_RING_FEATURES, flatNic: flatSplitNic },
  { format: "packed", ringFeatures: DEFAULT_RING_FEATURES | feature(VIRTIO_F_RING_PACKED), flatNic: flatPackedNic },
];
/** Frames of a step, of all NICs together: whole bursts for each. */
const FRAMES = 1280;

/** Every load, split ones first. */
export function driverLoads(): Load[] {
  return FORMATS.flatMap(({ format, ringFeatures, flatNic }) =>
    [64, 1500].flatMap((bytes) =>
      [1, 4].map((queues): Load => {
        const nics = Array.from({ length: queues });
        return {
          name: `${format}, ${bytes} bytes, ${queues === 1 ? "1 queue" : `${queues} queues`}`,
          count: FRAMES,
          descriptors: 2 * FRAMES,
          prepare: async () => prepare(await Promise.all(nics.map(() => setUp(ringFeatures))), bytes),
          preparePeer: () => preparePeer(nics.map(() => flatNic(new FlatPool(), bytes))),
          peerName: "flat loop",
        };
      }),
    ),
  );
}

function prepare(rigs: readonly DriverRig[], bytes: number): Step {
  return () => {
    for (const rig of rigs) rig.loop(FRAMES / rigs.length, bytes);
  };
}

function preparePeer(nics: readonly ((frames: number) => void)[]): Step {
  return () => {
    for (const loop of nics) loop(FRAMES / nics.length);
  };
}

async function setUp(ringFeatures: bigint): Promise<DriverRig> {
  const memory = GuestMemory.of(new Uint8Array(MEMORY));
  const nic = new NetDevice();
  nic.attach(nic);
  const transport = new DirectTransport(nic, { memory, scheduler: { defer: (task) => task() }, ringFeatures });
  return new DriverRig(transport, new ProcessHost(memory)).start();
}
