/** Defects known of Unikraft's virtio-net, each shown not to be here. */
import { VIRTIO_ID_NET } from "@virtio-ts/virtio-bindings";
import { connectFirst, DriverError, ProcessHost } from "@virtio-ts/virtio-driver";
import { PciConfigPorts, PciFinder } from "@virtio-ts/virtio-pci/driver";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { Machine, onPci } from "@virtio-ts/vmm-glue";
import { expect, it } from "vitest";
import { NETDEV_CONFIGURED, NETDEV_UNCONFIGURED, NetDevice, NO_NETBUF } from "../../src/index.ts";
import { DriverRig } from "../../src/testing/index.ts";
import { frame } from "../support/nic.ts";
import { forgeUsed } from "./support/forge.ts";
import { headed, packetOf, setupStrict } from "./support/strict.ts";
import { F, STRICT_MAC } from "./support/strict-nic.ts";

it("MTU read from the MAC's offset", async () => {
  const device = { features: [F.MAC, F.MTU], config: { 10: [0x94, 0x05] } };
  const { driver } = await setupStrict({ upTo: "unconfigured", device });
  expect([driver.mtu, driver.info().maxMtu]).toEqual([1428, 1428]);
  expect([...driver.hwaddr]).toEqual(STRICT_MAC);
});

it("GUEST_ANNOUNCE set without being offered", async () => {
  const onAnnounce = (): void => {};
  for (const [features, accepted] of [
    [[F.MAC], 0n],
    [[F.CTRL_VQ], 0n],
    [[F.GUEST_ANNOUNCE], 0n],
    [[F.CTRL_VQ, F.GUEST_ANNOUNCE], 1n << 21n],
  ] as const) {
    const s = await setupStrict({ upTo: "unconfigured", device: { features }, onAnnounce });
    expect(s.core.negotiated & (1n << 21n)).toBe(accepted);
  }
});

it("FEATURES_OK not read back", async () => {
  const s = await setupStrict({ upTo: "unprobed" });
  const { readStatus } = s.transport;
  s.transport.readStatus = () => readStatus.call(s.transport) & ~8;
  await expect(s.driver.probe()).rejects.toMatchObject({ code: "features-refused", errno: "ENOTSUP" });
  expect([s.driver.state, s.core.status]).toEqual([1, 0]);
  s.transport.readStatus = readStatus;
  await s.driver.probe();
  expect(s.driver.state).toBe(NETDEV_UNCONFIGURED);
});

it.each([
  ["receive", 0],
  ["transmit", 1],
])("used.id unchecked, of a %s queue", async (_, index) => {
  const s = await setupStrict();
  s.device.completes = false;
  s.txqs[0].txOne(packetOf(s.pool, frame(60)));
  forgeUsed(s, index, 1000, 72);
  const packet = packetOf(s.pool, frame(60));
  const status = index === 0 ? s.rxqs[0].rxOne() : s.txqs[0].txOne(packet);
  expect(status).toBe(-5);
  s.pool.release(packet);
  await s.driver.stop();
  expect(s.pool.available).toBe(64);
});

it("a receive buffer of invalid length leaks", async () => {
  const s = await setupStrict();
  for (let i = 0; i < 1000; i++) {
    s.device.deliver(0, [headed({}, frame(60)), i % 26]);
    expect([s.rxqs[0].rxOne(), s.rxqs[0].packet]).toEqual([-22, NO_NETBUF]);
  }
  expect(s.rxqs[0].counters.badLength).toBe(1000);
  expect([s.pool.available, s.device.buffers(0).length]).toEqual([48, 16]);
});

it.each([
  ["a good packet", 1, 1],
  ["a bad one", 2, -22],
])("SUCCESS without a packet on a race: %s comes after the queue was looked at", async (_, seed, expected) => {
  const s = await setupStrict({ ringFeatures: 1n << 32n, onEvent: () => {}, buffers: 16 });
  const [rxq] = s.rxqs;
  s.device.deliver(0, headed({}, frame(60)));
  expect(rxq.rxOne()).toBe(1 | 4);
  const held = rxq.packet;
  expect(rxq.interruptEnable()).toBe(0);
  s.device.context?.queues[0]?.notifier.notify(); // for nothing: interrupts are wanted, and off
  s.pool.release(held);
  const { notify } = s.transport;
  s.transport.notify = (index) => {
    s.transport.notify = notify;
    expect(index).toBe(0);
    s.device.deliver(0, seed === 1 ? headed({}, frame(60, seed)) : [headed({}, frame(60)), 5]);
  };
  expect([rxq.rxOne(), rxq.packet !== NO_NETBUF]).toEqual([expected === 1 ? 1 | 4 : expected, expected === 1]);
  if (expected === 1) expect(s.pool.read(rxq.packet)).toEqual(frame(60, seed));
});

