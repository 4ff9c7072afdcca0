/**
 * Fetches kernel, busybox and BIOS from the package sources that a Debian machine already has, with apt-get on a
 * private state: nothing is installed, nothing outside of one folder is touched, and root is not needed.
 *
 * @module
 */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { copySourcesForRelease } from "./debian-sources.ts";
import { NoKernelError, throwIfAborted } from "./errors.ts";
import { type ProcessResult, runProcess } from "./process.ts";

/** Depends on the newest versioned image of the i386 kernel. Debian has i386 kernels up to release 12. */
const KERNEL_METAPACKAGE = "linux-image-686";
/** The last release with an i386 kernel: asked for when the machine's own release has none. */
const LAST_RELEASE = "bookworm";
const OTHER_PACKAGES = ["busybox-static", "seabios"];

/** Options of {@link fetchDebianFiles}. */
export interface DebianFetchOptions {
  /** Told what is being done, in a few words. */
  readonly onProgress?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where the extracted files are. */
export interface DebianFiles {
  /** As `uname -r` prints it. */
  readonly kernelVersion: string;
  readonly kernel: string;
  /** `/lib/modules/<version>` of the kernel package. */
  readonly modules: string;
  readonly busybox: string;
  readonly bios: string;
}

/**
 * Downloads and extracts the packages into `directory`.
 *
 * @throws NoKernelError when there is no apt-get or dpkg-deb, no network, or no such package
 */
export async function fetchDebianFiles(directory: string, options: DebianFetchOptions = {}): Promise<DebianFiles> {
  const { onProgress, signal } = options;
  try {
    for (const tool of ["apt-get", "dpkg-deb"]) await runProcess(tool, ["--version"], { signal });
    const apt = await PrivateApt.create(join(directory, "apt"), signal);
    onProgress?.("reading the package lists of this machine's Debian sources");
    let log = await apt.update();
    let kernel = await apt.kernelPackage();
    if (kernel === undefined && (await apt.reached()) && (await apt.useRelease(LAST_RELEASE))) {
      onProgress?.(`no i386 kernel there: looking in Debian ${LAST_RELEASE}`);
      log = await apt.update();
      kernel = await apt.kernelPackage();
    }
    if (kernel === undefined) {
      throw new NoKernelError(
        `no package ${KERNEL_METAPACKAGE} in this machine's package sources (${firstError(log)})`,
      );
    }
    onProgress?.(`downloading ${kernel}, ${OTHER_PACKAGES.join(", ")}`);
    const archives = await apt.download([kernel, ...OTHER_PACKAGES]);
    onProgress?.("extracting");
    const root = join(directory, "root");
    for (const archive of archives) expectSuccess(await runProcess("dpkg-deb", ["-x", archive, root], { signal }));
    return await locate(root);
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof NoKernelError) throw error;
    const { code, path, message } = error as NodeJS.ErrnoException;
    const reason = code === "ENOENT" && path ? `${path} is missing, so this is no Debian machine` : message;
    throw new NoKernelError(reason, { cause: error });
  }
}

/** apt-get for i386 packages with lists, cache and status of its own, and the machine's sources and keyrings. */
class PrivateApt {
  readonly #directory: string;
  readonly #options: readonly string[];
  readonly #signal: AbortSignal | undefined;

  private constructor(directory: string, options: readonly string[], signal: AbortSignal | undefined) {
    this.#directory = directory;
    this.#options = options;
    this.#signal = signal;
  }

  static async create(directory: string, signal: AbortSignal | undefined): Promise<PrivateApt> {
    for (const part of ["lists/partial", "archives/partial", "downloads"]) {
      await mkdir(join(directory, part), { recursive: true });
    }
    const configuration = join(directory, "apt.conf");
    await writeFile(configuration, aptConfiguration(directory));
    return new PrivateApt(directory, [`--config-file=${configuration}`], signal);
  }

  /** Reads the package lists. One index of several may fail: what counts is whether the packages are found. */
  async update(): Promise<ProcessResult> {
    return await this.#run("apt-get", ["update"]);
  }

