/**
 * One half of a queue in a worker thread of its own: driver or device, over memory that both share. Plain JavaScript,
 * for a worker loads what was built.
 * @module
 */

import { parentPort, workerData } from "node:worker_threads";
import { BufferElements, ChainBurst, createDeviceQueue, createDriverQueue, UsedBurst } from "@virtio-ts/virtio-queue";
import { GuestMemory } from "@virtio-ts/vm-memory";

const { role, shared, bells, features, areas, buffers, seed, inOrder } = workerData;
const memory = GuestMemory.of(new Uint8Array(shared));
const bell = new Int32Array(bells);
const DRIVER_BELL = 0;
const DEVICE_BELL = 1;
/** Longer than any wait that ends: after it, a wake-up was missed. */
const PATIENCE = 20_000;
const SLOTS = 0x10000;

let random = seed;
function below(limit) {
  random ^= random << 13;
  random ^= random >>> 17;
  random ^= random << 5;
  return (random >>> 0) % limit;
}

function ring(which) {
  Atomics.add(bell, which, 1);
  Atomics.notify(bell, which);
}

function sleep(which, seen) {
  if (Atomics.wait(bell, which, seen, PATIENCE) === "timed-out") throw new Error(`${role}: a wake-up was missed`);
}

function runDriver() {
  const queue = createDriverQueue(memory, features, areas);
  Atomics.store(bell, 2, 1);
  Atomics.notify(bell, 2);
  const elements = new BufferElements();
  const used = new UsedBurst();
  const { u32 } = memory.regions[0];
  const numbers = new Uint32Array(areas.size);
  let next = 0;
  let expected = 0;
  let done = 0;
  let slot = 0;
  const slots = new Uint32Array(areas.size);
  while (done < buffers) {
    for (let burst = 1 + below(48); burst > 0 && next < buffers; burst--) {
      const address = SLOTS + 16 * slot;
      const head = queue.add(
        elements
          .clear()
          .readable(address, 4)
          .writable(address + 4, 4),
      );
      if (head < 0) break;
      u32[address / 4] = next;
      numbers[head] = next++;
      slots[head] = address;
      slot = (slot + 1) % (2 * areas.size);
    }
    if (queue.publish()) ring(DEVICE_BELL);
    if (below(3) === 0) queue.disableNotifications();
    const seen = Atomics.load(bell, DRIVER_BELL);
    const count = queue.take(used, 1 + below(64));
    if (count < 0) throw queue.fault;
    for (let i = 0; i < count; i++) {
      const head = used.heads[i];
      const number = numbers[head];
      if (inOrder && number !== expected++) throw new Error(`buffer ${number} came back, not ${expected - 1}`);
      if (used.lengths[i] !== 4) throw new Error(`buffer ${number} came back with ${used.lengths[i]} bytes`);
      if (u32[slots[head] / 4 + 1] !== ~number >>> 0)
        throw new Error(`buffer ${number} came back with another's answer`);
      numbers[head] = 0xffff_ffff;
    }
    done += count;
    // With nothing to take and nothing to add there is nothing to do before the device has used a buffer.
    if (count === 0 && (queue.free < 2 || next === buffers) && done < buffers) {
      if (!queue.enableNotifications()) sleep(DRIVER_BELL, seen);
    }
  }
  return queue.counters;
}

function runDevice() {
  Atomics.wait(bell, 2, 0);
  const queue = createDeviceQueue(memory, features, areas);
  const burst = new ChainBurst(memory);
  const answer = new Uint8Array(4);
  const word = new Uint32Array(answer.buffer);
  const order = new Uint32Array(64);
  let expected = 0;
  while (expected < buffers || queue.outstanding > 0) {
    if (below(3) === 0) queue.disableNotifications();
    const seen = Atomics.load(bell, DEVICE_BELL);
    const count = queue.pop(burst, 1 + below(64));
    if (count < 0) throw queue.fault;
    if (count === 0) {
      if (!queue.enableNotifications()) sleep(DEVICE_BELL, seen);
      continue;
    }
    for (let i = 0; i < count; i++) {
      const number = burst.readU32(i, 0);
      if (number !== expected++) throw new Error(`buffer ${number} was made available, not ${expected - 1}`);
      word[0] = ~number;
      burst.copyIn(i, 0, answer, 0, 4);
      order[i] = i;
    }
    if (!inOrder) {
      for (let i = count - 1; i > 0; i--) {
        const j = below(i + 1);
        [order[i], order[j]] = [order[j], order[i]];
      }
    }
    for (let i = 0; i < count; i++) queue.push(burst.heads[order[i]], 4);
    if (queue.flush()) ring(DRIVER_BELL);
  }
  return queue.counters;
}

try {
  parentPort.postMessage({ counters: role === "driver" ? runDriver() : runDevice() });
} catch (error) {
  parentPort.postMessage({ error: `${role}: ${error.message}` });
}
