/** The life cycle of uknetdev: its states, and every call and refusal of its table. */
import { DriverError } from "@virtio-ts/virtio-driver";
import { describe, expect, it } from "vitest";
import {
  NETDEV_CONFIGURED,
  NETDEV_EINVAL,
  NETDEV_EIO,
  NETDEV_INVALID,
  NETDEV_RUNNING,
  NETDEV_UNCONFIGURED,
  NETDEV_UNPROBED,
  type NetDriver,
  NetdevList,
  netdevMore,
  netdevSuccessful,
} from "../../src/index.ts";
import { frame } from "../support/nic.ts";
import { headed, packetOf, type Strict, setupStrict } from "./support/strict.ts";
import { F, STRICT_MAC } from "./support/strict-nic.ts";

const MULTI = { features: [F.MAC, F.STATUS, F.CTRL_VQ, F.MQ], pairs: 4 };

/** The errno that a call is refused with. */
async function errnoOf(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (cause) {
    if (cause instanceof DriverError) return cause.errno;
    throw cause;
  }
  return "none";
}

function rx(s: Strict) {
  return { pool: s.pool, allocate: s.pool.allocateInto };
}

describe("the states", () => {
  it("are INVALID 0, UNPROBED 1, UNCONFIGURED 2, CONFIGURED 3, RUNNING 4", () => {
    expect([NETDEV_INVALID, NETDEV_UNPROBED, NETDEV_UNCONFIGURED, NETDEV_CONFIGURED, NETDEV_RUNNING]).toEqual([
      0, 1, 2, 3, 4,
    ]);
  });

  it("follow each other by probe, configure, queue configuration and start", async () => {
    const s = await setupStrict({ upTo: "unprobed" });
    expect([s.driver.state, s.core.status]).toEqual([1, 0]);
    await s.driver.probe();
    expect([s.driver.state, s.core.status]).toEqual([2, 11]);
    s.driver.configure(1, 1);
    expect(s.driver.state).toBe(3);
    s.driver.txqConfigure(0, 0, { pool: s.pool });
    s.driver.rxqConfigure(0, 0, rx(s));
    expect([s.driver.state, s.core.status]).toEqual([3, 11]);
    await s.driver.start();
    expect([s.driver.state, s.core.status]).toEqual([4, 15]);
    await s.driver.stop();
    expect([s.driver.state, s.core.status]).toEqual([3, 0]);
    await s.driver.destroy();
    expect(s.driver.state).toBe(0);
  });

  it.each(["unprobed", "unconfigured", "configured", "queues", "running"] as const)(
    "are all left by destroy, and the device is reset: from %s",
    async (upTo) => {
      const s = await setupStrict({ upTo });
      await s.driver.destroy();
      expect([s.driver.state, s.core.status, s.pool.available]).toEqual([0, 0, 64]);
      s.pool.destroy();
      expect(s.host.dma.allocated).toBe(0);
      await s.driver.destroy();
      expect(s.driver.state).toBe(0);
    },
  );

  const calls: Record<string, (s: Strict) => unknown> = {
    probe: (s) => s.driver.probe(),
    configure: (s) => s.driver.configure(1, 1),
    txqConfigure: (s) => s.driver.txqConfigure(0, 0, { pool: s.pool }),
    rxqConfigure: (s) => s.driver.rxqConfigure(0, 0, rx(s)),
    start: (s) => s.driver.start(),
    stop: (s) => s.driver.stop(),
    info: (s) => s.driver.info(),
    einfo: (s) => s.driver.einfo(),
    rxqInfo: (s) => s.driver.rxqInfo(0),
    txqInfo: (s) => s.driver.txqInfo(0),
    setHwaddr: (s) => s.driver.setHwaddr(Uint8Array.of(2, 0, 0, 0, 0, 1)),
    setMtu: (s) => s.driver.setMtu(1000),
    setPromiscuous: (s) => s.driver.setPromiscuous(true),
  };
  it.each([
    [
      "unprobed",
      [
        "configure",
        "txqConfigure",
        "rxqConfigure",
        "start",
        "stop",
        "info",
        "einfo",
        "rxqInfo",
        "txqInfo",
        "setHwaddr",
        "setMtu",
        "setPromiscuous",
      ],
    ],
    ["unconfigured", ["probe", "txqConfigure", "rxqConfigure", "start", "stop"]],
    ["configured", ["probe", "configure", "start", "stop"]],
    ["running", ["probe", "configure", "txqConfigure", "rxqConfigure", "start"]],
  ] as const)("%s refuses other calls with EINVAL, and stays as it is", async (upTo, refused) => {
    const device = { features: [F.MAC, F.CTRL_VQ, F.CTRL_RX, F.CTRL_MAC_ADDR] };
    const seen: string[] = [];
    for (const [name, call] of Object.entries(calls)) {
      const s = await setupStrict({ upTo, device });
      const before = s.driver.state;
      if ((await errnoOf(() => call(s))) !== "EINVAL") continue;
      seen.push(name);
      expect(s.driver.state).toBe(before);
    }
    expect(seen).toEqual(Object.keys(calls).filter((name) => (refused as readonly string[]).includes(name)));
  });

  it("INVALID refuses all", async () => {
    for (const call of Object.values(calls)) {
      const s = await setupStrict();
      await s.driver.destroy();
      expect(await errnoOf(() => call(s))).toBe("EINVAL");
    }
  });

  it("are left by one call at a time: EBUSY", async () => {
    const s = await setupStrict({ upTo: "queues" });
    const starting = s.driver.start();
    expect(await errnoOf(() => s.driver.start())).toBe("EBUSY");
    expect(await errnoOf(() => s.driver.destroy())).toBe("EBUSY");
    await starting;
    expect(s.driver.state).toBe(4);
  });
});

