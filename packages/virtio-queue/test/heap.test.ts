/**
 * Nothing is allocated for a chain in steady state: by neither half, in neither format.
 * @module
 */

import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  feature,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_VERSION_1,
} from "@virtio-ts/virtio-bindings";
import {
  BufferElements,
  ChainBurst,
  ChainReader,
  ChainWriter,
  createDeviceQueue,
  createDriverQueue,
  UsedBurst,
} from "@virtio-ts/virtio-queue";
import { leastGrowth } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { expect, test } from "vitest";

setFlagsFromString("--expose-gc");
const heap = { collect: runInNewContext("gc") as () => void, used: () => getHeapStatistics().used_heap_size };

/** Below what 10,000 of the smallest objects take; the compiler and the measurement itself allocate a little. */
const BOUND = 100_000;

const options = { indirect: VIRTIO_F_INDIRECT_DESC, "in order": VIRTIO_F_IN_ORDER, "event idx": VIRTIO_F_EVENT_IDX };
const shapes = ["split", "packed"].flatMap((format) =>
  ["", "indirect", "in order", "event idx", "indirect, in order, event idx", "the wrong way round"].map(
    (extra) => [format, extra] as const,
  ),
);

/** Both halves on one ring, buffers of three elements, bursts of 8 and one by one. */
function bothHalves(format: string, extra: string): (times: number) => void {
  const bits = Object.entries(options).flatMap(([name, bit]) => (extra.includes(name) ? [bit] : []));
  if (format === "packed") bits.push(VIRTIO_F_RING_PACKED);
  const features = feature(VIRTIO_F_VERSION_1, ...bits);
  const memory = GuestMemory.of(new Uint8Array(0x10000));
  const areas = { size: 64, descriptorArea: 0x1000, driverArea: 0x2000, deviceArea: 0x3000 };
  const driver = createDriverQueue(memory, features, areas, { indirect: { address: 0x4000, entries: 4 } });
  const device = createDeviceQueue(memory, features, areas);
  const [elements, used, burst, text] = [
    new BufferElements(),
    new UsedBurst(),
    new ChainBurst(memory),
    new Uint8Array(64),
  ];
  const [reader, writer] = [new ChainReader(burst), new ChainWriter(burst)];
  const answer = (): void => {
    for (let i = 0; i < burst.count; i++) {
      reader.seat(burst, i).read(text);
      writer.seat(burst, i).write(text, 0, 48);
      burst.written[i] = writer.written;
    }
    if (extra === "the wrong way round") for (let i = burst.count; i > 0; i--) device.push(burst.heads[i - 1], 48);
    else device.pushAll(burst);
  };
  return (times) => {
    for (let done = 0; done < times; done += 8) {
      for (let i = 0; i < 8; i++)
        driver.add(elements.clear().readable(0x8000, 40).writable(0x9000, 24).writable(0xa000, 24));
      driver.publish();
      device.disableNotifications();
      while (device.pop(burst, 3) > 0) answer();
      device.flush();
      device.enableNotifications();
      driver.disableNotifications();
      while (driver.take(used, 5) > 0);
      driver.enableNotifications();
      if (driver.outstanding > 0 || device.fault !== null) throw new Error("a buffer is lost");
    }
  };
}

test.each(shapes)("10,000 buffers through both halves allocate nothing: %s %s", (format, extra) => {
  expect(leastGrowth(bothHalves(format, extra), heap, BOUND)).toBeLessThan(BOUND);
});
