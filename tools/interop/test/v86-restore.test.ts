/**
 * A guest is saved in the middle of a transfer, its process is killed, and another process goes on with it: over the
 * same TCP connection, for the network is a process that outlives both, this one.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ServedFile } from "@virtio-ts/guest";
import { BlobServer, fetchAll, GATEWAY, type NicChoice } from "@virtio-ts/guest/demo";
import { listenStream, type StreamBackend } from "@virtio-ts/net-backends/node";
import { connect } from "@virtio-ts/net-link";
import { UserNetwork } from "@virtio-ts/user-network";
import { nodeHostSockets } from "@virtio-ts/user-network/node";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { hasKernel } from "../src/kernel.ts";
import { buildDemo } from "./support/demo.ts";

const script = fileURLToPath(new URL("support/machine.js", import.meta.url));

/** A process with a machine in it, and what it says. */
class Machine {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #stderr = "";

  constructor(act: "start" | "resume", job: object) {
    this.child = spawn(process.execPath, [script, act, JSON.stringify(job)], { stdio: ["ignore", "pipe", "pipe"] });
    this.#lines = createInterface(this.child.stdout!)[Symbol.asyncIterator]();
    this.child.stderr!.on("data", (data) => {
      this.#stderr += data;
    });
  }

  /** What it says next. */
  async says(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the machine ended without a word: ${this.#stderr}`);
    return JSON.parse(value);
  }

  /** Ends it, with no chance to put anything in order. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGKILL");
    await ended;
  }
}

/** The way that most machines go, with all that the acceptance moves; the others for their registers and interrupts. */
const MODERN: NicChoice = { transport: "modern", bar: "memory", interrupt: "msix" };
const WHOLE = 64 << 20;
const PART = 8 << 20;

describe.runIf(await hasKernel())("a guest that is saved while its NIC is at work", () => {
  let folder: string;
  let network: UserNetwork;
  let stream: StreamBackend;
  let server: BlobServer | undefined;
  let machines: Machine[] = [];

  beforeAll(() => buildDemo());
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "virtio-ts-restore-"));
    network = new UserNetwork({ host: nodeHostSockets(), options: { hostLoopback: true } });
    stream = await listenStream({ path: join(folder, "network") });
    connect(network, stream);
  });
  afterEach(async () => {
    for (const machine of machines) await machine.kill();
    machines = [];
    stream.close();
    network.close();
    await server?.close();
    server = undefined;
    rmSync(folder, { recursive: true });
  });

  function machine(act: "start" | "resume", nic: NicChoice, bytes: number, url?: string): Machine {
    const job = { nic, socket: join(folder, "network"), snapshot: join(folder, "snapshot"), bytes, url };
    const made = new Machine(act, job);
    machines.push(made);
    return made;
  }

  it.each<readonly [string, NicChoice, number]>([
    ["modern, with MSI-X", MODERN, WHOLE],
    ["modern, with ports and INTx", { transport: "modern", bar: "io", interrupt: "intx" }, PART],
    ["virtio-mmio, version 2", { transport: "mmio" }, PART],
  ])("%s: gets all of a download that was under way, over the same connection", async (_, nic, bytes) => {
    server = await BlobServer.start(bytes);
    const url = `http://${GATEWAY}:${server.port}/blob`;
    const first = machine("start", nic, bytes, url);
    expect(await first.says()).toEqual({ saved: true });
    await first.kill();
    expect(first.child.signalCode).toBe("SIGKILL");
    // Half of it, as the NIC counts, headers and all.
    expect(network.counters.tcpBytesToGuest).toBeGreaterThan(bytes / 3);
    expect(network.counters.tcpBytesToGuest).toBeLessThan(bytes);

    const second = machine("resume", nic, bytes, url);
    expect(await second.says()).toEqual({ resumed: true });
    expect(await second.says()).toEqual({ got: { status: 0, bytes, digest: server.digest("md5") }, faults: 0 });
    expect([server.connections, stream.counters.connections]).toEqual([1, 2]);
  });

  it.each<readonly [string, NicChoice, number]>([
    ["modern, with MSI-X", MODERN, WHOLE],
    ["legacy, with INTx", { transport: "legacy", interrupt: "intx" }, PART],
    ["virtio-mmio, version 1", { transport: "mmio-legacy" }, PART],
  ])("%s: gives all of an upload that was under way, over the same connection", async (_, nic, bytes) => {
    const first = machine("start", nic, bytes);
    const { serves } = (await first.says()) as { readonly serves: ServedFile };
    const forward = await network.forward({ protocol: "tcp", hostPort: 0, guestPort: serves.port });
    const url = `http://127.0.0.1:${forward.hostPort}${serves.path}`;
    const fetched = fetchAll(url, "md5", new AbortController().signal);
    fetched.catch(() => {}); // looked at below, if it comes to that
    expect(await first.says()).toEqual({ saved: true });
    await first.kill();
    expect(first.child.signalCode).toBe("SIGKILL");
    expect(network.counters.tcpBytesFromGuest).toBeLessThan(bytes);

    expect(await machine("resume", nic, bytes).says()).toEqual({ resumed: true });
    expect(await fetched).toMatchObject({ bytes, digest: serves.digest });
  });
});
