/** Who has a buffer: the pool, its caller, or a ring. And code of the caller's that throws, or comes back in. */
import { describe, expect, it } from "vitest";
import { NO_NETBUF, PacketBurst } from "../../src/index.ts";
import { frame } from "../support/nic.ts";
import { headed, packetOf, type Strict, setupStrict } from "./support/strict.ts";
import { F } from "./support/strict-nic.ts";

const EINVAL = -22;
const SUCCESS = 1;
const MORE = 2;
const UNDERRUN = 4;

/** A running driver whose NIC keeps what it is to send. */
async function holding(options: Parameters<typeof setupStrict>[0] = {}): Promise<Strict> {
  const s = await setupStrict(options);
  s.device.completes = false;
  return s;
}

/** A packet in two buffers. */
function twoParts(s: Strict): [number, number] {
  const packet = packetOf(s.pool, frame(60));
  s.pool.next[packet] = packetOf(s.pool, frame(40));
  return [packet, s.pool.next[packet]];
}

describe("a packet that is in flight", () => {
  it("is refused with EINVAL when it is sent again, and goes out once", async () => {
    const s = await holding();
    const packet = packetOf(s.pool, frame(60));
    expect([s.txqs[0].txOne(packet), s.txqs[0].txOne(packet)]).toEqual([SUCCESS | MORE, EINVAL]);
    s.device.complete();
    expect([s.txqs[0].reclaim(), s.pool.available, s.device.sent.length]).toEqual([0, 64 - 16, 1]);
    await s.driver.destroy();
    s.pool.destroy();
  });

  it("is refused by another queue as well", async () => {
    const s = await holding({ pairs: 2, device: { pairs: 2, features: [F.CTRL_VQ, F.MQ] } });
    const packet = packetOf(s.pool, frame(60));
    expect([s.txqs[0].txOne(packet), s.txqs[1].txOne(packet)]).toEqual([SUCCESS | MORE, EINVAL]);
  });

  it("is refused twice within a burst: the rest stays with the caller", async () => {
    const s = await holding();
    const [a, b] = [packetOf(s.pool, frame(60)), packetOf(s.pool, frame(60, 2))];
    const burst = new PacketBurst().add(a).add(a).add(b);
    expect([s.txqs[0].txBurst(burst), burst.next]).toEqual([SUCCESS | MORE, 1]);
    burst.next = 2;
    expect([s.txqs[0].txBurst(burst), burst.next]).toEqual([SUCCESS | MORE, 3]);
    expect(s.device.sent.map(({ bytes }) => bytes.subarray(12))).toEqual([frame(60), frame(60, 2)]);
  });

  it("is not the caller's to give back, nor is any buffer of it", async () => {
    const s = await holding();
    const [first, second] = twoParts(s);
    expect(s.txqs[0].txOne(first)).toBe(SUCCESS | MORE);
    for (const buffer of [first, second]) {
      expect(() => s.pool.release(buffer)).toThrow(expect.objectContaining({ code: "invalid" }));
      expect(() => s.pool.release(buffer)).toThrow(`buffer ${buffer} is in the ring of a queue`);
      expect([s.pool.isAllocated(buffer), s.pool.isHeld(buffer)]).toEqual([true, false]);
    }
    s.device.complete();
    expect([s.txqs[0].reclaim(), s.pool.available]).toEqual([0, 64 - 16]);
  });

  it("may not be a part of another packet", async () => {
    const s = await holding();
    const [first, second] = twoParts(s);
    expect(s.txqs[0].txOne(first)).toBe(SUCCESS | MORE);
    const other = packetOf(s.pool, frame(60));
    s.pool.next[other] = second;
    expect(s.txqs[0].txOne(other)).toBe(EINVAL);
    s.pool.next[other] = NO_NETBUF;
    expect(s.txqs[0].txOne(other)).toBe(SUCCESS | MORE);
  });

  it("comes back whole when its list of buffers was changed meanwhile, and nothing else with it", async () => {
    const s = await holding();
    const [first, second] = twoParts(s);
    s.txqs[0].txOne(first);
    const bystander = s.pool.allocate();
    s.pool.next[first] = bystander;
    s.pool.next[second] = first;
    s.device.complete();
    expect([s.txqs[0].reclaim(), s.pool.available]).toEqual([0, 64 - 16 - 1]);
    expect([first, second, bystander].map((buffer) => s.pool.isHeld(buffer))).toEqual([false, false, true]);
  });

  it("does not keep the driver from being stopped, started and destroyed, however often it was sent or released", async () => {
    const s = await holding({ device: { features: [F.CTRL_VQ, F.CTRL_RX] } });
    for (let life = 0; life < 3; life++) {
      const [packet] = twoParts(s);
      s.txqs[0].txOne(packet);
      s.txqs[0].txOne(packet);
      expect(() => s.pool.release(packet)).toThrow();
      await s.driver.stop();
      expect(s.pool.available).toBe(64);
      await s.driver.start();
    }
    await s.driver.destroy();
    s.pool.destroy();
    expect(s.host.dma.allocated).toBe(0);
  });
});

