/**
 * The driver's thread: sends frames to a NIC in another thread, and checks what comes back.
 * @module
 */

import { parentPort, workerData } from "node:worker_threads";
import { L4DriverTransport } from "@virtio-ts/l4virtio/driver";
import { PortIpc } from "@virtio-ts/l4virtio/threads";
import { ProcessHost } from "@virtio-ts/virtio-driver";
import { NETDEV_STATUS_MORE, NetbufPool, NetDriver, PacketBurst } from "@virtio-ts/virtio-net/driver";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { checkFrame, frameLength, writeFrame } from "./frames.mjs";

const { port, frames, connectOptions } = workerData;
const memory = GuestMemory.of(new Uint8Array(new SharedArrayBuffer(4 << 20)));
const host = new ProcessHost(memory);

function failed(cause) {
  parentPort.postMessage({ error: cause.message, name: cause.name, code: cause.code });
  port.close();
}

async function run() {
  const transport = await L4DriverTransport.connect(new PortIpc(port), host, connectOptions);
  const driver = new NetDriver(transport, host, { onFailure: failed });
  await driver.probe();
  driver.configure(1, 1);
  const pool = new NetbufPool(host, { count: 1024 });
  const txq = driver.txqConfigure(0, 0, { pool });
  const rxq = driver.rxqConfigure(0, 0, { pool, allocate: pool.allocateInto, onEvent: () => pump() });
  await driver.start();

  const out = new PacketBurst(64);
  const into = new PacketBurst(64);
  let filled = 0;
  let received = 0;

  function send() {
    for (;;) {
      if (out.next === out.count) {
        out.clear();
        // A ring's worth of buffers is left for what comes back.
        while (filled < frames && out.count < 64 && pool.available > rxq.size) {
          const packet = pool.allocate();
          pool.lengths[packet] = frameLength(filled);
          writeFrame(pool.region.u8, pool.start(packet), filled++);
          out.add(packet);
        }
      }
      if (out.count === 0) return;
      const status = txq.txBurst(out);
      if (status < 0) throw new Error(`sending answered ${status}`);
      if (out.next < out.count) return;
    }
  }

  function receive() {
    for (;;) {
      const status = rxq.rxBurst(into);
      if (status < 0) throw new Error(`receiving answered ${status}`);
      for (let i = 0; i < into.count; i++) {
        const packet = into.packets[i];
        checkFrame(pool.region.u8, pool.start(packet), pool.lengths[packet], received++);
        pool.release(packet);
      }
      if ((status & NETDEV_STATUS_MORE) === 0) return;
    }
  }

  function pump() {
    try {
      do receive();
      while (rxq.interruptEnable() === 1);
      // Last: what is in the ring now, and keeps others out of it, comes back with an interrupt.
      send();
      if (received === frames) void end();
    } catch (cause) {
      failed(cause);
    }
  }

  async function end() {
    rxq.interruptDisable();
    const counters = { rx: rxq.counters, tx: txq.counters };
    await driver.destroy();
    parentPort.postMessage({ received, counters });
    port.close();
  }

  parentPort.postMessage("running");
  pump();
}

run().catch(failed);
