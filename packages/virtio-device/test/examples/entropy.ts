import { VIRTIO_ID_ENTROPY } from "@virtio-ts/virtio-bindings";
import { QueueWorker, type VirtioDevice } from "@virtio-ts/virtio-device";

/** An entropy device (VIRTIO 1.4, 5.4): fills each buffer of its one queue with `random`. */
export function entropyDevice(random: () => Uint8Array): VirtioDevice {
  let worker: QueueWorker | undefined;
  return {
    deviceType: VIRTIO_ID_ENTROPY,
    queueMaxSizes: [64],
    activate: (context) => {
      worker = new QueueWorker(context, 0, (burst, i) => burst.copyIn(i, 0, random(), 0, burst.writableBytes[i]));
    },
    queueNotify: () => worker?.run(),
    stopQueue: () => {}, // it holds no buffer between its calls: the queue can stop at any time
    reset: () => {
      worker = undefined;
    },
  };
}
