/**
 * An unmodified Linux on our NIC, through the user-mode network, by each way to plug it in: the work that a NIC is there
 * for, and then again after its driver, its interface and the NIC itself went and came back.
 */
import { bringUpNetwork, features, interfaces, ping, resolve } from "@virtio-ts/guest";
import {
  featureName,
  GATEWAY,
  guestToHost,
  HOST_NAME,
  hostToGuest,
  type NicChoice,
  type Session,
  startSession,
} from "@virtio-ts/guest/demo";
import { addNic } from "@virtio-ts/vmm-v86";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasKernel } from "../src/kernel.ts";

const TRANSFER_BYTES = 64 << 20;
const TIMES = 10;
const EXEC = { timeoutMs: 300_000 };

const FEATURES = {
  offloads: ["CSUM", "GUEST_CSUM", "MTU", "MAC", "GUEST_TSO4", "GUEST_TSO6", "HOST_TSO4", "HOST_TSO6"],
  modern: ["MRG_RXBUF", "STATUS", "INDIRECT_DESC", "EVENT_IDX", "VERSION_1"],
  legacy: ["MRG_RXBUF", "STATUS", "ANY_LAYOUT", "INDIRECT_DESC", "EVENT_IDX"],
};

/** Flags of a BAR in sysfs: an I/O range, memory ranges of 32 and of 64 bits. */
const IO = "0x0000000000040101";
const MEMORY = "0x0000000000040200";
const MEMORY_64 = "0x0000000000140204";
const MODERN = "0x1af4 0x1041 0x01";
const LEGACY = "0x1af4 0x1000 0x00";
/** Who is interrupted, by which controller. */
const MESSAGES = [
  ["PCI-MSI", "virtio0-config"],
  ["PCI-MSI", "virtio0-virtqueues"],
];
const ISA_LINE = [["XT-PIC", "virtio0"]];
const APIC_LINE = [["IO-APIC", "virtio0"]];

/** What is different in Linux's hands between the two places a NIC can be at. */
const PCI = {
  driver: "/sys/bus/pci/drivers/virtio-pci",
  /** Who it is: ids and revision, and the kinds of its BARs. */
  show: (location: string) =>
    `cd /sys/bus/pci/devices/${location}; echo $(cat vendor device revision); grep -v 0x0000000000000000$ resource | cut -d' ' -f3`,
  letGo: (location: string) => `echo 1 >/sys/bus/pci/devices/${location}/remove`,
  find: () => "echo 1 >/sys/bus/pci/rescan",
};
/**
 * A device that ACPI tells of is there for good, whatever becomes of its registers: to take it out is to have the driver
 * let go of it, and as long as it is out, the driver finds no virtio device at that address, and does not take it.
 */
const MMIO = {
  driver: "/sys/bus/platform/drivers/virtio-mmio",
  /** Where it is, and for whom. */
  show: (location: string) => `grep ${location} /proc/iomem`,
  letGo: (location: string) => `echo ${location} >${MMIO.driver}/unbind`,
  find: (location: string) => `echo ${location} >${MMIO.driver}/bind`,
};
const AT_FED80000 = ["fed80000-fed80fff : LNRO0005:00", "fed80000-fed80fff : LNRO0005:00 LNRO0005:00"];

interface Way {
  readonly name: string;
  readonly nic: NicChoice;
  readonly place: typeof PCI | typeof MMIO;
  readonly shown: readonly string[];
  readonly legacy?: true;
  readonly interrupts: readonly (readonly string[])[];
}

const WAYS: readonly Way[] = [
  {
    name: "a modern NIC with MSI-X and a memory BAR",
    nic: { transport: "modern", bar: "memory", interrupt: "msix" },
    place: PCI,
    shown: [MODERN, MEMORY, MEMORY_64],
    interrupts: MESSAGES,
  },
  {
    name: "a modern NIC with MSI-X and an I/O BAR",
    nic: { transport: "modern", bar: "io", interrupt: "msix" },
    place: PCI,
    shown: [MODERN, MEMORY, IO],
    interrupts: MESSAGES,
  },
  {
    name: "a modern NIC with INTx and a memory BAR",
    nic: { transport: "modern", bar: "memory", interrupt: "intx" },
    place: PCI,
    shown: [MODERN, MEMORY_64],
    interrupts: ISA_LINE,
  },
  {
    name: "a modern NIC with INTx and an I/O BAR",
    nic: { transport: "modern", bar: "io", interrupt: "intx" },
    place: PCI,
    shown: [MODERN, IO],
    interrupts: ISA_LINE,
  },
  {
    name: "a legacy NIC with INTx",
    nic: { transport: "legacy", interrupt: "intx" },
    place: PCI,
    shown: [LEGACY, IO],
    legacy: true,
    interrupts: ISA_LINE,
  },
  {
    name: "a NIC of virtio-mmio, version 2",
    nic: { transport: "mmio" },
    place: MMIO,
    shown: AT_FED80000,
    interrupts: APIC_LINE,
  },
  {
    name: "a NIC of virtio-mmio, legacy version 1",
    nic: { transport: "mmio-legacy" },
    place: MMIO,
    shown: AT_FED80000,
    legacy: true,
    interrupts: APIC_LINE,
  },
];

