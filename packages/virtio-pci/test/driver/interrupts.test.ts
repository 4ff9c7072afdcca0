import { FlexibleDevice, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { DriverDevice, DriverError } from "@virtio-ts/virtio-driver";
import { describe, expect, it } from "vitest";
import { connect, type Driven, ISR, onBus, STRUCTURES, start, written } from "../support/driven.ts";
import { type Access, DriverBus } from "../support/driver-bus.ts";

const CONFIG_VECTOR = 16;
const QUEUE_VECTOR = 26;

/** Brings a device with `queues` queues to life. @returns what the driver is told from then on */
async function listen(driven: Driven, legacy = false): Promise<string[]> {
  const told: string[] = [];
  const queues = driven.device.queueMaxSizes.length;
  const transport = connect(driven, legacy ? { interface: "legacy" } : {});
  const driver = await DriverDevice.open(transport, driven.bus.host);
  await driver.negotiate();
  await driver.bindInterrupts(queues);
  driver.onConfigChange = () => void told.push("config");
  for (let index = 0; index < queues; index++) {
    await driver.createQueue(index, { onUsed: () => void told.push(`queue ${index}`) });
  }
  await driver.start();
  driven.bus.clear();
  return told;
}

/** The device uses a buffer of a queue, as far as its driver can tell. */
function use(driven: Driven, index: number): void {
  driven.device.context?.queues[index]?.notifier.notify();
}

/** Where message control of MSI-X is. */
function messageControl({ fn }: Driven): number {
  const { bytes } = fn.space;
  return ([...bytes.keys()].find((at) => at >= 0x40 && bytes[at] === 0x11) as number) + 2;
}

const messagesOn = (driven: Driven): boolean => (driven.fn.configRead(messageControl(driven), 2) & 0x8000) !== 0;

const three = () => new FlexibleDevice({ deviceType: 4, queues: [4, 4, 4] });
const isr = (accesses: readonly Access[]) => accesses.filter(({ bar, offset }) => bar === STRUCTURES && offset === ISR);

describe("message-signalled interrupts (4.1.5.1.2)", () => {
  it("give each queue and the configuration a vector of its own", async () => {
    const driven = onBus({}, three());
    const told = await listen(driven);
    for (const index of [2, 0, 1]) use(driven, index);
    driven.device.context?.configChanged();
    expect(told).toEqual(["queue 2", "queue 0", "queue 1", "config"]);
  });

  it.each([
    [1, [0], [0, 0, 0]],
    [2, [0], [1, 1, 1]],
    [3, [0], [1, 1, 1]],
    [4, [0], [1, 2, 3]],
    [2048, [0], [1, 2, 3]],
  ])(
    "make do with a table of %s vectors, and map to none outside it [pci.driver.msi-x-vector-configuration.1] [pci.driver.msi-x-vector-configuration.3] [pci.driver.msi-x-vector-configuration.4]",
    async (vectors, config, queues) => {
      const driven = onBus({ vectors }, three());
      const mapped = (field: number) => written(driven.bus, field);
      const clear = driven.bus.clear.bind(driven.bus);
      driven.bus.clear = () => {};
      const told = await listen(driven);
      expect(mapped(CONFIG_VECTOR)).toEqual(config);
      expect(mapped(QUEUE_VECTOR)).toEqual(queues);
      for (const vector of [...mapped(CONFIG_VECTOR), ...mapped(QUEUE_VECTOR)]) expect(vector).toBeLessThan(vectors);
      clear();
      use(driven, 1);
      expect(told).toContain("queue 1");
      driven.device.context?.configChanged();
      expect(told).toContain("config");
    },
  );

  it("may be one for everything: then everything is looked at [pci.driver.notification-of-device-configuration-changes.1]", async () => {
    const driven = onBus({ vectors: 1 }, three());
    const told = await listen(driven);
    use(driven, 1);
    expect(told).toEqual(["config", "queue 0", "queue 1", "queue 2"]);
  });

  it("leave ISR status alone [pci.driver.isr-status-capability.1]", async () => {
    const driven = onBus({}, three());
    const told = await listen(driven);
    use(driven, 1);
    driven.device.context?.configChanged();
    expect(told).toEqual(["queue 1", "config"]);
    expect(isr(driven.bus.accesses)).toEqual([]);
  });

  it.each([CONFIG_VECTOR, QUEUE_VECTOR])(
    "that are not mapped are found out by reading back at %s, and end in an error [pci.driver.msi-x-vector-configuration.5] [pci.driver.msi-x-vector-configuration.6]",
    async (field) => {
      const driven = onBus({}, three());
      driven.bus.onRead = ({ bar, offset, value }) => (bar === STRUCTURES && offset === field ? 0xffff : value);
      const driver = await DriverDevice.open(connect(driven), driven.bus.host);
      await driver.negotiate();
      const bound = driver.bindInterrupts(3).then(() => driver.createQueue(0));
      await expect(bound).rejects.toMatchObject({ code: "refused", errno: "EIO" });
      expect(driver.failure?.code).toBe("refused");
      await driver.close();
      expect(driven.bus.host.dma.allocated).toBe(0);
      expect(driven.bus.host.messages.allocate(() => {})?.data).toBe(0);
    },
  );

  it("are fewer where the host has fewer, and the pin where it has none", async () => {
    for (const [messages, expected] of [
      [3, ["queue 0", "queue 1", "queue 2"]],
      [1, ["config", "queue 0", "queue 1", "queue 2"]],
      [0, ["queue 0", "queue 1", "queue 2"]],
    ] as const) {
      const driven = onBus({}, three(), new DriverBus(messages));
      const told = await listen(driven);
      use(driven, 1);
      expect(told).toEqual(expected);
      expect(driven.bus.host.lines.stuck).toBe(0);
    }
  });

  it("of queues that are not in a row are theirs all the same", async () => {
    const driven = onBus({}, new RecordingDevice({ deviceType: 4, queues: [4, 4, 4, 4, 4] }));
    const driver = await DriverDevice.open(connect(driven), driven.bus.host);
    await driver.negotiate();
    await driver.bindInterrupts(2);
    const told: number[] = [];
    for (const index of [4, 2]) await driver.createQueue(index, { onUsed: () => void told.push(index) });
    await driver.start();
    expect(written(driven.bus, QUEUE_VECTOR)).toEqual([1, 2]);
    use(driven, 2);
    use(driven, 4);
    expect(told).toEqual([2, 4]);
    await driver.close();
  });

  it("that lie outside their BAR are not used: the pin is", async () => {
    const driven = onBus({}, three());
    const at = messageControl(driven);
    driven.bus.onConfigRead = ({ offset, width, value }) => (offset === at + 2 && width === 4 ? 0x0f_fff1 : value);
    const told = await listen(driven);
    use(driven, 1);
    expect(told).toEqual(["queue 0", "queue 1", "queue 2"]);
    expect(driven.bus.configAccesses.some(({ write, offset }) => write && offset === at)).toBe(false);
  });

  it("end with the driver", async () => {
    const driven = onBus({}, three());
    const driver = await start(driven);
    const { context } = driven.device;
    expect(messagesOn(driven)).toBe(true);
    await driver.close();
    expect(messagesOn(driven)).toBe(false);
    context?.queues[0]?.notifier.notify();
    expect(driven.bus.host.messages.strays).toBe(0);
    expect(driven.bus.host.messages.allocate(() => {})?.data).toBe(0);
  });

  it("are given back and taken again by a driver that starts anew", async () => {
    const driven = onBus({}, three(), new DriverBus(4));
    for (let life = 0; life < 3; life++) await (await start(driven)).close();
    expect(driven.bus.host.messages.strays).toBe(0);
  });
});

describe("messages that firmware left on (PCI 3.0, 6.8.2)", () => {
  it("are off before the pin is used, which is dead while they are on", async () => {
    const driven = onBus({}, three(), new DriverBus(0));
    driven.fn.configWrite(messageControl(driven), 2, 0x8000);
    const told = await listen(driven);
    use(driven, 1);
    expect(told).toEqual(["queue 0", "queue 1", "queue 2"]);
  });

  it("do not move the configuration that a legacy driver reads", () => {
    const driven = onBus({ mode: "legacy" });
    driven.device.config.bytes.set([1, 2, 3, 4]);
    driven.fn.configWrite(messageControl(driven), 2, 0x8000);
    expect(connect(driven).readConfig(0, 4)).toBe(0x0403_0201);
  });
});

describe("the interrupt pin (4.1.5.3, 4.1.5.4)", () => {
  it("leads to every queue, after ISR status said so", async () => {
    const driven = onBus({ interrupt: "intx" }, three());
    const told = await listen(driven);
    use(driven, 1);
    expect(told).toEqual(["queue 0", "queue 1", "queue 2"]);
    expect(isr(driven.bus.accesses).length).toBe(1);
    expect(driven.bus.host.lines.stuck).toBe(0);
  });

  it("leads to the configuration, and to both where both have changed [pci.driver.notification-of-device-configuration-changes.1]", async () => {
    const driven = onBus({ interrupt: "intx" }, three());
    const told = await listen(driven);
    driven.device.context?.configChanged();
    expect(told).toEqual(["config"]);
    told.length = 0;
    driven.bus.onRead = ({ bar, offset, value }) => (bar === STRUCTURES && offset === ISR ? value | 3 : value);
    use(driven, 1);
    expect(told).toEqual(["config", "queue 0", "queue 1", "queue 2"]);
  });

  it("needs no vectors: a device without MSI-X need not have their registers (4.1.5.1.2)", async () => {
    const driven = onBus({ interrupt: "intx" }, three());
    driven.bus.onRead = ({ bar, offset, value }) =>
      bar === STRUCTURES && (offset === CONFIG_VECTOR || offset === QUEUE_VECTOR) ? 0 : value;
    const driver = await start(driven);
    for (const field of [CONFIG_VECTOR, QUEUE_VECTOR]) expect(written(driven.bus, field)).toEqual([]);
    await driver.close();
  });

  it("that another device on the line holds down leads nowhere", async () => {
    const driven = onBus({ interrupt: "intx" }, three());
    const told = await listen(driven);
    driven.bus.host.lines.connect(11, () => driven.bus.host.lines.setLevel(11, false));
    driven.bus.host.lines.setLevel(11, true);
    expect(told).toEqual([]);
  });

  it("is switched on where firmware had it off", async () => {
    const driven = onBus({ interrupt: "intx" }, three());
    driven.fn.configWrite(4, 2, 0x0400);
    const told = await listen(driven);
    use(driven, 0);
    expect(told.length).toBe(3);
  });

  it("is on the line that the machine says, rather than the one noted in the register", async () => {
    const driven = onBus({ interrupt: "intx" }, three());
    const asked: number[][] = [];
    const lineOf = (device: number, pin: number): number => {
      asked.push([device, pin]);
      return 11;
    };
    driven.fn.configWrite(0x3c, 1, 5);
    const driver = await start(driven, { lineOf });
    expect(asked).toEqual([[3, 1]]);
    await driver.close();
  });

  it("is off while messages are used, and once the driver is gone: others may be on its line", async () => {
    for (const interrupt of ["msix", "intx"] as const) {
      const driven = onBus({ interrupt }, three());
      const disabled = (): boolean => (driven.fn.configRead(4, 2) & 0x0400) !== 0;
      const driver = await start(driven);
      expect(disabled()).toBe(interrupt === "msix");
      await driver.close();
      expect(disabled()).toBe(true);
    }
  });

  it("is not missed by a queue that is enabled once nobody is told any more", async () => {
    const driven = onBus({}, three());
    const transport = connect(driven);
    await transport.bindInterrupts({ used: () => {}, configChanged: () => {} }, 3);
    transport.unbindInterrupts();
    driven.bus.clear();
    await transport.enableQueue(0, { size: 4, descriptorArea: 0x1000, driverArea: 0x2000, deviceArea: 0x3000 });
    expect([transport.queueEnabled(0), written(driven.bus, QUEUE_VECTOR)]).toEqual([true, []]);
  });

  it("that is wired nowhere makes a device that can't interrupt, and that is refused", async () => {
    for (const [register, value] of [
      [0x3c, 0xff],
      [0x3d, 0],
    ] as const) {
      const driven = onBus({ interrupt: "intx" }, three());
      driven.bus.onConfigRead = (access) => (access.offset === register && access.width === 1 ? value : access.value);
      await expect(start(driven)).rejects.toMatchObject({ code: "refused" });
    }
    const driven = onBus({ interrupt: "intx" }, three());
    await expect(start(driven, { lineOf: () => null })).rejects.toBeInstanceOf(DriverError);
  });
});