  /** Name of the newest versioned kernel package. */
  async kernelPackage(): Promise<string | undefined> {
    const { stdout } = await this.#run("apt-cache", [
      "depends",
      "--no-recommends",
      "--no-suggests",
      KERNEL_METAPACKAGE,
    ]);
    return /Depends: (linux-image-\d\S*)/.exec(stdout)?.[1];
  }

  /** Downloads packages; apt-get checks their hashes. */
  async download(packages: readonly string[]): Promise<string[]> {
    const downloads = join(this.#directory, "downloads");
    expectSuccess(await this.#run("apt-get", ["download", ...packages], downloads));
    return (await readdir(downloads)).filter((name) => name.endsWith(".deb")).map((name) => join(downloads, name));
  }

  /** Points at another release in the machine's sources. Returns false when that changes nothing. */
  async useRelease(release: string): Promise<boolean> {
    const where = ["shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"];
    const { stdout } = await this.#run("apt-config", where);
    const path = (name: string): string => new RegExp(`^${name}='(.*)'$`, "m").exec(stdout)?.[1] ?? "";
    const parts = join(this.#directory, "sources.d");
    if (!(await copySourcesForRelease(path("LIST"), path("PARTS"), parts, release))) return false;
    const sources = `Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "${parts}";\n`;
    await writeFile(join(this.#directory, "apt.conf"), aptConfiguration(this.#directory) + sources);
    return true;
  }

  /** Whether any of the sources answered. */
  async reached(): Promise<boolean> {
    return (await readdir(join(this.#directory, "lists"))).some((name) => name.endsWith("Release"));
  }

  async #run(tool: string, args: readonly string[], cwd?: string): Promise<ProcessResult> {
    return await runProcess(tool, [...this.#options, ...args], { cwd: cwd ?? this.#directory, signal: this.#signal });
  }
}

/**
 * Read after the machine's own configuration, so that proxies and credentials of the machine stay in force while its
 * hooks (which clean the machine's own cache) and its additional indexes do not.
 */
function aptConfiguration(directory: string): string {
  const hooks = ["Update::Pre-Invoke", "Update::Post-Invoke", "Update::Post-Invoke-Success"];
  const indexes = ["DEP-11", "DEP-11-icons", "DEP-11-icons-small", "DEP-11-icons-hidpi", "Contents-deb", "CNF"];
  const settings = {
    "Dir::State": directory,
    "Dir::State::lists": join(directory, "lists"),
    "Dir::State::status": "/dev/null",
    "Dir::Cache": directory,
    "Dir::Cache::archives": join(directory, "archives"),
    "Dir::Log": directory,
    "APT::Architecture": "i386",
    "APT::Architectures": "i386",
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
    "Acquire::Retries": "2",
    "Acquire::http::Timeout": "20",
    "Acquire::https::Timeout": "20",
  };
  return [
    ...hooks.map((hook) => `#clear APT::${hook};`),
    ...indexes.map((index) => `#clear Acquire::IndexTargets::deb::${index};`),
    "#clear APT::Architectures;",
    "#clear Acquire::Languages;",
    ...Object.entries(settings).map(([name, value]) => `${name} "${value}";`),
    "",
  ].join("\n");
}

async function locate(root: string): Promise<DebianFiles> {
  const kernel = (await readdir(join(root, "boot"))).find((name) => name.startsWith("vmlinuz-"));
  if (kernel === undefined) throw new Error("the kernel package has no vmlinuz");
  const kernelVersion = kernel.slice("vmlinuz-".length);
  const first = async (...candidates: string[]): Promise<string> => {
    for (const candidate of candidates) {
      const found = await readdir(join(root, candidate, "..")).catch((): string[] => []);
      if (found.includes(candidate.slice(candidate.lastIndexOf("/") + 1))) return join(root, candidate);
    }
    throw new Error(`the packages have none of ${candidates.join(", ")}`);
  };
  return {
    kernelVersion,
    kernel: join(root, "boot", kernel),
    modules: await first(`lib/modules/${kernelVersion}`, `usr/lib/modules/${kernelVersion}`),
    busybox: await first("bin/busybox", "usr/bin/busybox"),
    bios: await first("usr/share/seabios/bios.bin"),
  };
}

function expectSuccess(result: ProcessResult): void {
  if (result.status !== 0) throw new Error(firstError(result));
}

/** Why a Debian tool failed, in one line: what could not be fetched comes first, for all else follows from it. */
function firstError(result: ProcessResult): string {
  const lines = result.stderr.split("\n").filter((line) => line.trim() !== "");
  const fetching = lines.map((line) => /Failed to fetch \S+\s+(\S.*)/.exec(line)?.[1]).find(Boolean);
  if (fetching) return `fetching failed: ${fetching.trim()}`;
  return (lines.find((line) => /^(E|dpkg-deb: error):/.test(line)) ?? lines.at(-1) ?? "no message").trim();
}
