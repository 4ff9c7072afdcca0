/**
 * The README's example for users of the driver library: reads random numbers from an entropy device.
 *
 * @module
 */

import { DriverDevice, type DriverHost, type DriverTransport } from "@virtio-ts/virtio-driver";
import { BufferElements, QUEUE_EMPTY, QUEUE_MALFORMED } from "@virtio-ts/virtio-queue";

/** Reads up to `length` bytes from an entropy device (VIRTIO 1.4, 5.4), whatever transport it is on. */
export async function readEntropy(transport: DriverTransport, host: DriverHost, length: number): Promise<Uint8Array> {
  const device = await DriverDevice.open(transport, host); // reset, ACKNOWLEDGE, DRIVER
  await device.negotiate(); // features, FEATURES_OK
  await device.bindInterrupts(1);
  const queue = await device.createQueue<string>(0);
  await device.start(); // DRIVER_OK

  const address = host.dma.allocate(length, 16);
  await queue.enqueue(new BufferElements().writable(address, length), "what this request is to us");
  queue.notify();
  let used = queue.dequeue();
  for (; used === QUEUE_EMPTY; used = queue.dequeue()) await host.clock.sleep(1);
  if (used === QUEUE_MALFORMED) throw device.failure;
  const bytes = new Uint8Array(used.length);
  host.memory.read(address, bytes);

  await device.close(); // reset: from now on the memory is ours again
  host.dma.free(address);
  return bytes;
}