describe.runIf(await hasKernel()).each(WAYS)("$name", ({ nic: choice, place, shown, legacy, interrupts }) => {
  let session: Session;
  let location: string;

  beforeAll(async () => {
    session = await startSession({
      nic: choice,
      bytes: TRANSFER_BYTES,
      capture: { path: "/dev/null", snapLength: 64 },
    });
  });
  afterAll(() => session?.close());

  async function expectPings(count: number): Promise<void> {
    const { sent, received } = await ping(session.guest, GATEWAY, { count, adaptive: true, ...EXEC });
    expect({ sent, received }).toEqual({ sent: count, received: count });
  }

  async function expectNoInterface(): Promise<void> {
    expect((await interfaces(session.guest)).map(({ name }) => name)).toEqual(["lo"]);
  }

  it("is found where it is, as one of its kind", async () => {
    const { guest, ifname } = session;
    const found = (await interfaces(guest)).find(({ name }) => name === ifname)!;
    expect(found).toMatchObject({ driver: "virtio_net", mtu: 1500 });
    location = found.location;
    expect((await guest.run(place.show(location))).trim().split(/\s*\n\s*/)).toEqual(shown);
  });

  it("has the features that both sides know, and the driver is content with it", async () => {
    const view = await features(session.guest, session.ifname);
    // ACKNOWLEDGE, DRIVER, DRIVER_OK; and FEATURES_OK, which legacy drivers do not know
    expect(view.status).toBe(legacy ? 0x07 : 0x0f);
    const others = legacy ? FEATURES.legacy : FEATURES.modern;
    // Linux 6.1 has its drivers reset queues alone over PCI, but not over virtio-mmio.
    const pci = place === PCI && !legacy ? ["RING_RESET"] : [];
    expect(view.features.map(featureName)).toEqual([...FEATURES.offloads, ...others, ...pci]);
  });

  it("gets its address by DHCP, and names from the name server of that lease", async () => {
    const { guest, lease } = session;
    expect(lease).toMatchObject({
      address: "10.0.2.15",
      prefixLength: 24,
      routers: [GATEWAY],
      dns: ["10.0.2.3"],
      server: GATEWAY,
    });
    expect(await resolve(guest, HOST_NAME)).toEqual([GATEWAY]);
  });

  it("answers 1,000 pings without loss, by the interrupts that were asked for", async () => {
    const { guest, ifname, nic } = session;
    const counted = async (): Promise<number> => {
      const view = await features(guest, ifname);
      expect(view.interrupts.map(({ chip, users }) => [chip, ...users])).toEqual(interrupts);
      return view.interrupts.reduce((sum, { count }) => sum + count, 0);
    };
    const before = await counted();
    await expectPings(1000);
    expect((await counted()) - before).toBeGreaterThan(100);
    const { messages, raised, strayMessages } = nic.machine.counters;
    const byMessage = interrupts === MESSAGES;
    expect([messages > 100, raised > 100, strayMessages]).toEqual([byMessage, !byMessage, 0]);
  });

  it("brings 64 MiB from the host to the guest, with equal hashes", async () => {
    expect(await hostToGuest(session, "md5")).toMatchObject({ bytes: TRANSFER_BYTES, equal: true });
  });

  it("brings 64 MiB from the guest to the host, with equal hashes", async () => {
    expect(await guestToHost(session, TRANSFER_BYTES, "md5")).toMatchObject({ bytes: TRANSFER_BYTES, equal: true });
  });

  it("works again each of ten times its driver let go of it and came back", async () => {
    const { guest, ifname, nic } = session;
    for (let i = 0; i < TIMES; i++) {
      await guest.run(`echo ${location} >${place.driver}/unbind`);
      await expectNoInterface();
      expect(nic.core.status).toBe(0x01); // ACKNOWLEDGE: all that Linux leaves of a device it lets go of
      await guest.run(`echo ${location} >${place.driver}/bind`);
      await guest.run(`ip addr add 10.0.2.15/24 dev ${ifname} && ip link set ${ifname} up`);
      await expectPings(20);
    }
  });

  it("works again each of ten times its interface was down and up", async () => {
    const { guest, ifname } = session;
    for (let i = 0; i < TIMES; i++) {
      await guest.run(`ip link set ${ifname} down`);
      expect((await ping(guest, GATEWAY, { count: 1 }).catch(() => ({ received: 0 }))).received).toBe(0);
      await guest.run(`ip link set ${ifname} up`);
      await expectPings(20);
    }
  });

  it("has dropped no frame, and seen no fault", () => {
    const { counters } = session.nic.device;
    // Frames that came while there was no driver, or its interface was down, are nobody's.
    expect(new Set(Object.values({ ...counters.dropped, rxNotReady: 0 }))).toEqual(new Set([0]));
    expect(session.nic.core.counters.faults).toBe(0);
  });

  it("is taken out of the running guest, and another put in its place", async () => {
    const { guest, nic, ifname, capture } = session;
    await guest.run(place.letGo(location));
    await nic.remove();
    await guest.exec(place.find(location));
    await expectNoInterface();

    const next = addNic(nic.machine, { ...choice, backend: capture });
    await guest.run(place.find(location));
    expect((await bringUpNetwork(guest, ifname, EXEC)).address).toBe("10.0.2.15");
    await expectPings(100);
    expect([next.device.counters.rx.frames >= 100, nic.core.status, next.core.counters.faults]).toEqual([true, 0, 0]);
  });
});