it("statistics count each chain element", async () => {
  const s = await setupStrict({ device: { features: [F.MRG_RXBUF] } });
  const parts = [20, 20, 20].map((length) => packetOf(s.pool, frame(length)));
  s.pool.next[parts[0]] = parts[1];
  s.pool.next[parts[1]] = parts[2];
  s.txqs[0].txOne(parts[0]);
  expect(s.txqs[0].counters).toMatchObject({ packets: 1, bytes: 60 });
  s.device.deliver(0, headed({ numBuffers: 2 }, frame(60)), frame(40));
  s.rxqs[0].rxOne();
  expect(s.rxqs[0].counters).toMatchObject({ packets: 1, bytes: 100 });
});

it("one queue pair only", async () => {
  const s = await setupStrict({ device: { features: [F.CTRL_VQ, F.MQ], pairs: 8 }, pairs: 8, buffers: 256 });
  expect(s.driver.info().maxRxQueues).toBe(8);
  for (let pair = 0; pair < 8; pair++) {
    s.device.deliver(pair, headed({}, frame(60, pair)));
    expect(s.rxqs[pair].rxOne()).toBe(1);
    expect(s.txqs[pair].txOne(s.rxqs[pair].packet)).toBe(3);
  }
  expect(s.device.sent.map(({ pair, bytes }) => [pair, bytes.subarray(12)])).toEqual(
    Array.from({ length: 8 }, (_, pair) => [pair, frame(60, pair)]),
  );
  expect(s.device.problems).toEqual([]);
});

it("legacy PCI without MSI", async () => {
  const memory = GuestMemory.of(new Uint8Array(0x80_0000));
  const host = new ProcessHost(memory, { messages: 16 });
  const machine = new Machine({ memory, controller: host.lines, msi: host.messages });
  const nic = new NetDevice();
  nic.attach(nic);
  machine.devices.add("net0", nic, onPci(machine, { mode: "transitional", interrupt: "msix" }));
  const { ports, mmio } = machine;
  const finder = new PciFinder(host, { ports, mmio, config: new PciConfigPorts(ports), interface: "legacy" });
  const transport = connectFirst([finder], VIRTIO_ID_NET);
  const rig = await new DriverRig(transport, host).start();
  let lines = 0;
  host.lines.setLevel = () => void lines++;
  rig.loopChecked(1000, [60, 1514]);
  expect([transport.legacy, transport.readIsr(), lines, host.messages.strays]).toEqual([true, 0, 0, 0]);
  await rig.end();
});

it("a failed configure leaves state behind", async () => {
  const s = await setupStrict({ upTo: "unconfigured", device: { features: [F.CTRL_VQ, F.MQ], pairs: 2 } });
  expect(() => s.driver.configure(3, 3)).toThrow(DriverError);
  expect(s.driver.state).toBe(NETDEV_UNCONFIGURED);
  s.driver.configure(1, 1);
  const allocate = s.pool.allocateInto;
  expect(() => s.driver.rxqConfigure(0, 32, { pool: s.pool, allocate })).toThrow(DriverError);
  expect(() => s.driver.rxqConfigure(1, 16, { pool: s.pool, allocate })).toThrow(DriverError);
  expect(s.pool.available).toBe(64);
  s.driver.rxqConfigure(0, 16, { pool: s.pool, allocate });
  s.driver.txqConfigure(0, 16, { pool: s.pool });
  const { allocate: dma } = s.host.dma;
  const blocks = s.host.dma.allocated;
  for (let works = 0; works < 3; works++) {
    let left = works;
    s.host.dma.allocate = (...args) => {
      if (left-- > 0) return dma.apply(s.host.dma, args);
      throw new DriverError("no-memory", "none is left");
    };
    await expect(s.driver.start()).rejects.toMatchObject({ errno: "ENOMEM" });
    expect([s.driver.state, s.host.dma.allocated, s.pool.available]).toEqual([NETDEV_CONFIGURED, blocks, 64]);
  }
  s.host.dma.allocate = dma;
  await s.driver.start();
  expect(s.pool.available).toBe(48);
});
