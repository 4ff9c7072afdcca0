/**
 * What `pnpm bench net` measures the NIC against does the same work: it leaves the same memory behind.
 * @module
 */

import { NicRig, NicRings } from "@virtio-ts/virtio-net/testing";
import { expect, test } from "vitest";
import { flatReceive } from "../src/net/flat-receive.ts";
import { flatTransmit } from "../src/net/flat-transmit.ts";

const SHAPES = [
  { frameBytes: 60, frames: 320 },
  { frameBytes: 1514, frames: 320 },
  { frameBytes: 65_549, frames: 60 },
  { frameBytes: 65_549, bufferBytes: 4096, frames: 60 },
];

/** Memory, but for `avail_event` behind a used ring (VIRTIO 1.4, 2.7.8): the flat loop knows no features. */
function memoryOf({ region, rx, tx }: NicRings): Buffer {
  for (const { areas } of [rx, tx]) region.u16[(areas.deviceArea + 4 + 8 * areas.size) / 2] = 0;
  return Buffer.from(region.u8.buffer);
}

test.each(SHAPES)("frames of $frameBytes bytes are received alike", ({ frames, ...options }) => {
  const rig = new NicRig(options);
  const rings = new NicRings(options);
  rig.receive(frames);
  flatReceive(rings)(frames);
  expect(rig.nic.counters.rx.frames).toBe(frames);
  expect(rings.rx.pending).toBe(0);
  expect(memoryOf(rings).compare(memoryOf(rig.rings))).toBe(0);
});

test.each(SHAPES)("frames of $frameBytes bytes are transmitted alike", ({ frames, ...options }) => {
  const rig = new NicRig(options);
  const rings = new NicRings(options);
  rig.transmit(frames);
  flatTransmit(rings)(frames);
  expect(rig.nic.counters.tx.frames).toBe(frames);
  expect(rings.tx.pending).toBe(0);
  expect(memoryOf(rings).compare(memoryOf(rig.rings))).toBe(0);
});
