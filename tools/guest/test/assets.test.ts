import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { resolveAssets } from "../src/assets.ts";
import { NoKernelError } from "../src/errors.ts";

let directory: string;
let path: string | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "virtio-ts-test-"));
  path = process.env.PATH;
});
afterEach(async () => {
  process.env.PATH = path;
  await rm(directory, { recursive: true, force: true });
});

/** The least that counts as a bzImage: boot flag, magic, and where the version is. */
function bzImage(version: string): Uint8Array {
  const image = new Uint8Array(0x800);
  const view = new DataView(image.buffer);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x20e, 0x300, true);
  image.set(new TextEncoder().encode(`${version} (builder@host) #1`), 0x500);
  return image;
}

async function given(name: string, data: Uint8Array): Promise<string> {
  await writeFile(join(directory, name), data);
  return join(directory, name);
}

describe("without files, cache and package tools", () => {
  it("there is no kernel, and one line says what to pass", async () => {
    process.env.PATH = directory;
    const cacheDir = join(directory, "cache");
    const error = await resolveAssets({ cacheDir }).catch((reason) => reason);
    expect(error).toBeInstanceOf(NoKernelError);
    expect(error.code).toBe("NO_KERNEL");
    expect(error.reason).toBe("apt-get is missing, so this is no Debian machine");
    expect(error.message).toMatch(
      /^no guest kernel: .*--kernel .*--initrd .*--bios .*vmlinuz, initramfs.cpio.gz, bios.bin/,
    );
    expect(error.message).not.toContain("\n");
    expect(await readdir(cacheDir)).toEqual([]);
  });
});

describe("files that the user names", () => {
  it("are used as they are", async () => {
    const kernel = await given("vmlinuz", bzImage("6.1.0-50-686"));
    const initrd = await given("initrd", new Uint8Array([1, 2, 3]));
    const bios = await given("bios", new Uint8Array([4, 5]));
    const assets = await resolveAssets({ kernel, initrd, bios });
    expect(assets.origin).toBe("options");
    expect(assets.kernelVersion).toBe("6.1.0-50-686");
    expect([...(await assets.initrd.read())]).toEqual([1, 2, 3]);
    expect([...(await assets.bios.read())]).toEqual([4, 5]);
    expect(assets.initrd.sha256).toBe("039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81");
  });

  it("must be there", async () => {
    const missing = join(directory, "none");
    await expect(resolveAssets({ kernel: missing, initrd: missing })).rejects.toMatchObject({
      code: "BAD_OPTION",
      message: `--kernel ${missing} can't be read (ENOENT)`,
    });
  });

  it("must be a kernel and its initramfs together", async () => {
    await expect(resolveAssets({ kernel: "vmlinuz" })).rejects.toMatchObject({ code: "BAD_OPTION" });
    await expect(resolveAssets({ initrd: "initrd" })).rejects.toMatchObject({ code: "BAD_OPTION" });
  });

  it("must be a bzImage where a kernel is asked for", async () => {
    const noKernel = await given("vmlinuz", new Uint8Array(5000));
    await expect(resolveAssets({ kernel: noKernel, initrd: noKernel })).rejects.toMatchObject({ code: "BAD_OPTION" });
  });
});

describe("a cache folder that can't be written", () => {
  it("is named, with what to do about it", async () => {
    const cacheDir = await given("file", new Uint8Array());
    await expect(resolveAssets({ cacheDir })).rejects.toMatchObject({
      code: "BAD_OPTION",
      message: expect.stringMatching(/can't be written \(\w+\): set XDG_CACHE_HOME, or pass --no-cache$/),
    });
  });
});

describe("an abort", () => {
  it("ends it before anything is looked for", async () => {
    const signal = AbortSignal.abort();
    await expect(resolveAssets({ signal, cacheDir: directory })).rejects.toMatchObject({ code: "ABORTED" });
  });
});