it.each([
  [0, false, false],
  [1, true, false],
  [3, true, true],
  [4, false, false],
  [7, true, true],
  [NETDEV_EINVAL, false, false],
  [NETDEV_EIO, false, false],
])("an answer of %i is a success: %s, and one with more: %s", (status, successful, more) => {
  expect([netdevSuccessful(status), netdevMore(status)]).toEqual([successful, more]);
});

describe("drv_register", () => {
  it("numbers network devices from 0, and finds them by their number", async () => {
    const list = new NetdevList();
    const [a, b] = [(await setupStrict()).driver, (await setupStrict()).driver];
    expect([list.register(a), list.register(b), list.count]).toEqual([0, 1, 2]);
    expect([list.get(0), list.get(1), list.get(2)]).toEqual([a, b, null]);
  });

  it("refuses one that lacks a mandatory operation, and one that is there already", async () => {
    const list = new NetdevList();
    const { driver } = await setupStrict();
    const lame = { ...driver, start: undefined } as unknown as NetDriver;
    expect(await errnoOf(() => list.register(lame))).toBe("EINVAL");
    list.register(driver);
    expect(await errnoOf(() => list.register(driver))).toBe("EINVAL");
    expect(list.count).toBe(1);
  });

  it("refuses the 65537th: ENOMEM", async () => {
    const list = new NetdevList();
    const { driver } = await setupStrict();
    const seen = new Set<number>();
    for (let i = 0; i < 65536; i++) seen.add(list.register(Object.create(driver) as NetDriver));
    expect(seen.size).toBe(65536);
    expect(await errnoOf(() => list.register(driver))).toBe("ENOMEM");
  });
});

