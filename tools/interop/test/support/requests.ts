/** One request at a time to a device of any type: what the driver library alone can do. */
import { type DriverDevice, type Virtqueue, waitFor } from "@virtio-ts/virtio-driver";
import { BufferElements } from "@virtio-ts/virtio-queue";

/** A buffer's parts: bytes for the device to read, and how many it may write. */
export interface Request {
  readonly read?: readonly Uint8Array[];
  readonly write?: readonly number[];
}

/** What the device wrote, part by part as long as they were offered, and the length it says it wrote. */
export interface Answer {
  readonly parts: readonly Uint8Array[];
  readonly length: number;
}

/** Lays a request out in memory, and makes it available. @returns waits until the device has used it */
export async function send(
  device: DriverDevice,
  queue: Virtqueue<number>,
  request: Request,
): Promise<() => Promise<Answer>> {
  const { memory, dma, clock } = device.host;
  const elements = new BufferElements();
  const addresses = (request.read ?? []).map((bytes) => {
    const address = dma.allocate(bytes.length, 16);
    memory.write(address, bytes);
    elements.readable(address, bytes.length);
    return address;
  });
  const places = (request.write ?? []).map((length) => {
    const address = dma.allocate(length, 16);
    elements.writable(address, length);
    return { address, length };
  });
  await queue.enqueue(elements, 0);
  queue.notify();
  return async () => {
    let used = queue.dequeue();
    await waitFor(clock, "the device's answer", () => {
      if (typeof used === "number") used = queue.dequeue();
      return typeof used !== "number";
    });
    if (typeof used === "number") throw new Error("no answer");
    const parts = places.map(({ address, length }) => {
      const bytes = new Uint8Array(length);
      memory.read(address, bytes);
      return bytes;
    });
    for (const address of [...addresses, ...places.map((place) => place.address)]) dma.free(address);
    return { parts, length: used.length };
  };
}

/** {@link send}, and wait for the answer. */
export async function ask(device: DriverDevice, queue: Virtqueue<number>, request: Request): Promise<Answer> {
  return (await send(device, queue, request))();
}
