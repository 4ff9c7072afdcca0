/**
 * An unmodified Linux on our NIC over virtio-mmio: told of it by an ACPI table, it drives the registers of version 2 and
 * those of legacy version 1.
 */
import {
  bootGuest,
  bringUpNetwork,
  configureAddress,
  features,
  type Guest,
  interfaces,
  mmioTable,
  ping,
} from "@virtio-ts/guest";
import { UserNetwork } from "@virtio-ts/net-backends";
import { nodeHostSockets } from "@virtio-ts/net-backends/node";
import { VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { addNic, MMIO_NIC_ADDRESS, MMIO_NIC_LINE, type MmioNic } from "@virtio-ts/vmm-v86";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasKernel } from "../src/kernel.ts";

const GATEWAY = "10.0.2.2";
const EXEC = { timeoutMs: 120_000 };
const DRIVER = "/sys/bus/platform/drivers/virtio-mmio";
const PLATFORM_DEVICE = "LNRO0005:00";

describe.runIf(await hasKernel()).each([
  { name: "version 2", transport: "mmio", status: 0x0f, modern: true },
  { name: "legacy version 1", transport: "mmio-legacy", status: 0x07, modern: false },
] as const)("Linux on virtio-mmio $name", ({ transport, status, modern }) => {
  let network: UserNetwork;
  let guest: Guest;
  let nic: MmioNic;

  beforeAll(async () => {
    network = new UserNetwork({ host: nodeHostSockets() });
    guest = await bootGuest({
      acpi: true,
      acpiTables: [mmioTable([{ address: MMIO_NIC_ADDRESS, gsi: MMIO_NIC_LINE }])],
      attach: (emulator) => {
        nic = addNic(emulator, { transport, backend: network });
      },
    });
    await guest.loadModules("virtio_mmio");
  });
  afterAll(async () => {
    await guest?.stop();
    network.close();
  });

  async function expectPings(count: number): Promise<void> {
    expect(await ping(guest, GATEWAY, { count, adaptive: true, ...EXEC })).toMatchObject({
      sent: count,
      received: count,
    });
  }

  it("finds the NIC where the table says it is", async () => {
    expect(await interfaces(guest)).toContainEqual(
      expect.objectContaining({ name: "eth0", driver: "virtio_net", location: PLATFORM_DEVICE, mtu: 1500 }),
    );
  });

  it("gets its address by DHCP, and pings, by its own interrupt line", async () => {
    expect((await bringUpNetwork(guest, "eth0", EXEC)).address).toBe("10.0.2.15");
    await expectPings(200);
    const view = await features(guest);
    expect(view.interrupts.map(({ chip, users }) => [chip, ...users])).toEqual([["IO-APIC", "virtio0"]]);
    expect(view.interrupts[0].count).toBeGreaterThan(100);
    expect([view.status, view.features.includes(VIRTIO_F_VERSION_1)]).toEqual([status, modern]);
  });

  it("works again after its driver let go of it and came back", async () => {
    for (let i = 0; i < 3; i++) {
      await guest.run(`echo ${PLATFORM_DEVICE} >${DRIVER}/unbind`);
      expect((await interfaces(guest)).map(({ name }) => name)).toEqual(["lo"]);
      await guest.run(`echo ${PLATFORM_DEVICE} >${DRIVER}/bind`);
      await configureAddress(guest, "eth0", "10.0.2.15/24");
      await expectPings(20);
    }
  });

  it("has dropped no frame, and seen no fault", () => {
    const { dropped } = nic.device.counters;
    expect(new Set(Object.values({ ...dropped, rxNotReady: 0 }))).toEqual(new Set([0]));
    expect(nic.core.counters.faults).toBe(0);
  });
});
