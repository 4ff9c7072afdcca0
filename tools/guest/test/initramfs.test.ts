import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { readCpio } from "../src/cpio.ts";
import { buildInitramfs, prependAcpiTables } from "../src/initramfs.ts";
import { type KernelModule, moduleNeeds, modulesDep } from "../src/modules.ts";

const data = new Uint8Array([0x7f, 0x45, 0x4c, 0x46]);
const modules: KernelModule[] = [
  { name: "virtio", needs: [], data },
  { name: "virtio_ring", needs: ["virtio"], data },
  { name: "virtio_net", needs: ["virtio_ring", "virtio"], data },
];
const parts = { busybox: new Uint8Array([1, 2, 3]), kernelVersion: "6.1.0-test", modules };

describe("the initramfs", () => {
  const entries = readCpio(gunzipSync(buildInitramfs(parts)));
  const byName = new Map(entries.map((entry) => [entry.name, entry]));

  it("has every directory before what is in it", () => {
    const seen = new Set<string>([""]);
    for (const { name } of entries) {
      const parent = name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : "";
      expect(seen).toContain(parent);
      seen.add(name);
    }
  });

  it("has an executable init, a shell, and a console to write to", () => {
    expect(byName.get("init")!.mode).toBe(0o100755);
    expect(new TextDecoder().decode(byName.get("init")!.data)).toMatch(/^#!\/bin\/sh\n/);
    expect(byName.get("bin/busybox")!.mode).toBe(0o100755);
    expect(new TextDecoder().decode(byName.get("bin/sh")!.data)).toBe("busybox");
    expect(byName.get("dev/console")!.device).toEqual([5, 1]);
  });

  it("has the modules where modprobe looks for them", () => {
    expect(byName.get("lib/modules/6.1.0-test/virtio_net.ko")!.data).toEqual(Buffer.from(data));
    expect(new TextDecoder().decode(byName.get("lib/modules/6.1.0-test/modules.dep")!.data)).toBe(
      "virtio.ko:\nvirtio_ring.ko: virtio.ko\nvirtio_net.ko: virtio_ring.ko virtio.ko\n",
    );
  });

  it("is the same for the same parts", () => {
    expect(buildInitramfs(parts)).toEqual(buildInitramfs(parts));
  });
});

describe("ACPI tables", () => {
  it("come first, uncompressed, and the initramfs follows at a multiple of 512 bytes", () => {
    const initramfs = buildInitramfs(parts);
    const combined = prependAcpiTables(initramfs, [{ name: "ssdt.aml", data: new Uint8Array([9, 8, 7]) }]);
    const tables = readCpio(combined);
    expect(tables.at(-1)!.name).toBe("kernel/firmware/acpi/ssdt.aml");
    expect([...tables.at(-1)!.data!]).toEqual([9, 8, 7]);
    const start = combined.length - initramfs.length;
    expect(start % 512).toBe(0);
    expect(combined.subarray(start)).toEqual(initramfs);
  });

  it("leave the initramfs alone when there are none", () => {
    const initramfs = buildInitramfs(parts);
    expect(prependAcpiTables(initramfs, [])).toEqual(initramfs);
  });
});

describe("kernel modules", () => {
  it("say themselves what they need", () => {
    const modinfo = (text: string): Uint8Array => new TextEncoder().encode(`...\0license=GPL\0${text}\0name=x\0...`);
    expect(moduleNeeds(modinfo("depends=virtio-ring,virtio"))).toEqual(["virtio_ring", "virtio"]);
    expect(moduleNeeds(modinfo("depends="))).toEqual([]);
    expect(moduleNeeds(modinfo("alias=none"))).toEqual([]);
  });

  it("list what they need by way of others too, each once and what others need last", () => {
    const chain: KernelModule[] = [
      { name: "a", needs: [], data },
      { name: "b", needs: ["a"], data },
      { name: "c", needs: ["a", "b"], data },
    ];
    expect(modulesDep(chain)).toBe("a.ko:\nb.ko: a.ko\nc.ko: b.ko a.ko\n");
  });
});
