/** Prints "true 3": a packed ring, on which a driver gives a device a buffer and gets it back with 3 bytes in it. */
import { feature, VIRTIO_F_RING_PACKED, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { BufferElements, ChainBurst, createDeviceQueue, createDriverQueue, UsedBurst } from "@virtio-ts/virtio-queue";
import { GuestMemory } from "@virtio-ts/vm-memory";

const memory = GuestMemory.of(new Uint8Array(0x10000));
const features = feature(VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED);
const areas = { size: 100, descriptorArea: 0x1000, driverArea: 0x2000, deviceArea: 0x3000 };
const driver = createDriverQueue(memory, features, areas);
const device = createDeviceQueue(memory, features, areas);

const head = driver.add(new BufferElements().readable(0x8000, 16).writable(0x8010, 64));
driver.publish();

const burst = new ChainBurst(memory);
device.pop(burst, 1);
device.push(burst.heads[0], burst.copyIn(0, 0, Uint8Array.of(1, 2, 3), 0, 3));
device.flush();

const used = new UsedBurst();
driver.take(used, 1);
console.log(`${used.heads[0] === head} ${used.lengths[0]}`);
