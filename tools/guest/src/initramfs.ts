/**
 * Builds the guest's whole userland, a gzipped cpio archive of about a megabyte: busybox, the kernel modules that
 * virtio needs, and three scripts.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { type CpioEntry, CpioMode, directory, file, symlink, writeCpio } from "./cpio.ts";
import { AGENT_SCRIPT, INIT_SCRIPT, UDHCPC_SCRIPT } from "./guest-scripts.ts";
import { type KernelModule, modulesDep } from "./modules.ts";

/** What an initramfs is made of. */
export interface InitramfsParts {
  /** A statically linked i386 busybox. */
  readonly busybox: Uint8Array;
  /** As `uname -r` prints it: the modules go where `modprobe` looks for them. */
  readonly kernelVersion: string;
  readonly modules: readonly KernelModule[];
}

/** The members of the archive, in order. */
function initramfsEntries(parts: InitramfsParts): CpioEntry[] {
  const modules = `lib/modules/${parts.kernelVersion}`;
  return [
    ...["bin", "dev", "etc", "etc/udhcpc", "lib", "lib/modules", modules, "proc", "sys"].map(directory),
    // init's standard input and output, before devtmpfs is there
    { name: "dev/console", mode: CpioMode.CHARACTER_DEVICE | 0o600, device: [5, 1] },
    file("bin/busybox", parts.busybox, 0o755),
    symlink("bin/sh", "busybox"),
    file("init", INIT_SCRIPT, 0o755),
    file("etc/agent", AGENT_SCRIPT, 0o755),
    file("etc/udhcpc/default.script", UDHCPC_SCRIPT, 0o755),
    file("etc/passwd", "root::0:0:root:/:/bin/sh\n"),
    file("etc/hosts", "127.0.0.1 localhost\n"),
    file(`${modules}/modules.dep`, modulesDep(parts.modules)),
    ...parts.modules.map((module) => file(`${modules}/${module.name}.ko`, module.data)),
  ];
}

/** Builds the archive. The same parts always give the same bytes. */
export function buildInitramfs(parts: InitramfsParts): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(gzipSync(writeCpio(initramfsEntries(parts)), { level: 9 }));
}

/** One ACPI table that the kernel shall take from the initramfs. */
export interface AcpiTable {
  /** File name without directory, for example `ssdt.aml`. */
  readonly name: string;
  readonly data: Uint8Array;
}

/**
 * Puts ACPI tables in front of an initramfs. Linux looks for them in an uncompressed archive that comes first; the
 * rest follows at the next multiple of 512 bytes (Documentation/admin-guide/acpi/initrd_table_override.rst).
 */
export function prependAcpiTables(initramfs: Uint8Array, tables: readonly AcpiTable[]): Uint8Array<ArrayBuffer> {
  if (tables.length === 0) return Uint8Array.from(initramfs);
  const directories = ["kernel", "kernel/firmware", "kernel/firmware/acpi"].map(directory);
  const first = writeCpio([
    ...directories,
    ...tables.map((table) => file(`kernel/firmware/acpi/${table.name}`, table.data)),
  ]);
  const start = Math.ceil(first.length / 512) * 512;
  const combined = new Uint8Array(start + initramfs.length);
  combined.set(first);
  combined.set(initramfs, start);
  return combined;
}
