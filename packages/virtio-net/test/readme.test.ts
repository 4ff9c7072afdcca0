/** The example of the README, with both ends of the link at work. */
import { connect, FrameBurst, type NetBackend, type NetPort } from "@virtio-ts/net-link";
import { DeviceCore, noopInterrupts } from "@virtio-ts/virtio-device";
import { ManualScheduler } from "@virtio-ts/virtio-device/testing";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { expect, it } from "vitest";
import { NetDevice } from "../src/index.ts";

/** Answers every frame with its bytes in reverse. */
class Mirror implements NetBackend {
  readonly accepts = 0; // no offloads: the link does them
  readonly #answer = new FrameBurst();
  #peer: NetPort | null = null;

  take(burst: FrameBurst, first: number): number {
    this.#answer.clear();
    for (let i = first; i < burst.count; i++) {
      const bytes = new Uint8Array(burst.lengths[i]);
      burst.copyFrame(i, 0, bytes, 0, bytes.length);
      this.#answer.addFrame(bytes.reverse());
    }
    this.#peer?.take(this.#answer, 0);
    return burst.count;
  }
  resume(): void {}
  attach(peer: NetPort): void {
    this.#peer = peer;
  }
  detach(): void {
    this.#peer = null;
  }
}

it("the README's example", () => {
  const memory = GuestMemory.of(new Uint8Array(0x10_0000));
  const scheduler = new ManualScheduler();
  const interrupts = noopInterrupts;
  const backend = new Mirror();

  const nic = new NetDevice({ mac: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56), mtu: 1500 });
  const link = connect(nic, backend); // a switch, a user-mode network, a capture, another NIC
  const core = new DeviceCore(nic, { memory, scheduler, interrupts }); // what a transport does

  // What a driver does.
  const queues = [0x1000, 0x8_0000].map((base) => new MockSplitDriver(memory, { base }));
  core.writeDriverFeatures(1, 1);
  core.writeStatus(11);
  for (const [index, { areas }] of queues.entries()) {
    core.queueSelect = index;
    core.queues[index].size = areas.size;
    core.queues[index].setAddress(0, areas.descriptorArea);
    core.queues[index].setAddress(1, areas.driverArea);
    core.queues[index].setAddress(2, areas.deviceArea);
    core.enableQueue();
  }
  core.writeStatus(15);
  const [rx, tx] = queues;
  const head = rx.offer([{ length: 1526, writable: true }]);
  const [{ address }] = rx.elements(head);
  const sent = Uint8Array.from({ length: 60 }, (_, i) => i);
  tx.offer([{ bytes: new Uint8Array(12) }, { bytes: sent }]);
  core.notify(1);
  expect(rx.collect()).toEqual([{ head, length: 72 }]);
  const received = new Uint8Array(60);
  memory.read(address + 12, received);
  expect([...received]).toEqual([...sent].reverse());
  expect([link.aToB.frames, link.bToA.frames]).toEqual([1, 1]);

  nic.linkUp = false; // the driver is told, frames are lost and counted
  tx.offer([{ bytes: new Uint8Array(12) }, { bytes: sent }]);
  core.notify(1);
  expect(nic.counters.dropped.txNoLink).toBe(1);
  const state = core.save(); // plain data; core.restore(state) elsewhere

  const elsewhere = new NetDevice({ mtu: 1500 });
  const other = new DeviceCore(elsewhere, { memory, scheduler, interrupts });
  other.restore(JSON.parse(JSON.stringify(state)));
  expect([...elsewhere.mac]).toEqual([...nic.mac]);
  expect([other.status, elsewhere.linkUp]).toEqual([15, false]);
});
