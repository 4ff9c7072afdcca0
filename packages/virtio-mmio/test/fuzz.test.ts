/**
 * A driver gone mad on a network device: random accesses of every width at every offset, in random states of
 * the device, with traffic, rings full of nonsense, and snapshots in between.
 */
import { FrameBurst, type NetBackend, OFFLOAD_ALL } from "@virtio-ts/net-link";
import { rounds } from "@virtio-ts/rounds";
import { fuzzRegisters, ManualScheduler, randomNumbers } from "@virtio-ts/virtio-device/testing";
import { NetDevice } from "@virtio-ts/virtio-net";
import type { AccessWidth, RegisterBlock } from "@virtio-ts/vm-device";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { VirtioMmioDevice, type VirtioMmioOptions } from "../src/index.ts";
import { Guest } from "./support/guest.ts";
import { Line } from "./support/setup.ts";

const MEMORY_SIZE = 0x1_0000;
/** Bytes before and behind guest memory in the same buffer, which nobody may touch. */
const GUARD = 0x1_0000;
const ACCESSES = rounds(300_000);
const RING_RESET = 1n << 40n;
const SUSPEND = 1n << 43n;

/** Part of a block, so that the driver is more often where there is something. */
function part(block: RegisterBlock, start: number, size: number): RegisterBlock {
  return {
    size,
    read: (offset, width) => block.read(start + offset, width),
    write: (offset, width, value) => block.write(start + offset, width, value),
  };
}

/** Only accesses that a control register takes. */
function aligned(block: RegisterBlock): RegisterBlock {
  return {
    size: 0x100,
    read: (offset, width) => (width === 4 ? block.read(offset & ~3, 4) : block.read(offset, width)),
    write: (offset, _width: AccessWidth, value) => block.write(offset & ~3, 4, value),
  };
}

describe.each([
  { name: "version 2", options: {}, seed: 0x1001 },
  { name: "legacy version 1", options: { version: 1 }, seed: 0x1002 },
  {
    name: "Dragonball's map",
    options: { dragonball: { msi: { send: () => {} }, perQueueNotify: true, interruptUsed: true } },
    seed: 0x1003,
  },
] as const satisfies readonly { name: string; options: Partial<VirtioMmioOptions>; seed: number }[])(
  "random accesses to $name",
  ({ options, seed }) => {
    it("throw nothing, touch nothing else, leave nothing behind, and a reset brings the device back", () => {
      const version = "version" in options ? options.version : 2;
      const buffer = new Uint8Array(MEMORY_SIZE + 2 * GUARD).fill(0xa5);
      const bytes = buffer.subarray(GUARD, GUARD + MEMORY_SIZE);
      const memory = GuestMemory.of(bytes);
      const scheduler = new ManualScheduler();
      const line = new Line();
      const nic = new NetDevice({ queueSize: 16 });
      let sent = 0;
      const backend: NetBackend = {
        accepts: OFFLOAD_ALL,
        take: (burst) => {
          sent += burst.count;
          return burst.count;
        },
        resume: () => {},
        attach: () => {},
        detach: () => {},
      };
      nic.attach(backend);
      const mmio = new VirtioMmioDevice(nic, { memory, scheduler, line, ...options });
      const guest = new Guest(mmio);
      const frames = new FrameBurst();
      frames.addFrame(new Uint8Array(60));
      const random = randomNumbers(seed);
      let mostTasks = 0;
      let restored = 0;

      const live = (): void => {
        guest.status = 0;
        bytes.fill(0);
        if (version === 1) guest.goLiveLegacy();
        else guest.goLive((RING_RESET | SUSPEND) & guest.offered);
      };
      const events: readonly (() => void)[] = [
        live,
        () => {
          live();
          guest.status = version === 1 ? 3 : 11;
        },
        () => {
          for (let i = 0; i < 64; i++) bytes[random(MEMORY_SIZE)] = random(256);
        },
        () => {
          // One chain of the transmit queue, as a driver makes it: at 0x8000, whichever the version.
          const view = new DataView(bytes.buffer, bytes.byteOffset);
          view.setUint32(0x8000, 0xc000, true);
          view.setUint32(0x8008, 12 + random(200), true);
          view.setUint32(0x800c, random(4) === 0 ? random(8) : 0, true);
          view.setUint16(version === 1 ? 0x8102 : 0x9002, 1 + random(4), true);
          guest.kick(1);
        },
        () => void nic.take(frames, 0),
        () => {
          nic.linkUp = !nic.linkUp;
        },
        () => {
          mostTasks = Math.max(mostTasks, scheduler.tasks.length);
          scheduler.run();
        },
        () => {
          const state = structuredClone(mmio.save());
          mmio.reset();
          mmio.restore(state);
          restored++;
        },
      ];
      const blocks = [
        mmio,
        aligned(mmio),
        part(mmio, 0x30, 0x90),
        part(mmio, 0xc0, 0x60),
        part(mmio, mmio.size - 0x1000, 0x20),
      ];
      const { core } = mmio;
      const outcome = fuzzRegisters({ seed, accesses: ACCESSES, blocks, core, events, memorySize: MEMORY_SIZE });

      const guards = [buffer.subarray(0, GUARD), buffer.subarray(GUARD + MEMORY_SIZE)];
      expect(guards.every((guard) => guard.every((byte) => byte === 0xa5))).toBe(true);
      expect(mostTasks).toBeLessThan(64);
      const enough = [outcome.activations > ACCESSES / 1000, restored > ACCESSES / 1000, sent > ACCESSES / 10_000];
      expect(enough).toEqual([true, true, true]);
      expect(outcome.statuses).toContain(0);
      expect(outcome.statuses).toContain(version === 1 ? 7 : 15);
      expect(line.level).toBe(mmio.save().interruptStatus !== 0);
      live();
      expect([guest.status, line.level]).toEqual([version === 1 ? 7 : 15, false]);
    });
  },
);