describe("info_get and einfo_get", () => {
  it("tell what can be had", async () => {
    const { driver } = await setupStrict({ upTo: "unconfigured", device: { ...MULTI, size: 128 } });
    expect(driver.info()).toEqual({
      maxRxQueues: 4,
      maxTxQueues: 4,
      maxMtu: 1500,
      minMtu: 68,
      alignment: 1,
      txHeadroom: 12,
      rxHeadroom: 12,
      rxInterrupts: true,
      txOffloads: 0,
      rxOffloads: 0,
    });
    expect([driver.rxqInfo(3), driver.txqInfo(0)]).toEqual([
      { min: 1, max: 128, powerOfTwo: true },
      { min: 1, max: 128, powerOfTwo: true },
    ]);
    expect(driver.einfo()).toMatchObject({ headerSize: 12, macGiven: true, linkUp: true, speed: null, duplex: null });
  });

  it("tell of offloads, and of the largest MTU", async () => {
    const features = [F.CSUM, F.GUEST_CSUM, F.HOST_TSO4, F.GUEST_TSO6, F.MRG_RXBUF, F.MTU];
    const { driver } = await setupStrict({ upTo: "unconfigured", device: { features, config: { 10: [0x28, 0x23] } } });
    expect(driver.info()).toMatchObject({ maxMtu: 9000, txOffloads: 1 | 2, rxOffloads: 1 | 4 });
    expect(driver.mtu).toBe(9000);
  });

  it.each([
    [[0x10, 0x27, 0, 0], 1, 10_000, "full"],
    [[0xff, 0xff, 0xff, 0x7f], 0, 0x7fff_ffff, "half"],
    [[0, 0, 0, 0x80], 2, null, null],
    [[0xff, 0xff, 0xff, 0xff], 0xff, null, null],
  ])(
    "a speed of %j and a duplex of %i are told, or unknown [net.driver.device-configuration-layout.10]",
    async (speed, duplex, mbps, mode) => {
      const device = { features: [F.SPEED_DUPLEX], config: { 12: speed, 16: [duplex] } };
      const { driver } = await setupStrict({ upTo: "unconfigured", device });
      expect(driver.einfo()).toMatchObject({ speed: mbps, duplex: mode });
    },
  );

  it.each([
    [12, null, null],
    [15, null, null],
    [16, 10_000, null],
    [17, 10_000, "full"],
  ])(
    "of a configuration space of %i bytes a speed of %s and a duplex of %s are known",
    async (configSize, speed, duplex) => {
      const device = { features: [F.SPEED_DUPLEX], configSize };
      const { driver } = await setupStrict({ upTo: "unconfigured", device });
      expect(driver.einfo()).toMatchObject({ speed, duplex });
    },
  );

  it("speed and duplex are read anew after a change [net.driver.device-configuration-layout.11]", async () => {
    const { driver, device } = await setupStrict({ device: { features: [F.SPEED_DUPLEX] } });
    expect(driver.einfo()).toMatchObject({ speed: 10_000, duplex: "full" });
    device.config.bytes.set([100, 0, 0, 0, 0], 12);
    device.context?.configChanged();
    expect(driver.einfo()).toMatchObject({ speed: 100, duplex: "half" });
  });
});

describe("configure", () => {
  it.each([
    [0, 0],
    [5, 5],
    [1, 5],
    [-1, -1],
    [1.5, 1.5],
    [Number.NaN, 1],
  ])("refuses %d receive and %d transmit queues of 4 with EINVAL", async (rxQueues, txQueues) => {
    const { driver } = await setupStrict({ upTo: "unconfigured", device: MULTI });
    expect(await errnoOf(() => driver.configure(rxQueues, txQueues))).toBe("EINVAL");
    expect(driver.state).toBe(2);
  });

  it("refuses queues that are no pairs with ENOTSUP", async () => {
    const { driver } = await setupStrict({ upTo: "unconfigured", device: MULTI });
    expect(await errnoOf(() => driver.configure(2, 1))).toBe("ENOTSUP");
    expect(driver.state).toBe(2);
  });
});

