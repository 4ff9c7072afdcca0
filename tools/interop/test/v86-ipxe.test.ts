/**
 * Debian's iPXE 1.0.0 drives our NIC, by its own drivers for the legacy and for the modern interface: DHCP, a script by
 * TFTP from the user-mode network, 8 MiB by HTTP; and it boots the demo's Linux from the user-mode network alone.
 */
import { bringUpNetwork, Guest, ping, resolveAssets } from "@virtio-ts/guest";
import type { PciNicOptions } from "@virtio-ts/vmm-v86";
import { afterEach, describe, expect, it } from "vitest";
import { hasKernel } from "../src/kernel.ts";
import { hasPeers } from "../src/peers.ts";
import { type IpxeMachine, ipxeMachine, Web } from "./support/ipxe.ts";

const WAYS: readonly (readonly [string, PciNicOptions])[] = [
  ["modern, memory BAR", { transport: "modern", bar: "memory", interrupt: "intx" }],
  ["modern, I/O BAR", { transport: "modern", bar: "io", interrupt: "intx" }],
  ["transitional", { transport: "transitional", interrupt: "intx" }],
  ["legacy", { transport: "legacy", interrupt: "intx" }],
];
/** Each word another, so that no page of it is like another. */
const BLOB = Buffer.from(Uint32Array.from({ length: 2 << 20 }, (_, i) => Math.imul(i, 2_654_435_761)).buffer);

let machine: IpxeMachine | undefined;
let web: Web | undefined;

afterEach(async () => {
  await machine?.close();
  machine = undefined;
  web?.close();
  web = undefined;
});

const text = (lines: readonly string[]): Uint8Array => new TextEncoder().encode(`#!ipxe\n${lines.join("\n")}\n`);

describe.runIf(hasPeers("ipxe.iso") && (await hasKernel()))("iPXE", () => {
  it.each(WAYS)("fetches 8 MiB over a NIC that is %s", async (_, nic) => {
    web = await Web.serve({ "/blob": BLOB });
    const script = text([
      `imgfetch --name blob ${web.url}/blob`,
      `imgfetch ${web.url}/done?ip=\${net0/ip}&driver=\${net0/chip}`,
      "shell",
    ]);
    machine = await ipxeMachine(nic, { boot: { file: "script.ipxe" }, tftp: { "script.ipxe": script } });
    const done = web.until("/done");
    await machine.emulator.run();
    await done;
    expect(web.asked).toEqual(["/blob", "/done?ip=10.0.2.15&driver=virtio-net"]);
    const memory = machine.memory();
    const at = memory.indexOf(BLOB.subarray(0, 4096));
    expect(at).toBeGreaterThan(0);
    expect(Buffer.compare(memory.subarray(at, at + BLOB.length), BLOB)).toBe(0);
    expect(machine.errors).toEqual([]);
    expect(machine.network.counters.tcpBytesToGuest).toBeLessThan(BLOB.length + 10_000);
  });

  it("boots the demo's Linux from the user-mode network alone, and Linux goes on with the same NIC", async () => {
    const { kernel, initrd } = await resolveAssets();
    const script = text([
      `kernel tftp://\${next-server}/vmlinuz initrd=initrd console=ttyS0 tsc=reliable random.trust_cpu=on acpi=off pci=nomsi quiet mitigations=off`,
      `initrd --name initrd tftp://\${next-server}/initrd`,
      "boot",
    ]);
    machine = await ipxeMachine(
      { transport: "modern", bar: "memory", interrupt: "intx" },
      {
        boot: ({ userClasses }) => (userClasses.includes("iPXE") ? { file: "script.ipxe" } : undefined),
        tftp: { "script.ipxe": script, vmlinuz: await kernel.read(), initrd: await initrd.read() },
      },
    );
    const guest = new Guest(machine.emulator);
    await machine.emulator.run();
    await guest.untilReady(400_000);
    await guest.loadModules("virtio_pci", "virtio_net");
    const { address } = await bringUpNetwork(guest, "eth0");
    expect(address).toBe("10.0.2.15");
    expect(await ping(guest, "10.0.2.2", { count: 10, adaptive: true })).toMatchObject({ received: 10 });
    expect(machine.errors).toEqual([]);
    await guest.stop();
  });
});
