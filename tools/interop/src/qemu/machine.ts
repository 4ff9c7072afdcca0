/**
 * A machine that QEMU makes and that has no guest: its devices are ours to drive.
 * @module
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { MappedFile } from "@virtio-ts/host-linux";
import { findProgram } from "../peers.ts";
import { BOARDS, type Board, type BoardName } from "./boards.ts";
import { QemuHost } from "./host.ts";
import { Qmp } from "./qmp.ts";
import { QtestLink } from "./qtest.ts";

const MEMORY_BYTES = 64 << 20;
const START_MS = 20_000;

/** A QEMU that is running. Nothing of it is left after {@link close}. */
export class QemuMachine {
  /** What it is like. */
  readonly board: Board;
  /** Its registers. */
  readonly link: QtestLink;
  /** What drivers need of it. */
  readonly host: QemuHost;
  /** What QEMU says about it. */
  readonly qmp: Qmp;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #memory: MappedFile;

  private constructor(
    board: Board,
    link: QtestLink,
    qmp: Qmp,
    child: ChildProcess,
    folder: string,
    memory: MappedFile,
  ) {
    this.board = board;
    this.link = link;
    this.qmp = qmp;
    this.host = new QemuHost(link, memory.bytes, board.memoryStart);
    this.#child = child;
    this.#folder = folder;
    this.#memory = memory;
  }

  /**
   * Starts QEMU with the devices that `options` name.
   * @throws Error with what QEMU printed, where it did not start
   */
  static async start(name: BoardName, options: readonly string[]): Promise<QemuMachine> {
    const board = BOARDS[name];
    const program = findProgram(board.program);
    if (program === undefined) throw new Error(`no ${board.program} on PATH`);
    const folder = mkdtempSync(join(tmpdir(), "qemu-"));
    const child = launch(program, board, folder, options);
    const failed = failure(child);
    let memory: MappedFile | undefined;
    let link: QtestLink | undefined;
    try {
      link = await QtestLink.open(join(folder, "qtest"), failed);
      const qmp = await Promise.race([connectQmp(join(folder, "qmp")), failed]);
      link.intercept(await controllerPath(qmp, board.interruptController));
      memory = new MappedFile(join(folder, "memory"), MEMORY_BYTES);
      return new QemuMachine(board, link, qmp, child, folder, memory);
    } catch (cause) {
      await end(child, folder);
      await link?.close();
      memory?.release();
      throw cause;
    }
  }

  /** Ends it. */
  async close(): Promise<void> {
    this.qmp.close();
    this.host.close();
    await end(this.#child, this.#folder);
    await this.link.close();
    this.#memory.release();
  }

  /** Kills it without a word, as a crash does: its devices are gone. */
  async kill(): Promise<void> {
    this.qmp.close();
    await end(this.#child);
  }
}

function launch(program: string, board: Board, folder: string, options: readonly string[]): ChildProcess {
  const file = (name: string): string => join(folder, name);
  writeFileSync(file("firmware"), board.firmware);
  execFileSync("mkfifo", [file("qtest.in"), file("qtest.out")]);
  const fixed = [
    ["-display", "none", "-nodefaults", "-accel", "tcg", "-m", `${MEMORY_BYTES >> 20}`],
    ["-machine", `${board.machine},memory-backend=ram`],
    ["-object", `memory-backend-file,id=ram,size=${MEMORY_BYTES},mem-path=${file("memory")},share=on`],
    [board.firmwareOption, file("firmware")],
    ["-qtest", `pipe:${file("qtest")}`, "-qtest-log", "none"],
    ["-qmp", `unix:${file("qmp")},server=on,wait=off`],
    board.cpu === undefined ? [] : ["-cpu", board.cpu],
  ].flat();
  return spawn(program, [...fixed, ...options], { stdio: ["ignore", "ignore", "pipe"] });
}

/** Rejects when QEMU ends, with what it printed. */
function failure(child: ChildProcess): Promise<never> {
  let printed = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    printed = (printed + chunk.toString()).slice(-4096);
  });
  const failed = new Promise<never>((_, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`QEMU ended (${code ?? signal}): ${printed.trim()}`)));
  });
  failed.catch(() => {}); // it ends in the end
  return failed;
}

/** The socket is there a moment after the pipes are. */
async function connectQmp(path: string): Promise<Qmp> {
  for (const start = performance.now(); ; await delay(10)) {
    try {
      return await Qmp.connect(path);
    } catch (cause) {
      if (performance.now() - start > START_MS) throw cause;
    }
  }
}

/** Looks for an object's type in QEMU's tree. */
async function controllerPath(qmp: Qmp, type: string): Promise<string> {
  const found: string[] = [];
  for (const parent of ["/machine", "/machine/unattached", "/machine/q35"]) {
    const children = await qmp.execute<{ name: string; type: string }[]>("qom-list", { path: parent }).catch(() => []);
    for (const child of children) if (child.type === `child<${type}>`) found.push(`${parent}/${child.name}`);
  }
  const path = found.at(-1);
  if (path === undefined) throw new Error(`QEMU has no ${type}`);
  return path;
}

async function end(child: ChildProcess, folder?: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    await new Promise((resolve) => {
      child.once("exit", resolve);
      child.kill("SIGKILL");
    });
  }
  if (folder === undefined) return;
  rmSync(folder, { recursive: true, force: true });
}
