/** Devices that break the rules: each is found out, counted, and costs no buffer. */
import { feature } from "@virtio-ts/virtio-bindings";
import type { DriverError } from "@virtio-ts/virtio-driver";
import { describe, expect, it } from "vitest";
import { NO_NETBUF, PacketBurst } from "../../src/index.ts";
import { frame } from "../support/nic.ts";
import { forgeUsed } from "./support/forge.ts";
import { headed, packetOf, type Strict, setupStrict } from "./support/strict.ts";
import { F } from "./support/strict-nic.ts";

const EINVAL = -22;
const EIO = -5;
const MERGED = { features: [F.MRG_RXBUF] };

/** After everything a driver that is stopped has all its buffers, and works when it is started again. */
async function comesBack(s: Strict): Promise<void> {
  await s.driver.stop();
  expect(s.pool.available).toBe(s.pool.count);
  await s.driver.start();
  s.device.deliver(0, headed({}, frame(60, 9)));
  expect(s.rxqs[0].rxOne()).toBe(1);
  expect(s.pool.read(s.rxqs[0].packet)).toEqual(frame(60, 9));
  expect(s.txqs[0].txOne(s.rxqs[0].packet)).toBe(3);
}

describe("a used length", () => {
  it.each([0, 1, 11, 12, 12 + 13])(
    "of %i bytes: the packet is dropped, its buffer returned, and the next one comes",
    async (length) => {
      const s = await setupStrict();
      s.device.deliver(0, [headed({}, frame(60)), length], headed({}, frame(60, 2)));
      expect([s.rxqs[0].rxOne(), s.rxqs[0].packet]).toEqual([EINVAL, NO_NETBUF]);
      expect(s.rxqs[0].counters).toMatchObject({ packets: 0, badLength: 1 });
      expect([s.pool.available, s.device.buffers(0).length]).toEqual([48, 15]);
      expect(s.rxqs[0].rxOne()).toBe(1);
      expect(s.pool.read(s.rxqs[0].packet)).toEqual(frame(60, 2));
    },
  );

  it.each([1549, 0xffff_ffff])("of %i bytes, more than the buffer has, is the end of the device", async (length) => {
    const failures: DriverError[] = [];
    const s = await setupStrict({ onFailure: (cause) => failures.push(cause) });
    forgeUsed(s, 0, 0, length);
    expect([s.rxqs[0].rxOne(), s.rxqs[0].rxOne()]).toEqual([EIO, EIO]);
    expect(failures.map(({ code }) => code)).toEqual(["needs-reset"]);
    expect(s.core.status & 128).toBe(128);
    const packet = packetOf(s.pool, frame(60));
    expect(s.txqs[0].txOne(packet)).toBe(EIO);
    s.pool.release(packet);
    await comesBack(s);
  });

  it("of a legacy device, which may set it at will, is cut to what the buffer has", async () => {
    const s = await setupStrict({ legacy: true });
    forgeUsed(s, 0, 0, 99_999);
    expect(s.rxqs[0].rxOne()).toBe(1);
    expect(s.pool.lengths[s.rxqs[0].packet]).toBe(1536);
  });

  it("within a burst drops what is bad and keeps what is good", async () => {
    const s = await setupStrict();
    const good = (seed: number): Uint8Array => headed({}, frame(60, seed));
    s.device.deliver(0, good(1), [good(2), 5], good(3), [good(4), 20], [good(5), 0], good(6));
    const burst = new PacketBurst();
    expect([s.rxqs[0].rxBurst(burst), burst.count]).toEqual([1, 3]);
    expect([0, 1, 2].map((i) => s.pool.read(burst.packets[i]))).toEqual([1, 3, 6].map((seed) => frame(60, seed)));
    expect(s.rxqs[0].counters).toMatchObject({ packets: 3, badLength: 3 });
    expect(s.pool.available).toBe(64 - 16 - 3);
  });
});

it("a packet shorter than its header has none: what is left of an older one is not believed", async () => {
  const s = await setupStrict({ device: MERGED });
  s.device.deliver(0, [headed({ numBuffers: 2 }, frame(60)), 11], headed({}, frame(60, 2)));
  expect([s.rxqs[0].rxOne(), s.rxqs[0].rxOne()]).toEqual([EINVAL, 1]);
  expect(s.pool.read(s.rxqs[0].packet)).toEqual(frame(60, 2));
});