describe("rxq_configure and txq_configure", () => {
  const both = [
    ["rxq", (s: Strict, id: number, entries: number) => s.driver.rxqConfigure(id, entries, rx(s))],
    ["txq", (s: Strict, id: number, entries: number) => s.driver.txqConfigure(id, entries, { pool: s.pool })],
  ] as const;
  describe.each(both)("%s", (_, configure) => {
    it.each([
      [0, 16],
      [1, 1],
      [2, 2],
      [16, 16],
    ])("takes %i entries as %i of at most 16", async (entries, size) => {
      const s = await setupStrict({ upTo: "configured", device: { features: [F.MRG_RXBUF] }, capacity: 2048 });
      const queue = configure(s, 0, entries);
      expect([queue.id, queue.size, queue.pool]).toEqual([0, size, s.pool]);
    });

    it.each([
      [17, "ENOBUFS"],
      [32, "ENOBUFS"],
      [3, "EINVAL"],
      [15, "EINVAL"],
      [-1, "EINVAL"],
      [1.5, "EINVAL"],
    ])("refuses %d entries of at most 16 with %s, and can be tried again", async (entries, errno) => {
      const s = await setupStrict({ upTo: "configured" });
      expect(await errnoOf(() => configure(s, 0, entries))).toBe(errno);
      expect(configure(s, 0, 16).size).toBe(16);
    });

    it.each([[-1], [2], [1.5], [Number.NaN]])("refuses queue %d of 2 with EINVAL", async (id) => {
      const s = await setupStrict({ upTo: "configured", device: MULTI, pairs: 2 });
      expect(await errnoOf(() => configure(s, id, 0))).toBe("EINVAL");
    });

    it("refuses a queue that is set up already with EBUSY", async () => {
      const s = await setupStrict({ upTo: "configured" });
      configure(s, 0, 16);
      expect(await errnoOf(() => configure(s, 0, 16))).toBe("EBUSY");
    });
  });

  it("rxq_info and txq_info refuse a queue there is not with EINVAL", async () => {
    const { driver } = await setupStrict({ upTo: "configured" });
    for (const id of [-1, 1, 0.5]) {
      expect(await errnoOf(() => driver.rxqInfo(id))).toBe("EINVAL");
      expect(await errnoOf(() => driver.txqInfo(id))).toBe("EINVAL");
    }
  });

  it("of a device that has one entry have one", async () => {
    const device = { features: [F.MRG_RXBUF], size: 1 };
    const s = await setupStrict({ upTo: "configured", device, capacity: 2048 });
    expect(s.driver.rxqInfo(0)).toEqual({ min: 1, max: 1, powerOfTwo: true });
    for (const [, configure] of both) expect(configure(s, 0, 0).size).toBe(1);
  });

  it("of a legacy device have as many entries as it says", async () => {
    const s = await setupStrict({ upTo: "configured", legacy: true });
    expect(s.driver.rxqInfo(0)).toEqual({ min: 16, max: 16, powerOfTwo: true });
    for (const [, configure] of both) expect(await errnoOf(() => configure(s, 0, 8))).toBe("EINVAL");
    for (const [, configure] of both) expect(configure(s, 0, 0).size).toBe(16);
  });

  it("a receive queue needs alloc_rxpkts", async () => {
    const s = await setupStrict({ upTo: "configured" });
    const options = { pool: s.pool } as unknown as ReturnType<typeof rx>;
    expect(await errnoOf(() => s.driver.rxqConfigure(0, 0, options))).toBe("EINVAL");
  });
});

describe("start", () => {
  it.each(["receive", "transmit"])("refuses while only the %s queue is set up", async (which) => {
    const s = await setupStrict({ upTo: "configured" });
    if (which === "receive") s.driver.rxqConfigure(0, 0, rx(s));
    else s.driver.txqConfigure(0, 0, { pool: s.pool });
    expect(await errnoOf(() => s.driver.start())).toBe("EINVAL");
    expect([s.driver.state, s.core.status]).toEqual([3, 11]);
  });

  it("leaves interrupts off, and makes receive buffers available", async () => {
    const s = await setupStrict({ ringFeatures: 1n << 32n });
    const [rxq, txq] = s.core.queues;
    expect([rxq, txq].map((queue) => s.memory.readU16(queue.address(1)))).toEqual([1, 1]); // NO_INTERRUPT
    expect(s.device.buffers(0)).toEqual(new Array(16).fill(1548));
  });

  it("sends no notification before DRIVER_OK", async () => {
    const s = await setupStrict({ upTo: "queues" });
    const kicks: number[] = [];
    const notify = s.transport.notify.bind(s.transport);
    s.transport.notify = (index) => {
      kicks.push(s.core.status);
      notify(index);
    };
    await s.driver.start();
    expect(kicks).toEqual([15]);
  });

  it.each([
    ["the queue is not taken", "enableQueue"],
    ["interrupts are refused", "bindInterrupts"],
  ] as const)("that fails, for %s, leaves all as before and can be tried again", async (_, method) => {
    const s = await setupStrict({ upTo: "queues" });
    const blocks = s.host.dma.allocated;
    const { available } = s.pool;
    const works = s.transport[method];
    s.transport[method] = () => Promise.reject(new DriverError("refused", "no"));
    expect(await errnoOf(() => s.driver.start())).toBe("EIO");
    expect([s.driver.state, s.host.dma.allocated, s.pool.available]).toEqual([3, blocks, available]);
    expect(s.core.status).toBe(0);
    s.transport[method] = works as never;
    await s.driver.start();
    s.device.deliver(0, headed({}, frame(60)));
    expect(s.rxqs[0].rxOne()).toBe(1);
  });
});

