/** Frames over a socket to QEMU: its own user-mode network answers ours, whoever of the two listens. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectStream, listenStream, type StreamBackend } from "@virtio-ts/net-backends/node";
import { connect, FrameBurst, type NetBackend, type NetPort } from "@virtio-ts/net-link";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { hasPeers, peer } from "../src/peers.ts";

const OUR_MAC = [2, 0, 0, 0, 0, 1];
const OUR_ADDRESS = [10, 0, 2, 15];
const GATEWAY = [10, 0, 2, 2];
const NAME_SERVER = [10, 0, 2, 3];
/** libslirp's addresses begin so; the rest is the IPv4 address. */
const SLIRP = [0x52, 0x55];

const until = (condition: () => boolean): Promise<unknown> => vi.waitUntil(condition, { timeout: 60_000, interval: 5 });

/** Who has this address? */
function arpRequest(address: number[]): Uint8Array {
  const question = [0, 1, 8, 0, 6, 4, 0, 1, ...OUR_MAC, ...OUR_ADDRESS, 0, 0, 0, 0, 0, 0, ...address];
  return Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ...OUR_MAC, 8, 6, ...question);
}

/** Asks, and keeps the answers to it: hardware and protocol address of each. */
class Asker implements NetBackend {
  readonly accepts = 0;
  readonly answers: number[][] = [];
  #peer: NetPort | undefined;

  ask(...addresses: number[][]): void {
    const burst = new FrameBurst();
    for (const address of addresses) burst.addFrame(arpRequest(address));
    this.#peer?.take(burst, 0);
  }
  take(burst: FrameBurst, first: number): number {
    for (let i = first; i < burst.count; i++) {
      const frame = new Uint8Array(burst.lengths[i]);
      burst.copyFrame(i, 0, frame, 0, frame.length);
      const isAnswer = frame[12] === 8 && frame[13] === 6 && frame[21] === 2;
      if (isAnswer) this.answers.push([...frame.subarray(22, 32)]);
    }
    return burst.count;
  }
  resume(): void {}
  attach(port: NetPort): void {
    this.#peer = port;
  }
  detach(): void {}
}

describe.runIf(hasPeers("qemu-system-x86_64"))("QEMU at the other end of a stream", () => {
  let folder: string;
  let path: string;
  let stream: StreamBackend;
  let qemu: ChildProcess;
  let asker: Asker;

  beforeEach(() => {
    asker = new Asker(); // one that is connected takes no other link
    folder = mkdtempSync(join(tmpdir(), "virtio-ts-stream-"));
    path = join(folder, "net");
  });
  afterEach(async () => {
    stream.close();
    await kill();
    rmSync(folder, { recursive: true });
  });

  /** A QEMU without a machine: its user-mode network, and the netdev given, on one hub. */
  function start(netdev: string): void {
    const network = ["-netdev", "user,id=u", "-netdev", "hubport,id=a,hubid=0,netdev=u"];
    const ours = ["-netdev", `${netdev},id=s`, "-netdev", "hubport,id=b,hubid=0,netdev=s"];
    const program = peer("qemu-system-x86_64");
    qemu = spawn(program, ["-M", "none", "-display", "none", ...network, ...ours], { stdio: "ignore" });
  }

  async function kill(): Promise<void> {
    if (qemu.exitCode !== null || qemu.signalCode !== null) return; // it says so once only
    const ended = new Promise((resolve) => qemu.once("exit", resolve));
    qemu.kill("SIGKILL");
    await ended;
  }

  async function expectAnswers(): Promise<void> {
    await until(() => stream.connected);
    asker.ask(GATEWAY, NAME_SERVER);
    await until(() => asker.answers.length === 2);
    expect(asker.answers).toEqual([
      [...SLIRP, ...GATEWAY, ...GATEWAY],
      [...SLIRP, ...NAME_SERVER, ...NAME_SERVER],
    ]);
    expect(stream.counters).toMatchObject({ framesOut: 2, droppedLength: 0 });
  }

  it("connects to us (-netdev stream)", async () => {
    stream = await listenStream({ path });
    connect(asker, stream);
    start(`stream,server=off,addr.type=unix,addr.path=${path}`);
    await expectAnswers();
  });

  it("connects to us (-netdev socket, over TCP)", async () => {
    stream = await listenStream({ port: 0 });
    connect(asker, stream);
    const { port } = stream.address as { readonly port: number };
    start(`socket,connect=127.0.0.1:${port}`);
    await expectAnswers();
  });

  it("is connected to by us (-netdev stream), and again when it was killed and started anew", async () => {
    stream = connectStream({ path }, { reconnectMs: 20 });
    connect(asker, stream);
    start(`stream,server=on,addr.type=unix,addr.path=${path}`);
    await expectAnswers();
    await kill();
    await until(() => !stream.connected);
    start(`stream,server=on,addr.type=unix,addr.path=${path}`);
    await until(() => stream.connected);
    asker.ask(GATEWAY);
    await until(() => asker.answers.length === 3);
    expect(stream.counters.connections).toBe(2);
  });
});
