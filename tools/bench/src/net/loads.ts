/**
 * The loads of `pnpm bench net`. Frames pass through NIC, state machine and split rings, between a driver that makes the same
 * buffers available over and over and a link that takes everything. A received frame is copied, a transmitted one is not.
 *
 * @module
 */
import { NicRig, NicRings, type NicRingsOptions } from "@virtio-ts/virtio-net/testing";
import type { Load } from "../loads/load.ts";
import { flatReceive } from "./flat-receive.ts";
import { flatTransmit } from "./flat-transmit.ts";

const FLAT = { transmit: flatTransmit, receive: flatReceive };
/** A frame of 64 KiB: the longest IP packet, and an Ethernet header. */
const LONG = 65_535 + 14;

function netLoad(
  name: string,
  way: "transmit" | "receive",
  frames: number,
  descriptors: number,
  options: NicRingsOptions,
): Load {
  return {
    name: `${way} ${name}`,
    count: frames,
    descriptors: frames * descriptors,
    prepare: () => {
      const rig = new NicRig(options);
      return () => rig[way](frames);
    },
    preparePeer: () => {
      const loop = FLAT[way](new NicRings(options));
      return () => loop(frames);
    },
    peerName: "flat loop",
  };
}

/** Every load. Each has whole bursts: of 64 frames, or of the 5 or 15 long ones that fit into the receive ring. */
export function netLoads(): Load[] {
  return [
    netLoad("60 bytes", "transmit", 64, 1, { frameBytes: 60 }),
    netLoad("1514 bytes", "transmit", 64, 1, { frameBytes: 1514 }),
    netLoad("64 KiB", "transmit", 60, 3, { frameBytes: LONG }),
    netLoad("60 bytes", "receive", 64, 1, { frameBytes: 60 }),
    netLoad("1514 bytes", "receive", 64, 1, { frameBytes: 1514 }),
    netLoad("64 KiB, buffers of 1536", "receive", 60, 43, { frameBytes: LONG }),
    netLoad("64 KiB, buffers of 4096", "receive", 60, 17, { frameBytes: LONG, bufferBytes: 4096 }),
  ];
}
