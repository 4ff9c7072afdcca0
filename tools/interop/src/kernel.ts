/**
 * Whether real guests can be booted on this machine: a kernel is a peer too, which is fetched instead of installed.
 *
 * @module
 */
import { NoKernelError, resolveAssets } from "@virtio-ts/guest";
import { peersRequired } from "./peers.ts";

/**
 * For `describe.runIf`: whether a suite that boots guests should run. The first call on a machine fetches what they
 * are booted from.
 *
 * @throws NoKernelError if peers are required (`VIRTIO_TS_REQUIRE_PEERS=1`) and there is no kernel to be had
 */
export async function hasKernel(): Promise<boolean> {
  try {
    await resolveAssets();
    return true;
  } catch (error) {
    if (peersRequired() || !(error instanceof NoKernelError)) throw error;
    return false;
  }
}
