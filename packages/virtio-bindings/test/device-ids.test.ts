import { expect, test } from "vitest";
import * as ids from "../src/index.ts";

test.each([
  // VIRTIO 1.4, 5 Device Types.
  ["NET", ids.VIRTIO_ID_NET, 1],
  ["BLOCK", ids.VIRTIO_ID_BLOCK, 2],
  ["CONSOLE", ids.VIRTIO_ID_CONSOLE, 3],
  ["RNG", ids.VIRTIO_ID_ENTROPY, 4],
  ["BALLOON", ids.VIRTIO_ID_BALLOON, 5],
  ["RPMSG", ids.VIRTIO_ID_RPMSG, 7],
  ["SCSI", ids.VIRTIO_ID_SCSI, 8],
  ["9P", ids.VIRTIO_ID_9P, 9],
  ["RPROC_SERIAL", ids.VIRTIO_ID_RPROC_SERIAL, 11],
  ["CAIF", ids.VIRTIO_ID_CAIF, 12],
  ["GPU", ids.VIRTIO_ID_GPU, 16],
  ["INPUT", ids.VIRTIO_ID_INPUT, 18],
  ["VSOCK", ids.VIRTIO_ID_VSOCK, 19],
  ["CRYPTO", ids.VIRTIO_ID_CRYPTO, 20],
  // L4Re's own.
  ["SOCK", ids.L4VIRTIO_ID_SOCK, 0x9999],
])("the device that L4Re calls L4VIRTIO_ID_%s has id %i", (_, id, value) => {
  expect(id).toBe(value);
});

test("the devices that L4Re has no name for have the standard's ids", () => {
  const { VIRTIO_ID_MEM, VIRTIO_ID_SOUND, VIRTIO_ID_FS, VIRTIO_ID_PMEM } = ids;
  expect([VIRTIO_ID_MEM, VIRTIO_ID_SOUND, VIRTIO_ID_FS, VIRTIO_ID_PMEM]).toEqual([24, 25, 26, 27]);
});
