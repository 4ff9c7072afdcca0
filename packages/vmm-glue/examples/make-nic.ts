/**
 * A network card by one call, as the seL4 VMM support library makes one.
 * @module
 */

import type { Machine } from "@virtio-ts/vmm-glue";
import { IoPortList, makeVirtioNet, type VirtioNet, virtioNetDefaultBackend } from "@virtio-ts/vmm-glue/sel4";

/** @param sent told of each frame that the guest sends */
export function makeNic(vm: Machine, sent: (frame: Uint8Array) => void): VirtioNet {
  return makeVirtioNet({
    vm,
    pci: vm.pci,
    ioports: new IoPortList(0x9000, vm.ports),
    ioportRange: { start: 0, end: 0, size: 0x400 },
    portType: "free",
    interruptPin: 1,
    interruptLine: 11,
    backend: {
      ...virtioNetDefaultBackend(),
      lowLevelInit: () => ({ mac: Uint8Array.of(2, 0, 0x5e, 0x14, 0, 0x42), mtu: 1500 }),
      tx: (_driver, [frame]) => {
        sent(frame);
        return "complete";
      },
      handleIRQ: () => {},
    },
  });
}
