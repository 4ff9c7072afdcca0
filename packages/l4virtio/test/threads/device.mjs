/**
 * The device's thread: a NIC whose frames come back to it, each one checked on its way. Plain JavaScript, for a worker
 * loads what was built.
 * @module
 */

import { parentPort, workerData } from "node:worker_threads";
import { L4VirtioDevice } from "@virtio-ts/l4virtio/device";
import { serve, sharedPage } from "@virtio-ts/l4virtio/threads";
import { connect } from "@virtio-ts/net-link";
import { NetDevice } from "@virtio-ts/virtio-net/device";
import { TurnScheduler } from "@virtio-ts/vmm-glue";
import { checkFrame } from "./frames.mjs";

/** Sends back what it gets. */
class Loop {
  accepts = 0;
  frames = 0;
  #peer = null;
  #bytes = new Uint8Array(2048);

  attach(peer) {
    this.#peer = peer;
  }

  detach() {
    this.#peer = null;
  }

  take(burst, first) {
    const end = this.#peer.take(burst, first);
    for (let i = first; i < end; i++) {
      checkFrame(this.#bytes, 0, burst.copyFrame(i, 0, this.#bytes, 0, this.#bytes.length), this.frames);
      this.frames++;
    }
    return end;
  }

  resume() {
    this.#peer.resume();
  }
}

const nic = new NetDevice({ mac: Uint8Array.of(2, 0, 0, 0, 0, 1), features: 1n << 5n });
const loop = new Loop();
connect(nic, loop);
const device = new L4VirtioDevice(nic, {
  scheduler: new TurnScheduler(),
  page: sharedPage(),
  ...workerData.options,
  onFault: (fault) => parentPort.postMessage({ fault: fault.message }),
});
serve(workerData.port, device);
parentPort.on("message", () => {
  parentPort.postMessage({ frames: loop.frames, counters: device.core.counters, status: device.core.status });
});
parentPort.postMessage("ready");