describe("num_buffers", () => {
  it.each([
    ["0", 0, 1],
    ["more than were used", 3, 2],
    ["more than the ring has", 17, 2],
    ["65535", 0xffff, 2],
  ])("of %s: the packet is dropped with all it took", async (_, numBuffers, used) => {
    const s = await setupStrict({ device: MERGED });
    s.device.deliver(0, ...Array.from({ length: used }, () => headed({ numBuffers }, frame(60))));
    expect([s.rxqs[0].rxOne(), s.rxqs[0].packet]).toEqual([EINVAL, NO_NETBUF]);
    expect(s.rxqs[0].counters).toMatchObject({ packets: 0, badBuffers: 1 });
    expect(s.pool.available).toBe(64 - 16);
    s.device.deliver(0, headed({}, frame(60, 2)));
    expect(s.rxqs[0].rxOne()).toBe(1);
  });

  it("without MRG_RXBUF means nothing", async () => {
    const s = await setupStrict();
    s.device.deliver(0, headed({ numBuffers: 7 }, frame(60)), headed({ numBuffers: 0 }, frame(60)));
    expect([s.rxqs[0].rxOne(), s.rxqs[0].rxOne()]).toEqual([3, 1]);
  });

  it("that adds up to more than any frame has: dropped", async () => {
    const s = await setupStrict({ device: { ...MERGED, size: 64 }, buffers: 80 });
    const full = headed({ numBuffers: 43 }, frame(1536));
    s.device.deliver(0, ...new Array<Uint8Array>(43).fill(full));
    expect([s.rxqs[0].rxOne(), s.pool.available]).toEqual([EINVAL, 80 - 64]);
    expect(s.rxqs[0].counters.badLength).toBe(1);
    s.device.deliver(0, ...new Array<Uint8Array>(42).fill(headed({ numBuffers: 42 }, frame(1536))));
    expect(s.rxqs[0].rxOne() & 1).toBe(1);
    expect(s.pool.packetLength(s.rxqs[0].packet)).toBe(42 * 1548 - 12);
  });

  it("that adds up to an IP packet of 64 KiB behind two VLAN tags: received", async () => {
    const s = await setupStrict({ device: { ...MERGED, size: 2 }, buffers: 4, capacity: 66_000 });
    s.device.deliver(0, headed({ numBuffers: 1 }, frame(65_557)));
    expect([s.rxqs[0].rxOne() & 1, s.pool.packetLength(s.rxqs[0].packet)]).toEqual([1, 65_557]);
    s.device.deliver(0, headed({ numBuffers: 1 }, frame(65_558)));
    expect([s.rxqs[0].rxOne(), s.rxqs[0].counters.badLength]).toEqual([EINVAL, 1]);
  });

  it("and the buffers behind the first may be empty, to no harm", async () => {
    const s = await setupStrict({ device: MERGED });
    s.device.deliver(0, headed({ numBuffers: 3 }, frame(60)), [new Uint8Array(1), 0], [new Uint8Array(1), 0]);
    expect(s.rxqs[0].rxOne()).toBe(1);
    expect(s.pool.read(s.rxqs[0].packet)).toEqual(frame(60));
    s.pool.release(s.rxqs[0].packet);
    expect(s.pool.available).toBe(64 - 16);
  });
});

describe("a used element", () => {
  it.each([
    ["of no descriptor", 0, (s: Strict) => forgeUsed(s, 0, 16, 72)],
    ["of no descriptor at all", 0, (s: Strict) => forgeUsed(s, 0, 0xffff_ffff, 72)],
    ["used twice", 1, (s: Strict) => [forgeUsed(s, 0, 3, 72), forgeUsed(s, 0, 3, 72)]],
    ["ahead of what was given", 0, (s: Strict) => forgeUsed(s, 0, 0, 72, 17)],
  ])("%s: nothing goes on before a reset, and no buffer is lost", async (_, good, forge) => {
    const s = await setupStrict();
    forge(s);
    const burst = new PacketBurst();
    const { length } = [s.rxqs[0].rxBurst(burst)].filter((status) => status === 3);
    expect([length, burst.count]).toEqual([good, good]);
    expect(s.rxqs[0].rxOne()).toBe(EIO);
    if (good > 0) s.pool.release(burst.packets[0]);
    await comesBack(s);
  });

  it("of a transmit queue, likewise", async () => {
    const s = await setupStrict();
    s.device.completes = false;
    s.txqs[0].txOne(packetOf(s.pool, frame(60)));
    forgeUsed(s, 1, 5, 0);
    const packet = packetOf(s.pool, frame(60));
    expect([s.txqs[0].txOne(packet), s.rxqs[0].rxOne()]).toEqual([EIO, EIO]);
    s.pool.release(packet);
    await comesBack(s);
  });

  it("of a transmit queue is found out by a burst of no packets as well", async () => {
    const s = await setupStrict();
    forgeUsed(s, 1, 5, 0);
    expect(s.txqs[0].txBurst(new PacketBurst())).toBe(EIO);
    await comesBack(s);
  });

  it("of a transmit queue that says bytes were written, likewise", async () => {
    const s = await setupStrict();
    s.device.completes = false;
    s.txqs[0].txOne(packetOf(s.pool, frame(60)));
    forgeUsed(s, 1, 0, 1);
    expect(s.txqs[0].reclaim()).toBe(1);
    expect(s.rxqs[0].rxOne()).toBe(EIO);
    s.device.completes = true;
    await comesBack(s);
  });

  it("of packets before a fault: they are delivered first", async () => {
    const s = await setupStrict();
    s.device.deliver(0, headed({}, frame(60)));
    forgeUsed(s, 0, 77, 72);
    const burst = new PacketBurst();
    expect([s.rxqs[0].rxBurst(burst), burst.count]).toEqual([3, 1]);
    expect([s.rxqs[0].rxBurst(burst), burst.count]).toEqual([EIO, 0]);
    s.pool.release(burst.packets[0]);
  });
});