describe("stop and start", () => {
  it("again and again gives back what was taken, and frames flow each time", async () => {
    const s = await setupStrict({ upTo: "queues" });
    const blocks = s.host.dma.allocated;
    for (let i = 0; i < 20; i++) {
      await s.driver.start();
      expect(s.pool.available).toBe(64 - 16);
      s.device.deliver(0, headed({}, frame(60, i)));
      expect(s.rxqs[0].rxOne()).toBe(1);
      expect(s.pool.read(s.rxqs[0].packet)).toEqual(frame(60, i));
      expect(s.txqs[0].txOne(s.rxqs[0].packet)).toBe(3);
      expect(s.device.sent.pop()?.bytes.subarray(12)).toEqual(frame(60, i));
      await s.driver.stop();
      expect([s.pool.available, s.host.dma.allocated]).toEqual([64, blocks]);
    }
    expect(s.rxqs[0].counters.packets).toBe(20);
    expect(s.device.problems).toEqual([]);
  });

  it("gives back but once what the device had", async () => {
    const s = await setupStrict();
    s.device.completes = false;
    expect(s.txqs[0].txOne(packetOf(s.pool, frame(60)))).toBe(3);
    await s.driver.stop();
    const all = new Uint32Array(64);
    expect(s.pool.allocateInto(all, 64)).toBe(64);
    await s.driver.start();
    expect(s.rxqs[0].rxOne()).toBe(4);
    await s.driver.stop();
    expect(s.pool.available).toBe(0);
    s.pool.releaseAll(all, 64);
    expect(s.pool.available).toBe(64);
  });

  it("while stopped, packets are refused and stay with the caller", async () => {
    const s = await setupStrict();
    await s.driver.stop();
    const packet = packetOf(s.pool, frame(60));
    expect([s.txqs[0].txOne(packet), s.rxqs[0].rxOne(), s.txqs[0].reclaim()]).toEqual([-22, -22, 0]);
    s.pool.release(packet);
    expect(s.pool.available).toBe(64);
    expect(await errnoOf(() => s.rxqs[0].interruptEnable())).toBe("EINVAL");
    expect(await errnoOf(() => s.rxqs[0].interruptDisable())).toBe("EINVAL");
  });

  it.each([
    ["queue pairs", 8, 2],
    ["MTU", 10, 1400],
  ])("a NIC that has another number of %s afterwards is refused", async (_, offset, value) => {
    const s = await setupStrict({ device: { features: [F.MAC, F.MTU, F.CTRL_VQ, F.MQ], pairs: 4 } });
    await s.driver.stop();
    s.device.config.view.setUint16(offset, value, true);
    expect(await errnoOf(() => s.driver.start())).toBe("EIO");
    expect([s.driver.state, s.pool.available]).toEqual([3, 64]);
  });

  it("a NIC that is another one afterwards is refused", async () => {
    const s = await setupStrict({ device: { features: [F.MAC, F.MRG_RXBUF] } });
    await s.driver.stop();
    (s.core.features as { offered: bigint }).offered &= ~(1n << 15n);
    expect(await errnoOf(() => s.driver.start())).toBe("EIO");
    expect([s.driver.state, s.pool.available]).toEqual([3, 64]);
  });
});

