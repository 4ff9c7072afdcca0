import { readFileSync } from "node:fs";
import { bootGuest, bringUpNetwork, type Guest, ping } from "@virtio-ts/guest";
import { VirtioPciDevice } from "@virtio-ts/virtio-pci";
import { attachToV86 } from "@virtio-ts/vmm-v86";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { entropyDevice } from "../src/examples/own-device.ts";
import { plugIn } from "../src/examples/plug-in.ts";
import { entropyFromQemu } from "../src/examples/qemu-entropy.ts";
import { hasPeers } from "../src/peers.ts";

describe("the README of the project", () => {
  it.each(["plug-in.ts", "own-device.ts", "qemu-entropy.ts"])("shows %s as it runs here", (name) => {
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
