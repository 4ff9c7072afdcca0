/** The driver's example of the README, on a NIC that sends frames back. */
import { expect, it } from "vitest";
import { NetbufPool, NetDriver, netdevMore, netdevSuccessful } from "../../src/driver/index.ts";
import { frame as someFrame } from "../support/nic.ts";
import { setupLoop } from "./support/loop.ts";

it("the README's example of the driver", async () => {
  const { transport, host, nic } = await setupLoop({ asleep: true });
  const frames: Uint8Array[] = [];
  const frame = someFrame(60);
  const links: boolean[] = [];

  const pool = new NetbufPool(host, { count: 512 }); // buffers in memory that devices reach, each known by a number
  const driver = new NetDriver(transport, host, { onLink: (up) => links.push(up) });
  await driver.probe(); // features, address
  driver.configure(1, 1); // queue pairs, up to driver.info().maxRxQueues
  const txq = driver.txqConfigure(0, 0, { pool }); // 0: as many entries as there can be
  const rxq = driver.rxqConfigure(0, 0, { pool, allocate: pool.allocateInto, onEvent: receive });
  await driver.start();

  function receive(): void {
    let status: number;
    do {
      status = rxq.rxOne(); // interrupts come on when it was the last
      if (!netdevSuccessful(status)) break;
      frames.push(pool.read(rxq.packet)); // or in place: pool.start, pool.lengths, pool.region
      pool.release(rxq.packet);
    } while (netdevMore(status));
  }
  if (rxq.interruptEnable() === 1) receive();

  const send = (): void => {
    const packet = pool.allocate();
    pool.write(packet, frame);
    if (!netdevSuccessful(txq.txOne(packet))) pool.release(packet); // full: it is still ours
  };
  for (let i = 0; i < 1000; i++) send();
  expect(frames).toEqual(new Array(1000).fill(frame));
  nic.linkUp = false;
  expect(links).toEqual([false]);

  await driver.stop(); // buffers are back in the pool; start goes on with the same queues
  expect(pool.available).toBe(512);
  nic.linkUp = true;
  await driver.start();
  if (rxq.interruptEnable() === 1) receive();
  send();
  expect(frames.length).toBe(1001);
});
