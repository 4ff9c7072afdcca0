/**
 * Loads: what `pnpm bench queue` measures. Each step goes through the fully checked code that ships; the other side of the
 * ring is a few stores prepared beforehand, so that what is measured is this side.
 * @module
 */

import {
  ChainBurst,
  PackedDeviceQueue,
  PackedDriverQueue,
  SplitDeviceQueue,
  SplitDriverQueue,
  UsedBurst,
} from "@virtio-ts/virtio-queue";
import type { Load, Step } from "../loads/load.ts";
import { flatDevice, flatDriver } from "./flat.ts";
import { areas, BUFFER_BYTES, BUFFERS, deviceOf, frameOf, makeMemory, offerOf, type Shape } from "./rings.ts";

function prepareDevice(shape: Shape): Step {
  const memory = makeMemory(shape.regions);
  const config = { ...areas, indirect: shape.indirect, eventIdx: false };
  const offer = offerOf(memory, shape);
  const queue = shape.packed ? new PackedDeviceQueue(memory, config) : new SplitDeviceQueue(memory, config);
  const burst = new ChainBurst(memory);
  const frame = frameOf();
  const { chains, push, copy } = shape;
  return () => {
    offer();
    if (queue.pop(burst, chains) !== chains) throw new Error(`took ${burst.count} chains of ${chains}: ${queue.fault}`);
    if (copy > 0) for (let i = 0; i < chains; i++) burst.copyOut(i, 0, frame, 0, copy);
    if (push) {
      queue.pushAll(burst);
      queue.flush();
    } else {
      queue.rewind(burst, 0);
    }
  };
}

function deviceLoad(name: string, given: Partial<Shape> & { packed: boolean }, target?: number): Load {
  const shape: Shape = { chains: 128, length: 1, indirect: false, regions: 1, push: true, copy: 0, ...given };
  const { chains, length, regions } = shape;
  const load = { name, count: chains, descriptors: chains * length, prepare: () => prepareDevice(shape), target };
  // What more regions cost is a matter of our own: a loop that checks nothing has no regions.
  if (regions > 2)
    return { ...load, preparePeer: () => prepareDevice({ ...shape, regions: 1 }), peerName: "one region" };
  return { ...load, preparePeer: () => flatDevice(shape), peerName: "flat loop" };
}

/** Adds and takes buffers of one element; the device's part is a copy of what it was given. */
function driverLoad(name: string, packed: boolean): Load {
  const chains = 128;
  const prepare = (): Step => {
    const memory = makeMemory(1);
    const queue = new (packed ? PackedDriverQueue : SplitDriverQueue)(memory, { ...areas, eventIdx: false });
    const use = deviceOf(memory, packed, chains);
    const used = new UsedBurst();
    return () => {
      for (let i = 0; i < chains; i++) queue.addOne(BUFFERS + 2048 * i, BUFFER_BYTES, true);
      queue.publish();
      use();
      if (queue.take(used, chains) !== chains)
        throw new Error(`took ${used.count} buffers of ${chains}: ${queue.fault}`);
    };
  };
  const preparePeer = (): Step => {
    const memory = makeMemory(1);
    return flatDriver(packed, chains, deviceOf(memory, packed, chains), memory.regions[0]);
  };
  return { name, count: chains, descriptors: chains, prepare, preparePeer, peerName: "flat loop" };
}

/** Every load, split ones first. */
export function queueLoads(): Load[] {
  const loads: Load[] = [];
  for (const packed of [false, true]) {
    const format = packed ? "packed" : "split";
    loads.push(
      deviceLoad(`${format} walk 128x1`, { packed, push: false }),
      deviceLoad(`${format} walk 1x128`, { packed, chains: 1, length: 128, push: false }),
      deviceLoad(`${format} walk 64x4`, { packed, chains: 64, length: 4, push: false }),
      deviceLoad(`${format} walk 64x4 indirect`, { packed, chains: 64, length: 4, push: false, indirect: true }),
      deviceLoad(`${format} walk 64x4 two regions`, { packed, chains: 64, length: 4, push: false, regions: 2 }),
      deviceLoad(`${format} pop+push 128x1`, { packed }, packed ? undefined : 2.3),
      deviceLoad(`${format} pop+push 128x1 two regions`, { packed, regions: 2 }),
      deviceLoad(`${format} pop+push 128x1 4 regions`, { packed, regions: 4 }),
      deviceLoad(`${format} pop+push 128x1 32 regions`, { packed, regions: 32 }, 1.5),
      deviceLoad(`${format} pop+push 64x4 indirect`, { packed, chains: 64, length: 4, indirect: true }),
      deviceLoad(`${format} pop+copy64+push`, { packed, copy: 64 }),
      deviceLoad(`${format} pop+copy1500+push`, { packed, copy: 1500 }),
      driverLoad(`${format} driver add+take`, packed),
    );
  }
  return loads;
}
