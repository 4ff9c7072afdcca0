/**
 * The README's example for authors of emulators. Its test boots Linux on it.
 *
 * @module
 */

import { UserNetwork } from "@virtio-ts/user-network";
import { nodeHostSockets } from "@virtio-ts/user-network/node";
import { addNic, type Nic, type V86Emulator } from "@virtio-ts/vmm-v86";

/** After v86's event `emulator-loaded`: puts a virtio NIC on its PCI bus, behind it a network with DHCP and NAT. */
export function plugIn(emulator: V86Emulator): Nic {
  const backend = new UserNetwork({ host: nodeHostSockets() });
  return addNic(emulator, { backend });
}