describe("a device", () => {
  it("that asks for a reset: packets are answered with EIO, the user is told once, and a restart helps", async () => {
    const failures: DriverError[] = [];
    const s = await setupStrict({ onFailure: (cause) => failures.push(cause) });
    s.device.context?.fail(new Error("broken") as never);
    expect(failures.map(({ code, errno }) => [code, errno])).toEqual([["needs-reset", "EIO"]]);
    expect([s.rxqs[0].rxOne(), s.rxqs[0].rxBurst(new PacketBurst())]).toEqual([EIO, EIO]);
    await expect(async () => s.rxqs[0].interruptEnable()).rejects.toMatchObject({ errno: "EINVAL" });
    await comesBack(s);
    expect(failures.length).toBe(1);
  });

  it("that is gone in the middle of traffic: a command ends, and so does the driver", async () => {
    const device = { features: [F.MAC, F.CTRL_VQ, F.CTRL_RX] };
    const failures: DriverError[] = [];
    const s = await setupStrict({ device, onFailure: (cause) => failures.push(cause) });
    s.device.completes = false;
    for (let i = 0; i < 5; i++) s.txqs[0].txOne(packetOf(s.pool, frame(60)));
    s.transport.readStatus = () => 0xff;
    s.transport.readConfig = (_, width) => 2 ** (8 * width) - 1;
    s.transport.notify = () => {};
    const setting = expect(s.driver.setPromiscuous(true)).rejects.toMatchObject({ code: "device-gone" });
    s.device.context?.configChanged();
    await setting;
    expect(failures.map(({ code, errno }) => [code, errno])).toEqual([["device-gone", "ENXIO"]]);
    expect(s.rxqs[0].rxOne()).toBe(EIO);
    await s.driver.destroy();
    expect([s.driver.state, s.pool.available]).toEqual([0, 64]);
    s.pool.destroy();
    expect(s.host.dma.allocated).toBe(0);
  });

  it("that does not finish its reset keeps its buffers until it does", async () => {
    const s = await setupStrict();
    const { reset } = s.transport;
    s.transport.reset = () => Promise.reject(Object.assign(new Error("no"), { code: "timeout" }));
    await expect(s.driver.stop()).rejects.toMatchObject({ code: "timeout" });
    expect([s.driver.state, s.pool.available, s.rxqs[0].rxOne()]).toEqual([3, 48, EINVAL]);
    await expect(s.driver.start()).rejects.toMatchObject({ code: "timeout" });
    expect(s.pool.available).toBe(48);
    s.transport.reset = reset;
    await s.driver.start();
    expect([s.driver.state, s.pool.available]).toEqual([4, 48]);
    await comesBack(s);
  });

  it("that fails at its first notification is not started", async () => {
    const s = await setupStrict({ upTo: "queues" });
    const { queueNotify } = s.device;
    s.device.queueNotify = () => s.device.context?.fail(new Error("broken") as never);
    await expect(s.driver.start()).rejects.toMatchObject({ code: "needs-reset" });
    expect([s.driver.state, s.core.status, s.pool.available]).toEqual([3, 0, 64]);
    s.device.queueNotify = queueNotify;
    await s.driver.start();
    await comesBack(s);
  });

  it("that is none is told so: ENODEV", async () => {
    const s = await setupStrict({ upTo: "unprobed" });
    (s.transport as { deviceType: number }).deviceType = 2;
    await expect(s.driver.probe()).rejects.toMatchObject({ code: "bad-device", errno: "ENODEV" });
    expect([s.driver.state, s.device.resets]).toEqual([1, 0]);
  });

  it("that offers queues of a size there can't be is refused", async () => {
    for (const max of [0, -1]) {
      const s = await setupStrict({ upTo: "configured" });
      s.transport.queueMaxSize = () => max;
      expect(() => s.driver.rxqInfo(0)).toThrow(expect.objectContaining({ errno: "EINVAL" }));
    }
    const s = await setupStrict({ upTo: "configured" });
    s.transport.queueMaxSize = () => 100_000;
    expect(s.driver.rxqInfo(0)).toMatchObject({ max: 32768 });
    s.transport.queueMaxSize = () => 100;
    expect(s.driver.rxqInfo(0)).toMatchObject({ max: 64 });
  });

  it("that has larger queues at its next start is refused", async () => {
    const s = await setupStrict({ legacy: true });
    await s.driver.stop();
    const { queueMaxSize } = s.transport;
    s.transport.queueMaxSize = () => 32;
    await expect(s.driver.start()).rejects.toMatchObject({ code: "refused" });
    s.transport.queueMaxSize = queueMaxSize;
    expect(s.pool.available).toBe(64);
  });

  it("that offers nothing is no modern device: EFAULT", async () => {
    const s = await setupStrict({ ringFeatures: feature(29), upTo: "unprobed" });
    await expect(s.driver.probe()).rejects.toMatchObject({ code: "no-version-1", errno: "EFAULT" });
    expect(s.driver.state).toBe(1);
  });
});
