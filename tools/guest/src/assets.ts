/**
 * Finds what a guest is booted from: a kernel, an initramfs and a BIOS. In this order: files the user names; the
 * cache; the machine's own Debian package sources.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { access, copyFile, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bzImageVersion } from "./bzimage.ts";
import { defaultCacheDir, makeDirectoryAtomically } from "./cache.ts";
import { fetchDebianFiles } from "./debian.ts";
import { GuestError, NoKernelError, throwIfAborted } from "./errors.ts";
import { AGENT_SCRIPT, INIT_SCRIPT, UDHCPC_SCRIPT } from "./guest-scripts.ts";
import { buildInitramfs } from "./initramfs.ts";
import { collectModules, GUEST_MODULES } from "./modules.ts";

/** One file, read when it is needed. */
export interface AssetFile {
  /** Hexadecimal; part of the name of the snapshot that was made with it. */
  readonly sha256: string;
  read(): Promise<Uint8Array<ArrayBuffer>>;
}

/** What a guest is booted from. */
export interface GuestAssets {
  /** A 32-bit x86 bzImage. */
  readonly kernel: AssetFile;
  /** An initramfs with this package's agent in it. */
  readonly initrd: AssetFile;
  /** SeaBIOS. */
  readonly bios: AssetFile;
  /** As `uname -r` prints it. */
  readonly kernelVersion: string;
  readonly origin: "options" | "cache" | "debian";
}

