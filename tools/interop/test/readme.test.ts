import { readFileSync } from "node:fs";
import { bootGuest, bringUpNetwork, type Guest, ping } from "@virtio-ts/guest";
import { VIRTIO_ID_ENTROPY } from "@virtio-ts/virtio-bindings";
import { connectFirst, ProcessHost } from "@virtio-ts/virtio-driver";
import { PciConfigPorts, PciFinder, VirtioPciDevice } from "@virtio-ts/virtio-pci";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { Machine, onPci } from "@virtio-ts/vmm-glue";
import { attachToV86 } from "@virtio-ts/vmm-v86";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { entropyDevice } from "../src/examples/own-device.ts";
import { plugIn } from "../src/examples/plug-in.ts";
import { entropyFromQemu } from "../src/examples/qemu-entropy.ts";
import { readEntropy } from "../src/examples/read-entropy.ts";
import { hasPeers } from "../src/peers.ts";

describe("the README of the project", () => {
  it.each(["plug-in.ts", "own-device.ts", "read-entropy.ts"])("shows %s as it runs here", (name) => {
    const source = readFileSync(new URL(`../src/examples/${name}`, import.meta.url), "utf8");
    const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
    expect(readme).toContain(`\`\`\`ts\n${source.slice(source.indexOf("import")).trim()}\n\`\`\``);
  });
});

test.runIf(hasPeers("qemu-system-x86_64"))("its example for drivers reads from QEMU's virtio-rng", async () => {
  const [one, two] = [await entropyFromQemu(32), await entropyFromQemu(32)];
  expect([one.length, two.length]).toEqual([32, 32]);
  expect(one).not.toEqual(two);
});

test("the same example reads from a device of ours, in a machine of ours", async () => {
  const memory = GuestMemory.of(new Uint8Array(1 << 20));
  const host = new ProcessHost(memory);
  const machine = new Machine({ memory, controller: host.lines, msi: host.messages });
  const { ports, mmio } = machine;
  machine.devices.add(
    "rng",
    entropyDevice(() => new Uint8Array(64).fill(0x5a)),
    onPci(machine),
  );
  const finder = new PciFinder(host, { ports, mmio, config: new PciConfigPorts(ports) });
  expect(await readEntropy(connectFirst([finder], VIRTIO_ID_ENTROPY), host, 8)).toEqual(new Uint8Array(8).fill(0x5a));
});

describe("its examples, in one guest", () => {
  let guest: Guest;

  beforeAll(async () => {
    guest = await bootGuest({
      attach: (emulator) => {
        plugIn(emulator);
        const machine = attachToV86(emulator);
        const device = entropyDevice(() => new Uint8Array(64).fill(0x5a));
        const { memory, scheduler } = machine;
        machine.plugPci(new VirtioPciDevice(device, { memory, scheduler, interrupt: "intx" }));
      },
    });
  });

  afterAll(() => guest.stop());

  it("the NIC gets an address and pings", async () => {
    expect((await bringUpNetwork(guest)).address).toBe("10.0.2.15");
    expect(await ping(guest, "10.0.2.2", { count: 10, adaptive: true })).toMatchObject({ sent: 10, received: 10 });
  });

  it("the device of one's own is Linux's source of random numbers", async () => {
    await guest.loadModules("virtio_rng");
    expect(await guest.run("cat /sys/class/misc/hw_random/rng_current")).toMatch(/^virtio_rng/);
    expect(await guest.run("head -c 8 /dev/hwrng | od -An -tx1")).toContain("5a 5a 5a 5a 5a 5a 5a 5a");
  });
});