describe("hwaddr, mtu and promiscuous mode", () => {
  it("are six zeros, 0 and off before the NIC was probed, and can't be set", async () => {
    const { driver } = await setupStrict({ upTo: "unprobed" });
    expect([[...driver.hwaddr], driver.mtu, driver.promiscuous]).toEqual([[0, 0, 0, 0, 0, 0], 0, false]);
    expect(await errnoOf(() => driver.setHwaddr(Uint8Array.of(2, 0, 0, 0, 0, 7)))).toBe("EINVAL");
    expect(await errnoOf(() => driver.setMtu(1500))).toBe("EINVAL");
    expect(await errnoOf(() => driver.setPromiscuous(true))).toBe("EINVAL");
    expect(await errnoOf(() => driver.einfo())).toBe("EINVAL");
  });

  it("set the physical address to mac [net.driver.device-configuration-layout.3]", async () => {
    const { driver } = await setupStrict({ upTo: "unconfigured" });
    expect([...driver.hwaddr]).toEqual(STRICT_MAC);
    driver.hwaddr[0] = 0xff;
    expect([...driver.hwaddr]).toEqual(STRICT_MAC);
  });

  it("is a locally administered one where the device has none [net.driver.device-configuration-layout.4]", async () => {
    const macs = new Set<string>();
    for (let i = 0; i < 8; i++) {
      const { driver } = await setupStrict({ upTo: "unconfigured", device: { features: [] } });
      expect(driver.hwaddr.length).toBe(6);
      expect(driver.hwaddr[0] & 3).toBe(2);
      expect(driver.einfo().macGiven).toBe(false);
      macs.add(driver.hwaddr.join());
    }
    expect(macs.size).toBe(8);
  });

  it("set are ENOTSUP where the device can't", async () => {
    const s = await setupStrict();
    expect(await errnoOf(() => s.driver.setHwaddr(Uint8Array.of(2, 0, 0, 0, 0, 1)))).toBe("ENOTSUP");
    expect(await errnoOf(() => s.driver.setPromiscuous(true))).toBe("ENOTSUP");
    expect([[...s.driver.hwaddr], s.driver.promiscuous]).toEqual([STRICT_MAC, false]);
  });

  it("an address is not set where a legacy device has none in its configuration", async () => {
    const s = await setupStrict({ legacy: true, device: { features: [F.STATUS] } });
    expect(await errnoOf(() => s.driver.setHwaddr(Uint8Array.of(2, 0, 0, 0, 0, 1)))).toBe("ENOTSUP");
    expect(s.device.configWrites).toEqual([]);
  });

  it.each([[[]], [[2, 0, 0, 0, 0]], [[3, 0, 0, 0, 0, 1]], [[0, 0, 0, 0, 0, 0]]])(
    "an address of %j is EINVAL",
    async (mac) => {
      const s = await setupStrict({ device: { features: [F.MAC, F.CTRL_VQ, F.CTRL_RX, F.CTRL_MAC_ADDR] } });
      s.device.commands.length = 0;
      expect(await errnoOf(() => s.driver.setHwaddr(Uint8Array.from(mac)))).toBe("EINVAL");
      expect(s.device.commands).toEqual([]);
    },
  );

  it.each([[67], [1501], [1000.5], [Number.NaN]])("an MTU of %d is EINVAL", async (mtu) => {
    const s = await setupStrict();
    expect(await errnoOf(() => s.driver.setMtu(mtu))).toBe("EINVAL");
    expect(s.driver.mtu).toBe(1500);
  });

  it("an MTU that was set limits what is sent", async () => {
    const s = await setupStrict();
    s.driver.setMtu(68);
    const packet = packetOf(s.pool, frame(83));
    expect(s.txqs[0].txOne(packet)).toBe(-22);
    s.driver.setMtu(69);
    expect(s.txqs[0].txOne(packet)).toBe(3);
    s.driver.setMtu(1500);
    expect(s.driver.mtu).toBe(1500);
  });
});