/** Options of {@link resolveAssets}. */
export interface AssetOptions {
  /** Path of a 32-bit x86 bzImage. Needs `initrd`, because modules fit one kernel only. */
  readonly kernel?: string | undefined;
  /** Path of an initramfs that this package built. Needs `kernel`. */
  readonly initrd?: string | undefined;
  /** Path of a SeaBIOS image. */
  readonly bios?: string | undefined;
  /** Default: {@link defaultCacheDir}. */
  readonly cacheDir?: string | undefined;
  /** Default true. When false, the cache is neither read nor written. */
  readonly useCache?: boolean | undefined;
  readonly onProgress?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const FILES = { kernel: "vmlinuz", initrd: "initramfs.cpio.gz", bios: "bios.bin" } as const;
const MANIFEST = "manifest.json";

interface Manifest {
  readonly kernelVersion: string;
  readonly files: Record<keyof typeof FILES, { readonly sha256: string; readonly bytes: number }>;
}

/**
 * Finds the three files, fetching them when they are nowhere.
 *
 * @throws NoKernelError when there is no way to get them; GuestError `BAD_OPTION` when a named file is not usable
 */
export async function resolveAssets(options: AssetOptions = {}): Promise<GuestAssets> {
  throwIfAborted(options.signal);
  if ((options.kernel === undefined) !== (options.initrd === undefined)) {
    throw new GuestError("BAD_OPTION", "--kernel and --initrd go together: the initramfs has the kernel's modules");
  }
  const bios = options.bios === undefined ? undefined : await givenFile("--bios", options.bios);
  if (options.kernel !== undefined && options.initrd !== undefined) {
    const kernel = await givenFile("--kernel", options.kernel);
    const initrd = await givenFile("--initrd", options.initrd);
    const kernelVersion = bzImageVersion(await kernel.read());
    if (kernelVersion === undefined) {
      throw new GuestError("BAD_OPTION", `--kernel ${options.kernel} is no bzImage (an x86 vmlinuz)`);
    }
    return { kernel, initrd, bios: bios ?? (await anyBios(options)), kernelVersion, origin: "options" };
  }
  const assets = await cachedOrFetched(options);
  return bios ? { ...assets, bios } : assets;
}

/** The folder in the cache changes its name with the recipe: an old one is left alone, never half used. */
function assetsDirectory(cacheDir: string): string {
  const recipe = JSON.stringify([1, GUEST_MODULES, INIT_SCRIPT, AGENT_SCRIPT, UDHCPC_SCRIPT]);
  return join(cacheDir, `guest-${createHash("sha256").update(recipe).digest("hex").slice(0, 12)}`);
}

async function cachedOrFetched(options: AssetOptions): Promise<GuestAssets> {
  if (options.useCache === false) return await fetchInto(await mkdtemp(join(tmpdir(), "virtio-ts-")), options, true);
  const directory = assetsDirectory(options.cacheDir ?? defaultCacheDir());
  const cached = await readAssets(directory, "cache");
  if (cached) return cached;
  return await fetchInto(directory, options, false);
}

async function fetchInto(directory: string, options: AssetOptions, temporary: boolean): Promise<GuestAssets> {
  if (temporary) {
    try {
      await fetchAssets(directory, options);
      return await inMemory(await mustRead(directory));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  const usable = async (present: string): Promise<boolean> => (await readAssets(present, "cache")) !== undefined;
  try {
    await makeDirectoryAtomically(directory, (unfinished) => fetchAssets(unfinished, options), usable);
  } catch (error) {
    if (error instanceof GuestError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const message = `the cache folder ${directory} can't be written (${code}): set XDG_CACHE_HOME, or pass --no-cache`;
    throw new GuestError("BAD_OPTION", message, { cause: error });
  }
  return await mustRead(directory);
}

async function mustRead(directory: string): Promise<GuestAssets> {
  const assets = await readAssets(directory, "debian");
  if (!assets) throw new NoKernelError(`the files just written to ${directory} are gone or incomplete`);
  return assets;
}

/** Fills `directory` with the three files and a manifest. */
async function fetchAssets(directory: string, options: AssetOptions): Promise<void> {
  const work = join(directory, "work");
  const found = await fetchDebianFiles(work, options);
  const modules = await collectModules(found.modules, GUEST_MODULES);
  const initramfs = buildInitramfs({
    busybox: await readFile(found.busybox),
    kernelVersion: found.kernelVersion,
    modules,
  });
  await copyFile(found.kernel, join(directory, FILES.kernel));
  await copyFile(found.bios, join(directory, FILES.bios));
  await writeFile(join(directory, FILES.initrd), initramfs);
  await rm(work, { recursive: true, force: true });

  const describe = async (name: string): Promise<{ sha256: string; bytes: number }> => {
    const data = await readFile(join(directory, name));
    return { sha256: sha256(data), bytes: data.length };
  };
  const manifest: Manifest = {
    kernelVersion: found.kernelVersion,
    files: {
      kernel: await describe(FILES.kernel),
      initrd: await describe(FILES.initrd),
      bios: await describe(FILES.bios),
    },
  };
  await writeFile(join(directory, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Reads a folder of the cache; undefined when it isn't there or isn't whole. */
async function readAssets(directory: string, origin: GuestAssets["origin"]): Promise<GuestAssets | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(directory, MANIFEST), "utf8")) as Manifest;
    const asset = async (name: keyof typeof FILES): Promise<AssetFile> => {
      const path = join(directory, FILES[name]);
      const { sha256, bytes } = manifest.files[name];
      if ((await stat(path)).size !== bytes) throw new RangeError(`${path} has not ${bytes} bytes`);
      return { sha256, read: () => readBytes(path) };
    };
    return {
      kernel: await asset("kernel"),
      initrd: await asset("initrd"),
      bios: await asset("bios"),
      kernelVersion: manifest.kernelVersion,
      origin,
    };
  } catch {
    return undefined;
  }
}

/** For a user who names kernel and initramfs only: QEMU and Debian both install SeaBIOS where others can find it. */
async function anyBios(options: AssetOptions): Promise<AssetFile> {
  const candidates = [
    "/usr/share/seabios/bios.bin",
    "/usr/share/qemu/bios.bin",
    "/usr/local/share/qemu/bios.bin",
    "/opt/homebrew/share/qemu/bios.bin",
  ];
  for (const path of candidates) {
    const found = await access(path).then(
      () => true,
      () => false,
    );
    if (found) return await givenFile("--bios", path);
  }
  return (await cachedOrFetched(options)).bios;
}

async function givenFile(option: string, path: string): Promise<AssetFile> {
  const data = await readBytes(path).catch((error: NodeJS.ErrnoException) => {
    throw new GuestError("BAD_OPTION", `${option} ${path} can't be read (${error.code ?? error.message})`, {
      cause: error,
    });
  });
  return { sha256: sha256(data), read: () => Promise.resolve(data) };
}

async function inMemory(assets: GuestAssets): Promise<GuestAssets> {
  const load = async (asset: AssetFile): Promise<AssetFile> => {
    const data = await asset.read();
    return { sha256: asset.sha256, read: () => Promise.resolve(data) };
  };
  return {
    ...assets,
    kernel: await load(assets.kernel),
    initrd: await load(assets.initrd),
    bios: await load(assets.bios),
  };
}

/** A buffer of its own: the emulator wants an ArrayBuffer that holds the file and nothing else. */
async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return Uint8Array.from(await readFile(path));
}

function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
