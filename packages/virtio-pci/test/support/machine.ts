/**
 * A machine with a PCI bus, ports, memory-mapped I/O and messages: just enough to see what a function does to it.
 * @module
 */

import { ManualScheduler } from "@virtio-ts/virtio-device/testing";
import type { AccessWidth, PciBar, PciFunction, PciHost } from "@virtio-ts/vm-device";
import { GuestMemory } from "@virtio-ts/vm-memory";

/** Bytes of guest memory, from address 0. */
export const MEMORY_SIZE = 0x1_0000;

/** One slot of the bus: the pin's level, the messages sent, where BARs are. */
export class Slot implements PciHost {
  level = false;
  /** How often the pin went up. */
  edges = 0;
  readonly messages: (readonly [address: number, data: number])[] = [];
  readonly places = new Map<PciBar, number>();
  readonly intx = {
    raise: (): void => {
      if (!this.level) this.edges++;
      this.level = true;
    },
    lower: (): void => {
      this.level = false;
    },
  };
  readonly msi: PciHost["msi"];

  constructor(messages: boolean) {
    this.msi = messages ? { send: (address, data) => void this.messages.push([address, data]) } : null;
  }

  barMoved(bar: PciBar, address: number | null): void {
    if (address === null) this.places.delete(bar);
    else this.places.set(bar, address);
  }
}

/** The machine. */
export class Machine {
  readonly bytes = new Uint8Array(MEMORY_SIZE);
  readonly memory: GuestMemory = GuestMemory.of(this.bytes);
  readonly scheduler = new ManualScheduler();
  readonly slots: Slot[] = [];
  /** Where the guest puts the next BAR. */
  nextPort = 0xc000;
  nextMemory = 0xe000_0000;

  /** Plugs a function into a slot of its own. */
  plug(fn: PciFunction, messages = true): Slot {
    const slot = new Slot(messages);
    this.slots.push(slot);
    fn.plug(slot);
    return slot;
  }

  /** A read of ports or memory-mapped I/O. Where nothing is, all ones. */
  read(io: boolean, address: number, width: AccessWidth): number {
    const hit = this.#find(io, address, width);
    return hit === null ? 2 ** (8 * width) - 1 : hit.bar.block.read(address - hit.start, width);
  }

  /** A write to ports or memory-mapped I/O. */
  write(io: boolean, address: number, width: AccessWidth, value: number): void {
    const hit = this.#find(io, address, width);
    hit?.bar.block.write(address - hit.start, width, value);
  }

  #find(io: boolean, address: number, width: number): { bar: PciBar; start: number } | null {
    for (const slot of this.slots) {
      for (const [bar, start] of slot.places) {
        if ((bar.kind === "io") !== io) continue;
        if (address >= start && address + width <= start + bar.size) return { bar, start };
      }
    }
    return null;
  }
}
