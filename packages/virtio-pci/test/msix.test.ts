import { RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { describe, expect, it } from "vitest";
import { VirtioPciDevice } from "../src/index.ts";
import { COMMON, ISR } from "./support/guest.ts";
import { Machine } from "./support/machine.ts";
import { type Setup, setup } from "./support/setup.ts";

const ADDRESS = 0xfee0_1000;

/** Three vectors, programmed; queue 0 on vector 1, queue 1 on 2, configuration on 0. */
function live(options: Parameters<typeof setup>[0] = {}): Setup {
  const s = setup(options);
  const { guest } = s;
  guest.setMsix(true);
  for (const vector of [0, 1, 2]) guest.setVector(vector, ADDRESS + 16 * vector, 0x40 + vector);
  guest.negotiate();
  guest.setQueue(0);
  guest.setQueue(1);
  mapQueue(s, 0, 1);
  mapQueue(s, 1, 2);
  guest.write(COMMON, 16, 2, 0);
  guest.status = 15;
  return s;
}

function mapQueue({ guest }: Setup, queue: number, vector: number): number {
  guest.select(queue);
  guest.write(COMMON, 26, 2, vector);
  return guest.read(COMMON, 26, 2);
}

function mapConfig({ guest }: Setup, vector: number): number {
  guest.write(COMMON, 16, 2, vector);
  return guest.read(COMMON, 16, 2);
}

const useQueue = ({ device }: Setup, queue = 0) => device.context?.queues[queue]?.notifier.notify();
const changeConfig = ({ device }: Setup) => device.context?.configChanged();

describe("MSI-X vector configuration (4.1.5.1.2)", () => {
  it("there is a vector for each queue and one for changes, at least 2 and at most 0x800 [pci.device.msi-x-vector-configuration.1] [pci.device.msi-x-vector-configuration.3]", () => {
    const tableSize = ({ guest, fn }: Setup) => (fn.configRead(guest.msix + 2, 2) & 0x7ff) + 1;
    expect(tableSize(setup())).toBe(3);
    expect(tableSize(setup({}, new RecordingDevice({ queues: [8] })))).toBe(2);
    expect(tableSize(setup({ vectors: 0x800 }))).toBe(0x800);
    const controlled = Object.assign(new RecordingDevice({ queues: [8, 8] }), { controlQueueMaxSize: 4 });
    expect(tableSize(setup({}, controlled))).toBe(4);
    const { memory, scheduler } = new Machine();
    for (const vectors of [0, -1, 1.5, 0x801, Number.NaN]) {
      const make = () => new VirtioPciDevice(new RecordingDevice(), { memory, scheduler, vectors });
      expect(make).toThrow(expect.objectContaining({ code: "vector-count" }));
    }
  });

  it("Table Size tells the number of vectors, all of which are in the table [pci.device.msi-x-vector-configuration.2]", () => {
    const s = setup({ vectors: 5 });
    expect(s.fn.configRead(s.guest.msix + 2, 2)).toBe(4);
    const { bar, offset } = s.guest.table;
    const controls = [0, 1, 2, 3, 4, 5].map((vector) => s.guest.readBar(bar, offset + 16 * vector + 12, 4));
    expect(controls).toEqual([1, 1, 1, 1, 1, 0]);
  });

  it("any event can be mapped to any vector of the table [pci.device.msi-x-vector-configuration.4] [pci.device.msi-x-vector-configuration.8]", () => {
    const s = live({ vectors: 8 });
    for (let vector = 0; vector < 8; vector++) {
      s.guest.setVector(vector, ADDRESS, vector);
      expect([mapQueue(s, 0, vector), mapQueue(s, 1, vector), mapConfig(s, vector)]).toEqual([vector, vector, vector]);
      s.slot.messages.length = 0;
      useQueue(s, 0);
      useQueue(s, 1);
      changeConfig(s);
      expect(s.slot.messages).toEqual(Array.from({ length: 3 }, () => [ADDRESS, vector]));
    }
  });

  it("any event can be unmapped [pci.device.msi-x-vector-configuration.5]", () => {
    const s = live();
    expect([mapQueue(s, 0, 0xffff), mapConfig(s, 0xffff)]).toEqual([0xffff, 0xffff]);
    useQueue(s, 0);
    changeConfig(s);
    expect(s.slot.messages).toEqual([]);
    useQueue(s, 1);
    expect(s.slot.messages).toEqual([[ADDRESS + 32, 0x42]]);
  });

  it("the vector registers read back what an event is mapped to, each for itself [pci.device.msi-x-vector-configuration.6]", () => {
    const s = live();
    const mapped = [0, 1].map((queue) => {
      s.guest.select(queue);
      return s.guest.read(COMMON, 26, 2);
    });
    expect([...mapped, s.guest.read(COMMON, 16, 2)]).toEqual([1, 2, 0]);
  });

  it("every event is unmapped after a reset [pci.device.msi-x-vector-configuration.7]", () => {
    const s = live();
    s.guest.status = 0;
    s.guest.select(0);
    expect(s.guest.read(COMMON, 26, 2)).toBe(0xffff);
    s.guest.select(1);
    expect(s.guest.read(COMMON, 26, 2)).toBe(0xffff);
    expect(s.guest.read(COMMON, 16, 2)).toBe(0xffff);
  });

  it("mapping to a vector that is not there fails, and reads back NO_VECTOR [pci.device.msi-x-vector-configuration.9]", () => {
    const s = live();
    for (const vector of [3, 4, 0x7ff, 0x800, 0xfffe]) {
      mapQueue(s, 0, 1);
      mapConfig(s, 0);
      expect([mapQueue(s, 0, vector), mapConfig(s, vector)]).toEqual([0xffff, 0xffff]);
    }
    s.guest.select(2);
    s.guest.write(COMMON, 26, 2, 1);
    expect(s.guest.read(COMMON, 26, 2)).toBe(0xffff);
  });
});

describe("interrupts by MSI-X (4.1.5.3, 4.1.5.4)", () => {
  it("a used buffer sends the queue's message; neither pin nor ISR status take part", () => {
    const s = live();
    useQueue(s, 1);
    expect(s.slot.messages).toEqual([[ADDRESS + 32, 0x42]]);
    expect([s.slot.level, s.guest.read(ISR, 0, 1)]).toEqual([false, 0]);
  });

  it("with NO_VECTOR for a queue there is no interrupt for it, by message or pin [pci.device.used-buffer-notifications.1]", () => {
    const s = live();
    mapQueue(s, 0, 0xffff);
    useQueue(s, 0);
    expect([s.slot.messages, s.slot.level]).toEqual([[], false]);
  });

  it("with NO_VECTOR for configuration changes there is no interrupt for them [pci.device.notification-of-device-configuration-changes.1]", () => {
    const s = live();
    mapConfig(s, 0xffff);
    changeConfig(s);
    expect([s.slot.messages, s.slot.level]).toEqual([[], false]);
  });

  it("a configuration change sets bit 1 of ISR status before its message is sent, the pin stays down [pci.device.isr-status-capability.2]", () => {
    const s = live();
    const seen: number[] = [];
    const msi = s.slot.msi!;
    const send = msi.send;
    msi.send = (address, data) => {
      send(address, data);
      seen.push(s.guest.read(ISR, 0, 1));
    };
    changeConfig(s);
    expect([s.slot.messages, s.slot.level, seen]).toEqual([[[ADDRESS, 0x40]], false, [2]]);
    expect((s.fn.configRead(6, 2) >>> 3) & 1).toBe(0);
  });

  it("DEVICE_NEEDS_RESET is told as a configuration change", () => {
    const s = live();
    s.fn.core.fail(Object.assign(new Error("broken"), { code: "device-error" as const, name: "DeviceFault" as const }));
    expect([s.guest.status, s.slot.messages]).toEqual([0x4f, [[ADDRESS, 0x40]]]);
  });

  it("addresses may have 64 bits, as far as a machine's addresses go", () => {
    const s = live();
    s.guest.setVector(1, 0x12_3456_7890, 0xdead_beef);
    useQueue(s);
    expect(s.slot.messages).toEqual([[0x12_3456_7890, 0xdead_beef]]);
    s.guest.setVector(1, 2 ** 53, 1);
    useQueue(s);
    expect(s.slot.messages.length).toBe(1);
  });

  it("disabling MSI-X gives the interrupts back to the pin", () => {
    const s = live();
    s.guest.setMsix(false);
    useQueue(s);
    expect([s.slot.messages, s.slot.level]).toEqual([[], true]);
    s.guest.setMsix(true);
    expect(s.slot.level).toBe(false);
  });
});

describe("masking (PCI 3.0, 6.8.2)", () => {
  it("a masked vector's message is pending, and sent once when it is unmasked", () => {
    const s = live();
    s.guest.setVector(1, ADDRESS, 7, true);
    useQueue(s);
    useQueue(s);
    expect([s.slot.messages, s.guest.pending()]).toEqual([[], 0b010]);
    s.guest.setVector(1, ADDRESS, 8);
    expect([s.slot.messages, s.guest.pending()]).toEqual([[[ADDRESS, 8]], 0]);
  });

  it("the function mask holds every vector back", () => {
    const s = live();
    s.guest.setMsix(true, true);
    useQueue(s, 0);
    useQueue(s, 1);
    changeConfig(s);
    expect([s.slot.messages, s.guest.pending()]).toEqual([[], 0b111]);
    s.guest.setMsix(true);
    expect(s.slot.messages.map(([, data]) => data)).toEqual([0x40, 0x41, 0x42]);
    expect(s.guest.pending()).toBe(0);
  });

  it("a function that is no bus master keeps its messages until it is one", () => {
    const s = live();
    s.fn.configWrite(4, 2, 0x0003);
    useQueue(s);
    expect([s.slot.messages, s.guest.pending()]).toEqual([[], 0b010]);
    s.fn.configWrite(4, 2, 0x0007);
    expect(s.slot.messages).toEqual([[ADDRESS + 16, 0x41]]);
  });

  it("all vectors are masked at first", () => {
    const s = setup();
    s.guest.setMsix(true);
    mapConfig(s, 2);
    s.guest.goLive();
    changeConfig(s);
    expect([s.slot.messages, s.guest.pending()]).toEqual([[], 0b100]);
  });

  it("a device reset forgets what is pending", () => {
    const s = live();
    s.guest.setMsix(true, true);
    useQueue(s);
    s.guest.status = 0;
    s.guest.setMsix(true);
    expect([s.slot.messages, s.guest.pending()]).toEqual([[], 0]);
  });

  it("pending bits are there for each of many vectors", () => {
    const s = live({ vectors: 100 });
    mapQueue(s, 0, 99);
    mapQueue(s, 1, 64);
    useQueue(s, 0);
    useQueue(s, 1);
    expect([0, 1, 2, 3].map((word) => s.guest.pending(word))).toEqual([0, 0, 1, 8]);
    s.guest.setVector(99, ADDRESS, 99);
    s.guest.setVector(64, ADDRESS, 64);
    expect(s.slot.messages.map(([, data]) => data)).toEqual([99, 64]);
  });

  it("the function mask holds back any of many vectors", () => {
    const s = live({ vectors: 100 });
    for (const vector of [17, 99]) s.guest.setVector(vector, ADDRESS, vector);
    mapQueue(s, 0, 17);
    mapQueue(s, 1, 99);
    s.guest.setMsix(true, true);
    useQueue(s, 0);
    useQueue(s, 1);
    s.guest.setMsix(true);
    expect(s.slot.messages.map(([, data]) => data)).toEqual([17, 99]);
    expect([0, 3].map((word) => s.guest.pending(word))).toEqual([0, 0]);
  });
});

describe("the MSI-X structures as memory", () => {
  it("table entries can be read and written by parts; reserved bits stay 0", () => {
    const s = setup();
    const { bar, offset } = s.guest.table;
    for (let at = 0; at < 16; at++) s.guest.writeBar(bar, offset + at, 1, 0xff);
    expect([0, 4, 8, 12].map((at) => s.guest.readBar(bar, offset + at, 4))).toEqual([
      0xffff_fffc, 0xffff_ffff, 0xffff_ffff, 1,
    ]);
    s.guest.writeBar(bar, offset + 6, 4, 0x1234_5678);
    expect(s.guest.readBar(bar, offset + 4, 4)).toBe(0x5678_ffff);
    expect(s.guest.readBar(bar, offset + 7, 2)).toBe(0x3456);
    expect([0, 8, 12].map((at) => s.guest.readBar(bar, offset + at, 4))).toEqual([0xffff_fffc, 0xffff_1234, 1]);
  });

  it("pending bits and the space around them are read-only", () => {
    const s = live();
    s.guest.setMsix(true, true);
    useQueue(s);
    const { bar } = s.guest.table;
    for (let at = 0x30; at < s.guest.bars.get(bar)!.size; at += 4) s.guest.writeBar(bar, at, 4, 0xffff_ffff);
    expect(s.guest.pending()).toBe(0b010);
    expect(s.guest.readBar(bar, 0x30, 4)).toBe(0);
    expect([s.guest.pending(1), s.guest.pending(2)]).toEqual([0, 0]);
  });

  it("they have a memory BAR of their own", () => {
    const s = setup();
    expect(s.guest.table.bar).not.toBe(s.guest.structure(COMMON).bar);
    expect(s.guest.bars.get(s.guest.table.bar)).toMatchObject({ io: false, size: 0x1000 });
  });
});
