/**
 * v86's own virtio-net as one end of a link, so that the peer meets the same backends as ours.
 *
 * @module
 */

import type { Emulator } from "@virtio-ts/guest";
import { FrameBurst, type NetBackend, type NetPort } from "@virtio-ts/net-link";

/** The built-in NIC, outside of the guest. It accepts no offloads, and has no way to say that it has room again. */
export class BuiltinNic implements NetBackend {
  readonly accepts: number = 0;
  readonly #emulator: Emulator;
  readonly #burst = new FrameBurst(1);
  #peer: NetPort | null = null;
  #polling = false;

  constructor(emulator: Emulator) {
    this.#emulator = emulator;
    emulator.add_listener("net0-send", (frame) => {
      this.#burst.clear();
      this.#burst.addFrame(frame);
      this.#peer?.take(this.#burst, 0);
    });
  }

  attach(peer: NetPort): void {
    this.#peer = peer;
  }

  detach(): void {
    this.#peer = null;
  }

  resume(): void {}

  take(burst: FrameBurst, first: number): number {
    const queue = this.#emulator.v86.cpu.devices.virtio_net.virtio.queues[0] as { has_request(): boolean };
    for (let i = first; i < burst.count; i++) {
      if (!queue.has_request()) {
        this.#poll(queue);
        return i;
      }
      // What it is given it copies once more, with a header in front.
      const frame = new Uint8Array(burst.lengths[i]);
      burst.copyFrame(i, 0, frame, 0, frame.length);
      this.#emulator.bus.send("net0-receive", frame);
    }
    return burst.count;
  }

  #poll(queue: { has_request(): boolean }): void {
    if (this.#polling) return;
    this.#polling = true;
    const look = (): void => {
      if (this.#peer !== null && !queue.has_request()) {
        setImmediate(look);
        return;
      }
      this.#polling = false;
      this.#peer?.resume();
    };
    setImmediate(look);
  }
}
