import { feature, VIRTIO_F_RING_PACKED } from "@virtio-ts/virtio-bindings";
import { ChainBurst, createDeviceQueue } from "@virtio-ts/virtio-queue";
import { MockPackedDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";

const memory = GuestMemory.of(new Uint8Array(0x10000));
const features = feature(VIRTIO_F_RING_PACKED);
const driver = new MockPackedDriver(memory); // a guest's driver, for tests
const queue = createDeviceQueue(memory, features, driver.areas);
const burst = new ChainBurst(memory);

// A network card takes three receive buffers ahead. Their heads are all it keeps.
for (let i = 0; i < 3; i++) driver.offer([{ length: 64, writable: true }]);
queue.pop(burst, 64);
const [first, second, third] = burst.heads;

// A frame has come for the third: it is walked again, filled and given back before the others.
queue.walkHeld(burst, third);
queue.push(third, burst.copyIn(0, 0, Uint8Array.of(1, 2, 3), 0, 3));
queue.flush();
console.log(driver.collect().length); // 1

// The machine is saved. What goes on over the same memory holds the other two.
const state = structuredClone(queue.save());
const restored = createDeviceQueue(memory, features, driver.areas, { state });
console.log(`${restored.heldChains()}`); // 0,1
restored.walkHeld(burst, second);
console.log(burst.writableBytes[0]); // 64
restored.push(second, burst.copyIn(0, 0, Uint8Array.of(4, 5), 0, 2));
restored.push(first, 0);
restored.flush();
console.log(driver.collect().length); // 2
