/**
 * Finds the real programs that tests talk to. A machine without one skips the test; where the peers are promised
 * (`VIRTIO_TS_REQUIRE_PEERS=1`, as in `.ci/run`) a missing one fails it and says what to install.
 *
 * @module
 */
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { TestRunner } from "vitest";

/** The name of a program that tests may ask for. */
export type PeerName =
  | "tshark"
  | "ip"
  | "qemu-system-x86_64"
  | "qemu-system-aarch64"
  | "qemu-system-riscv64"
  | "ipxe.iso";

/** Each peer and the Debian package that brings it. `.ci/run` installs every one of these packages. */
export const debianPackageOf: Readonly<Record<PeerName, string>> = {
  tshark: "tshark",
  ip: "iproute2",
  "qemu-system-x86_64": "qemu-system-x86",
  "qemu-system-aarch64": "qemu-system-arm",
  "qemu-system-riscv64": "qemu-system-misc",
  "ipxe.iso": "ipxe",
};

/** Where programs are that `PATH` does not name, and images that are booted. */
const MORE_FOLDERS = ["/usr/sbin", "/sbin", "/usr/lib/ipxe"];

/** Thrown by {@link peer} when a program is required on this machine and is not there. */
export class PeerMissingError extends Error {
  readonly code = "PEER_MISSING";

  /** @param name - the program that was not found */
  constructor(name: PeerName) {
    super(`${name} is not on PATH: apt-get install ${debianPackageOf[name]}`);
    this.name = "PeerMissingError";
  }
}

/**
 * Looks a program up.
 *
 * @param name - the program's name
 * @param path - the folders to look in; `PATH`, the administrator's folders and those of images unless told
 * @returns its full path, or undefined where the machine has none
 */
export function findProgram(
  name: string,
  path: string = [process.env.PATH, ...MORE_FOLDERS].join(delimiter),
): string | undefined {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, name);
    if (folder !== "" && isUsable(file)) return file;
  }
  return undefined;
}

/**
 * For use inside a test: the full path of a peer. Without it the running test is skipped, or fails where peers are
 * required.
 *
 * @param name - the peer
 * @throws PeerMissingError if peers are required, or outside a test
 */
export function peer(name: PeerName): string {
  const file = findProgram(name);
  if (file !== undefined) return file;
  return lacking(new PeerMissingError(name));
}

/**
 * For use inside a test that lacks something: skips it, or fails it where peers are required.
 *
 * @param error - what is missing
 * @throws `error` if peers are required, or outside a test
 */
export function lacking(error: Error): never {
  const test = TestRunner.getCurrentTest();
  if (peersRequired() || test === undefined) throw error;
  return test.context.skip(error.message);
}

/**
 * For `describe.runIf` and `test.runIf`: whether a suite that needs these peers should run. True as well where peers
 * are required, so that {@link peer} can fail inside.
 *
 * @param names - the peers
 */
export function hasPeers(...names: PeerName[]): boolean {
  return peersRequired() || names.every((name) => findProgram(name) !== undefined);
}

/** A program can be executed; an image is only read. */
function isUsable(file: string): boolean {
  try {
    accessSync(file, file.endsWith(".iso") ? constants.R_OK : constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Whether this machine promises every peer, so that a missing one is a failure. */
export function peersRequired(): boolean {
  return process.env.VIRTIO_TS_REQUIRE_PEERS === "1";
}
