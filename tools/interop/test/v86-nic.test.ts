/**
 * An unmodified Linux in v86 finds and uses our NIC, through every register map and kind of interrupt. Without a kernel
 * on this machine and no way to get one, these tests are skipped.
 */
import {
  type BootOptions,
  bootGuest,
  bringUpNetwork,
  configureAddress,
  features,
  type Guest,
  type GuestAssets,
  interfaces,
  NoKernelError,
  ping,
  resolveAssets,
} from "@virtio-ts/guest";
import { UserNetwork } from "@virtio-ts/user-network";
import { nodeHostSockets } from "@virtio-ts/user-network/node";
import { VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { addNic, attachToV86, type PciNic, type PciNicOptions, type V86Emulator } from "@virtio-ts/vmm-v86";
import { afterEach, beforeAll, describe, expect, it, type TestContext } from "vitest";

const GATEWAY = "10.0.2.2";
const VIRTIO_NET_F_MRG_RXBUF = 15;
const EXEC = { timeoutMs: 120_000 };

let assets: GuestAssets | undefined;
let whyNot = "";
let guest: Guest | undefined;
let networks: UserNetwork[] = [];

beforeAll(async () => {
  try {
    assets = await resolveAssets();
  } catch (error) {
    if (process.env.VIRTIO_TS_REQUIRE_PEERS === "1" || !(error instanceof NoKernelError)) throw error;
    whyNot = error.message;
  }
});

afterEach(async () => {
  await guest?.stop();
  guest = undefined;
  for (const network of networks) network.close();
  networks = [];
});

/** A user-mode network `10.0.N.0/24`. */
function network(n = 2): UserNetwork {
  const made = new UserNetwork({ host: nodeHostSockets(), options: { subnet: `10.0.${n}.0/24` } });
  networks.push(made);
  return made;
}

/** A guest with the NICs given. */
async function boot(
  context: TestContext,
  options: BootOptions,
  nics: readonly PciNicOptions[],
): Promise<[Guest, PciNic[]]> {
  if (!assets) return context.skip(whyNot);
  const added: PciNic[] = [];
  guest = await bootGuest({
    assets,
    ...options,
    attach: (emulator) => {
      for (const nic of nics) added.push(addNic(emulator as unknown as V86Emulator, nic));
    },
  });
  return [guest, added];
}

/** Every ping is answered. */
async function expectPings(on: Guest, address: string, count: number): Promise<void> {
  expect(await ping(on, address, { count, adaptive: true, ...EXEC })).toMatchObject({ received: count });
}

const WAYS: readonly (readonly [string, PciNicOptions])[] = [
  ["modern, memory BAR, MSI-X", { transport: "modern", bar: "memory", interrupt: "msix" }],
  ["modern, memory BAR, INTx", { transport: "modern", bar: "memory", interrupt: "intx" }],
  ["modern, I/O BAR, INTx", { transport: "modern", bar: "io", interrupt: "intx" }],
  ["modern, I/O BAR, MSI-X", { transport: "modern", bar: "io", interrupt: "msix" }],
  ["transitional, used as modern, INTx", { transport: "transitional", interrupt: "intx" }],
  ["legacy, INTx", { transport: "legacy", interrupt: "intx" }],
];

describe("Linux's own drivers, in a running guest", () => {
  for (const [name, options] of WAYS) {
    it(`${name}: finds the NIC, gets an address, pings, lets go and comes back`, async (context) => {
      const messages = options.interrupt === "msix";
      const [linux, [nic]] = await boot(context, { acpi: messages }, [{ ...options, backend: network() }]);
      expect((await bringUpNetwork(linux, "eth0", EXEC)).address).toBe("10.0.2.15");
      await expectPings(linux, GATEWAY, 300);
      const view = await features(linux);
      expect(view.interruptMode).toBe(messages ? "msi" : "line");
      expect(view.features.includes(VIRTIO_F_VERSION_1)).toBe(options.transport !== "legacy");
      expect(view.features).toContain(VIRTIO_NET_F_MRG_RXBUF);

      const driver = "/sys/bus/virtio/drivers/virtio_net";
      await linux.run(`echo ${view.device} >${driver}/unbind`);
      expect([nic.core.status, await interfaces(linux)]).toEqual([1, [expect.objectContaining({ name: "lo" })]]);
      await linux.run(`echo ${view.device} >${driver}/bind`);
      await configureAddress(linux, "eth0", "10.0.2.15/24");
      await expectPings(linux, GATEWAY, 100);

      const { dropped } = nic.device.counters;
      expect({ ...dropped, rxNotReady: 0 }).toEqual(Object.fromEntries(Object.keys(dropped).map((key) => [key, 0])));
      expect([nic.core.counters.faults, nic.machine.counters.strayMessages]).toEqual([0, 0]);
    });
  }
});

describe("a NIC that is there before the machine is switched on", () => {
  it("is configured by the BIOS, as other cards are", async (context) => {
    const [linux, [nic]] = await boot(context, { plug: "cold" }, [{ backend: network() }]);
    expect(nic.plugged.line).toBe(nic.pci.configRead(0x3c, 1));
    expect(nic.plugged.addressOf(nic.pci.bars[0])).toBeGreaterThan(0xe000_0000);
    await bringUpNetwork(linux, "eth0", EXEC);
    await expectPings(linux, GATEWAY, 100);
    // It starts anew with its machine, and touches nothing of the memory that another system has by then.
    await linux.exec("reboot -f", { timeoutMs: 2000 }).catch(() => {});
    expect([nic.core.status, nic.pci.configRead(4, 2)]).toEqual([0, 0]);
  });
});

describe("several NICs", () => {
  it("on one interrupt line, v86's own among them, do not take interrupts from each other", async (context) => {
    const [linux, nics] = await boot(context, { builtinVirtioNet: true }, [
      { slot: 6, backend: network(2), interrupt: "intx", bar: "io", mac: Uint8Array.of(2, 0, 0, 0, 0, 2) },
      { slot: 14, backend: network(3), interrupt: "intx", mac: Uint8Array.of(2, 0, 0, 0, 0, 3) },
    ]);
    expect(new Set(nics.map(({ plugged }) => plugged.line)).size).toBe(1);
    const found = await interfaces(linux);
    for (const n of [2, 3]) {
      const { name } = found.find(({ mac }) => mac === `02:00:00:00:00:0${n}`)!;
      await configureAddress(linux, name, `10.0.${n}.15/24`);
    }
    // The built-in has nobody to talk to, but interrupts for each packet it sends.
    const own = found.find(({ mac }) => !mac.startsWith("02:00:00:00:00:"))!.name;
    await configureAddress(linux, own, "10.0.4.15/24");
    const all = ["ping -A -q -c 400 10.0.2.2", "ping -A -q -c 400 10.0.3.2", "ping -q -i 0.01 -c 300 -W 1 10.0.4.255"];
    const output = await linux.run(`${all.join(" & ")} & wait`, EXEC);
    expect(output.match(/ 400 packets received/g)).toHaveLength(2);
    expect(
      (await features(linux, found.find(({ mac }) => mac === "02:00:00:00:00:02")!.name)).interrupts[0].users,
    ).toHaveLength(3);
  });
});

describe("a NIC that is taken out", () => {
  it("after the guest let go of it leaves its slot to the next", async (context) => {
    const [linux, [nic]] = await boot(context, {}, [{ backend: network() }]);
    const { slot } = nic.plugged;
    const path = `/sys/bus/pci/devices/0000:00:${slot.toString(16).padStart(2, "0")}.0`;
    await linux.run(`echo 1 >${path}/remove`);
    await nic.remove();
    const next = addNic(nic.machine, { backend: network(), bar: "io" });
    expect(next.plugged.slot).toBe(slot);
    await linux.run("echo 1 >/sys/bus/pci/rescan");
    await bringUpNetwork(linux, "eth0", EXEC);
    await expectPings(linux, GATEWAY, 100);
  });

  it("while it is used harms nobody else: the guest goes on, and another NIC works", async (context) => {
    // On different lines: where the two share one, Linux 6.1 reads the ISR status of the missing one as "all ones", takes
    // it for a request to announce itself, and panics, as it does with any card that is torn out.
    const [linux, [first, second]] = await boot(context, {}, [
      { slot: 3, backend: network(2), mac: Uint8Array.of(2, 0, 0, 0, 0, 2) },
      { slot: 5, backend: network(3), mac: Uint8Array.of(2, 0, 0, 0, 0, 3) },
    ]);
    expect(first.plugged.line).not.toBe(second.plugged.line);
    const found = await interfaces(linux);
    for (const n of [2, 3]) {
      const { name } = found.find(({ mac }) => mac === `02:00:00:00:00:0${n}`)!;
      await configureAddress(linux, name, `10.0.${n}.15/24`);
    }
    await expectPings(linux, "10.0.2.2", 20);
    const pinging = linux.exec("ping -q -c 20 -i 0.05 -W 1 10.0.2.2", EXEC);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await first.remove();
    expect((await pinging).output).toMatch(/100% packet loss|packets received/);
    await expectPings(linux, "10.0.3.2", 100);
    expect(attachToV86(linux.emulator as unknown as V86Emulator).counters.exits).toBeGreaterThan(0);
  });
});
