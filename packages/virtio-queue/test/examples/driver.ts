import { feature, VIRTIO_F_RING_PACKED, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { BufferElements, ChainBurst, createDeviceQueue, createDriverQueue, UsedBurst } from "@virtio-ts/virtio-queue";
import { GuestMemory } from "@virtio-ts/vm-memory";

const memory = GuestMemory.of(new Uint8Array(0x10000));
const features = feature(VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED);
const areas = { size: 100, descriptorArea: 0x1000, driverArea: 0x2000, deviceArea: 0x3000 };
const queue = createDriverQueue(memory, features, areas);

// Offer a buffer: a request of 16 bytes for the device to read, a reply of 64 for it to write.
const elements = new BufferElements(); // made once
const head = queue.add(elements.clear().readable(0x8000, 16).writable(0x8010, 64));
if (queue.publish()) console.log("notify the device"); // notify the device

// A device, for this example right here.
const device = createDeviceQueue(memory, features, areas);
const burst = new ChainBurst(memory);
device.pop(burst, 1);
device.push(burst.heads[0], burst.copyIn(0, 0, Uint8Array.of(1, 2, 3), 0, 3));
device.flush();

// The driver is notified: it takes back what was used, and looks again before it sleeps.
const used = new UsedBurst(); // made once
do {
  while (queue.take(used, 64) > 0) {
    for (let i = 0; i < used.count; i++) {
      console.log(`${used.heads[i] === head} ${used.lengths[i]}`); // true 3
    }
  }
} while (queue.enableNotifications());
