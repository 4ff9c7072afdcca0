import { feature, VIRTIO_F_EVENT_IDX } from "@virtio-ts/virtio-bindings";
import { ChainBurst, createDeviceQueue } from "@virtio-ts/virtio-queue";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";

const memory = GuestMemory.of(new Uint8Array(0x10000));
const driver = new MockSplitDriver(memory); // a guest's driver, for tests
const queue = createDeviceQueue(memory, feature(VIRTIO_F_EVENT_IDX), driver.areas, {
  onFault: (fault) => console.log(`the guest broke a rule: ${fault.code}`),
});

// The driver offers a question with room for the answer.
driver.offer([{ bytes: new TextEncoder().encode("hello") }, { length: 16, writable: true }]);

// The device is notified: it answers everything there is, then goes to sleep.
const burst = new ChainBurst(memory); // made once
const text = new Uint8Array(64);
queue.disableNotifications();
do {
  while (queue.pop(burst, 64) > 0) {
    for (let i = 0; i < burst.count; i++) {
      const length = burst.copyOut(i, 0, text, 0, text.length);
      for (let at = 0; at < length; at++) text[at] -= 0x20;
      burst.written[i] = burst.copyIn(i, 0, text, 0, length);
    }
    queue.pushAll(burst);
    if (queue.flush()) console.log("notify the driver"); // notify the driver
  }
} while (queue.enableNotifications());

const [{ head, length }] = driver.collect();
const answer = new Uint8Array(length);
memory.read(driver.elements(head)[1].address, answer);
console.log(new TextDecoder().decode(answer)); // HELLO
