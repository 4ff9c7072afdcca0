/**
 * An unmodified Linux on our NIC, through the user-mode network, by each pair of transport and interrupt: the work that
 * a NIC is there for, and then again after its driver and its interface went and came back.
 */
import { features, interfaces, ping, resolve } from "@virtio-ts/guest";
import {
  featureName,
  GATEWAY,
  guestToHost,
  HOST_NAME,
  hostToGuest,
  type Session,
  startSession,
} from "@virtio-ts/guest/demo";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasKernel } from "../src/kernel.ts";

const TRANSFER_BYTES = 64 << 20;
const EXEC = { timeoutMs: 300_000 };

const FEATURES = {
  offloads: ["CSUM", "GUEST_CSUM", "MTU", "MAC", "GUEST_TSO4", "GUEST_TSO6", "HOST_TSO4", "HOST_TSO6"],
  modern: ["MRG_RXBUF", "STATUS", "INDIRECT_DESC", "EVENT_IDX", "VERSION_1"],
  legacy: ["MRG_RXBUF", "STATUS", "ANY_LAYOUT", "INDIRECT_DESC", "EVENT_IDX"],
};
/** Flags of a BAR in sysfs: an I/O range, a 32-bit memory range. */
const IO = "0x0000000000040101";
const MEMORY = "0x0000000000040200";
/** Who is interrupted, by which controller. */
const MESSAGES = [
  ["PCI-MSI", "virtio0-config"],
  ["PCI-MSI", "virtio0-virtqueues"],
];
const LINE = [["XT-PIC", "virtio0"]];

describe.runIf(await hasKernel()).each([
  {
    name: "a modern NIC with MSI-X",
    nic: { transport: "modern", interrupt: "msix" },
    ids: "0x1af4 0x1041 0x01",
    bars: [MEMORY, MEMORY],
    interrupts: MESSAGES,
  },
  {
    name: "a modern NIC with INTx and a memory BAR",
    nic: { transport: "modern", interrupt: "intx", bar: "memory" },
    ids: "0x1af4 0x1041 0x01",
    bars: [MEMORY],
    interrupts: LINE,
  },
  {
    name: "a modern NIC with INTx and an I/O BAR",
    nic: { transport: "modern", interrupt: "intx", bar: "io" },
    ids: "0x1af4 0x1041 0x01",
    bars: [IO],
    interrupts: LINE,
  },
  {
    name: "a legacy NIC with INTx",
    nic: { transport: "legacy", interrupt: "intx" },
    ids: "0x1af4 0x1000 0x00",
    bars: [IO],
    interrupts: LINE,
  },
] as const)("$name", ({ nic, ids, bars, interrupts }) => {
  let session: Session;
  let location: string;

  beforeAll(async () => {
    session = await startSession({ nic, bytes: TRANSFER_BYTES, capture: { path: "/dev/null", snapLength: 64 } });
  });
  afterAll(() => session?.close());

  async function expectPings(count: number): Promise<void> {
    const { sent, received } = await ping(session.guest, GATEWAY, { count, adaptive: true, ...EXEC });
    expect({ sent, received }).toEqual({ sent: count, received: count });
  }

  it("is found on the PCI bus, with the ids and BARs of its kind", async () => {
    const { guest, ifname } = session;
    const found = (await interfaces(guest)).find(({ name }) => name === ifname)!;
    expect(found).toMatchObject({ driver: "virtio_net", mtu: 1500 });
    location = found.location;
    const path = `/sys/bus/pci/devices/${location}`;
    expect((await guest.run(`cd ${path}; cat vendor device revision`)).trim().split("\n").join(" ")).toBe(ids);
    const ranges = (await guest.run(`grep -v 0x0000000000000000$ ${path}/resource`)).trim().split("\n");
    expect(ranges.map((range) => range.split(" ")[2])).toEqual(bars);
  });

  it("has the features that both sides know, and the driver is content with it", async () => {
    const view = await features(session.guest, session.ifname);
    const legacy = nic.transport === "legacy";
    // ACKNOWLEDGE, DRIVER, DRIVER_OK; and FEATURES_OK, which legacy drivers do not know
    expect(view.status).toBe(legacy ? 0x07 : 0x0f);
    const others = legacy ? FEATURES.legacy : FEATURES.modern;
    expect(view.features.map(featureName)).toEqual([...FEATURES.offloads, ...others]);
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

  it("works again each time its driver let go of it and came back", async () => {
    const { guest, ifname, nic } = session;
    const driver = "/sys/bus/pci/drivers/virtio-pci";
    for (let i = 0; i < 3; i++) {
      await guest.run(`echo ${location} >${driver}/unbind`);
      expect((await interfaces(guest)).map(({ name }) => name)).toEqual(["lo"]);
      expect(nic.core.status).toBe(0x01); // ACKNOWLEDGE: all that Linux leaves of a device it lets go of
      await guest.run(`echo ${location} >${driver}/bind`);
      await guest.run(`ip addr add 10.0.2.15/24 dev ${ifname} && ip link set ${ifname} up`);
      await expectPings(20);
    }
  });

  it("works again each time its interface was down and up", async () => {
    const { guest, ifname } = session;
    for (let i = 0; i < 3; i++) {
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
});