describe("a receive buffer in the ring", () => {
  it("can't be given back, or sent", async () => {
    const taken: number[] = [];
    const s = await setupStrict({ upTo: "configured" });
    const allocate = (into: Uint32Array, count: number): number => {
      const given = s.pool.allocateInto(into, count);
      taken.push(...into.subarray(0, given));
      return given;
    };
    s.driver.rxqConfigure(0, 16, { pool: s.pool, allocate });
    const txq = s.driver.txqConfigure(0, 16, { pool: s.pool });
    await s.driver.start();
    s.pool.lengths[taken[3]] = 60;
    expect(txq.txOne(taken[3])).toBe(EINVAL);
    expect(() => s.pool.release(taken[3])).toThrow(expect.objectContaining({ code: "invalid" }));
    await s.driver.stop();
    expect(s.pool.available).toBe(64);
  });

  it("that an allocator gives a second time, or that is none, does not go into the ring", async () => {
    const s = await setupStrict({ upTo: "configured" });
    const twice = s.pool.allocate();
    const allocate = (into: Uint32Array): number => {
      into.set([twice, twice, 1000, 0xffff_ffff]);
      return 4;
    };
    const rxq = s.driver.rxqConfigure(0, 16, { pool: s.pool, allocate });
    s.driver.txqConfigure(0, 16, { pool: s.pool });
    await s.driver.start();
    expect([s.device.buffers(0), rxq.rxOne()]).toEqual([[1548], UNDERRUN]);
    await s.driver.stop();
    expect(s.pool.available).toBe(64);
  });
});

describe("an allocator that throws", () => {
  const failing = async (onEvent?: () => void) => {
    const s = await setupStrict({ upTo: "configured" });
    const fault = { cause: null as Error | null };
    const allocate = (into: Uint32Array, count: number): number => {
      if (fault.cause !== null) throw fault.cause;
      return s.pool.allocateInto(into, count);
    };
    const rxq = s.driver.rxqConfigure(0, 16, { pool: s.pool, allocate, ...(onEvent && { onEvent }) });
    s.driver.txqConfigure(0, 16, { pool: s.pool });
    return { s, rxq, fault };
  };

  it("is one that has no buffers: what was received is handed over, with UNDERRUN, and the cause is there", async () => {
    const { s, rxq, fault } = await failing();
    await s.driver.start();
    expect(rxq.allocateError).toBe(null);
    fault.cause = new Error("out of buffers");
    s.device.deliver(0, headed({}, frame(60)), headed({}, frame(61)));
    expect(rxq.rxOne()).toBe(SUCCESS | MORE | UNDERRUN);
    expect(s.pool.read(rxq.packet)).toEqual(frame(60));
    const burst = new PacketBurst();
    expect([rxq.rxBurst(burst), burst.count]).toEqual([SUCCESS | UNDERRUN, 1]);
    expect(s.pool.read(burst.packets[0])).toEqual(frame(61));
    expect([rxq.allocateError, rxq.counters.underruns]).toEqual([fault.cause, 2]);
    fault.cause = null;
    expect([rxq.rxOne(), s.device.buffers(0).length]).toEqual([0, 16]);
  });

  it("fails the start by its own error, and the next one may do", async () => {
    const { s, fault } = await failing();
    fault.cause = new Error("out of buffers");
    await expect(s.driver.start()).rejects.toBe(fault.cause);
    expect([s.driver.state, s.pool.available]).toEqual([3, 64]);
    fault.cause = null;
    await s.driver.start();
    expect(s.device.buffers(0).length).toBe(16);
  });
});

it("a burst that one queue fills is refused to another that comes in meanwhile: no packet is lost, none twice", async () => {
  const burst = new PacketBurst();
  const statuses: number[] = [];
  const s = await setupStrict({
    pairs: 2,
    ringFeatures: 1n << 32n, // each publication is notified of
    device: { pairs: 2, features: [F.CTRL_VQ, F.MQ] },
    onEvent: (queue) => void statuses.push(queue.rxBurst(burst)),
  });
  s.rxqs[1].interruptEnable();
  // The NIC answers the notification of new buffers in queue 0 by a packet in queue 1.
  s.device.queueNotify = (index) => void (index === 0 && s.device.deliver(1, headed({}, frame(70, 2))));
  s.device.deliver(0, headed({}, frame(60)));
  expect([s.rxqs[0].rxBurst(burst), burst.count]).toEqual([SUCCESS, 1]);
  expect(s.pool.read(burst.packets[0])).toEqual(frame(60));
  expect(statuses).toEqual([EINVAL]);
  expect([s.rxqs[1].rxBurst(burst), burst.count]).toEqual([SUCCESS, 1]);
  expect(s.pool.read(burst.packets[0])).toEqual(frame(70, 2));
});

it("a packet of more buffers than the queue has entries by now is refused with EINVAL", async () => {
  const s = await setupStrict({ upTo: "queues" });
  const { queueMaxSize } = s.transport;
  s.transport.queueMaxSize = (index) => Math.min(4, queueMaxSize.call(s.transport, index));
  await s.driver.start();
  const parts = Array.from({ length: 5 }, () => packetOf(s.pool, frame(20)));
  const chain = (count: number): number => {
    parts.forEach((part, i) => {
      s.pool.next[part] = i + 1 < count ? parts[i + 1] : NO_NETBUF;
    });
    return s.txqs[0].txOne(parts[0]);
  };
  expect([chain(5), s.pool.isHeld(parts[0]), chain(4)]).toEqual([EINVAL, true, SUCCESS | MORE]);
});
