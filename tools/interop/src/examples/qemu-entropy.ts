/**
 * The README's example for users of the driver library, on QEMU's virtio-rng, without a guest.
 *
 * @module
 */

import { VIRTIO_ID_ENTROPY } from "@virtio-ts/virtio-bindings";
import { findDevice } from "../qemu/finders.ts";
import { QemuMachine } from "../qemu/machine.ts";
import { readEntropy } from "./read-entropy.ts";

/** Starts a QEMU with the device on its PCI bus, and reads from it. */
export async function entropyFromQemu(length: number): Promise<Uint8Array> {
  const machine = await QemuMachine.start("q35", ["-device", "virtio-rng-pci"]);
  try {
    return await readEntropy(findDevice(machine, VIRTIO_ID_ENTROPY), machine.host, length);
  } finally {
    await machine.close();
  }
}
