/**
 * A driver gone mad on the PCI bus: random accesses of every width at every offset, to configuration space and its
 * window, to each BAR, and to the ports and addresses of the machine, in random states of a network card, with
 * traffic, sleep, plugging and snapshots in between.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { fuzzRegisters, ManualScheduler, randomNumbers } from "@virtio-ts/virtio-device/testing";
import type { VirtioPciOptions } from "@virtio-ts/virtio-pci/device";
import type { RegisterBlock } from "@virtio-ts/vm-device";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { describe, expect, it } from "vitest";
import { Machine } from "../src/index.ts";
import { frame, Nic } from "./support/nic.ts";

const MEMORY = 0x40_0000;
/** Bytes before and behind guest memory in the same buffer, which nobody may touch. */
const GUARD = 0x1_0000;
const RING = 16;
const ACCESSES = 350_000;
/** Bytes of heap that may stay: what is left of every access would be more than 5 MB. */
const HEAP = 3_000_000;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Bytes of heap in use when all that can go is gone. */
function heap(): number {
  collect();
  return getHeapStatistics().used_heap_size;
}

/** Part of what can be accessed, so that the driver is more often where there is something. */
function part(block: Omit<RegisterBlock, "size">, start: number, size: number): RegisterBlock {
  return {
    size,
    read: (offset, width) => block.read(start + offset, width),
    write: (offset, width, value) => block.write(start + offset, width, value),
  };
}

const KINDS: readonly (readonly [string, Partial<VirtioPciOptions>, seed: number])[] = [
  ["a modern function", {}, 0x2001],
  ["one of PCI Express", { express: true, notifyMultiplier: 0 }, 0x2002],
  ["a transitional one, its structures in I/O space", { mode: "transitional", bar: "io" }, 0x2003],
  ["a legacy one", { mode: "legacy" }, 0x2004],
];

describe.each(KINDS)("350,000 random accesses to %s", (_, options, seed) => {
  it("throw nothing, touch nothing else, leave nothing behind, and a reset brings the card back", () => {
    const random = randomNumbers(seed);
    const buffer = new Uint8Array(MEMORY + 2 * GUARD).fill(0xa5);
    const bytes = buffer.subarray(GUARD, GUARD + MEMORY).fill(0);
    const scheduler = new ManualScheduler();
    const memory = new GuestMemory([new MemoryRegion(0, bytes)]);
    let messages = 0;
    const machine = new Machine({ memory, scheduler, msi: { send: () => void messages++ } });
    const legacy = options.mode === "legacy";
    const nic = new Nic(machine, "nic", legacy ? "legacy" : "modern", {
      ringSize: RING,
      interrupt: "msix",
      pci: options,
    });
    const { transport, slot } = nic.attachment;
    const { core } = transport;
    let [restored, sent, received, mostTasks] = [0, 0, 0, 0];

    /** What firmware and driver do: from bus reset to DRIVER_OK. */
    const bringUp = (): void => {
      transport.reset();
      for (const [bar, address] of nic.attachment.bars) {
        nic.config.write(0x10 + 4 * bar.index, 4, address);
        if (bar.kind === "memory64") nic.config.write(0x14 + 4 * bar.index, 4, 0);
      }
      nic.config.write(4, 2, 7);
      nic.up();
      if (random(2) === 0) useMessages();
      nic.wire.frames.length = 0;
    };
    /** Maps every event to vector 0, and unmasks that. */
    const useMessages = (): void => {
      for (const at of nic.config.capabilities(0x11)) nic.config.write(at + 2, 2, 0x8000);
      const table = nic.config.bar(1);
      for (const [at, value] of [
        [0, 0xfee0_0000],
        [4, 0],
        [12, 0],
      ])
        table.write(at, 4, value);
      const structures = nic.config.bar(legacy ? 0 : 2);
      const [select, configVector, queueVector] = legacy ? [14, 20, 22] : [22, 16, 26];
      structures.write(configVector, 2, 0);
      for (const queue of [0, 1]) {
        structures.write(select, 2, queue);
        structures.write(queueVector, 2, 0);
      }
    };
    const events: readonly (() => void)[] = [
      bringUp,
      () => {
        bringUp();
        nic.registers.setStatus(0);
        nic.registers.setStatus(3);
      },
      () => {
        for (let i = 0; i < 64; i++) bytes[nic.base + random(0x2000)] = random(256);
      },
      () => {
        if (random(2) === 0) bringUp();
        const before = nic.wire.frames.length;
        nic.send(frame(1), frame(2));
        sent += nic.wire.frames.length - before;
        nic.wire.frames.length = 0;
      },
      () => {
        if (random(2) === 0) bringUp();
        nic.postBuffers(2);
        received += nic.wire.sendAll([frame(3), frame(4)]);
      },
      () => {
        nic.device.linkUp = !nic.device.linkUp;
      },
      () => {
        nic.wire.full = !nic.wire.full;
        nic.wire.drain();
      },
      () => {
        mostTasks = Math.max(mostTasks, scheduler.tasks.length);
        scheduler.run();
      },
      () => {
        const state = structuredClone(transport.save());
        transport.reset();
        transport.restore(state);
        restored++;
      },
    ];
    const devfn = slot.device * 8;
    const config: RegisterBlock = {
      size: options.express === true ? 4096 : 256,
      read: (offset, width) => machine.pci.configRead(devfn, offset, width),
      write: (offset, width, value) => machine.pci.configWrite(devfn, offset, width, value),
    };
    const window = nic.config.capabilities(9).find((at) => nic.config.read(at + 3, 1) === 5);
    const blocks = [
      config,
      ...(window === undefined ? [] : [part(config, window, 20)]),
      ...transport.bars.flatMap(({ block }) => [block, part(block, 0, Math.min(block.size, 64))]),
      part(machine.ports, 0xc000, 0x800),
      part(machine.mmio, 0xe000_0000, 0x1_0000),
    ];
    const before = heap();
    const outcome = fuzzRegisters({ seed, accesses: ACCESSES, blocks, core, events, memorySize: MEMORY });

    nic.faults.length = 0;
    expect(heap() - before).toBeLessThan(HEAP);
    const guards = [buffer.subarray(0, GUARD), buffer.subarray(GUARD + MEMORY)];
    expect(guards.every((guard) => guard.every((byte) => byte === 0xa5))).toBe(true);
    expect(mostTasks).toBeLessThan(64);
    expect(outcome.statuses).toContain(0);
    expect(outcome.statuses).toContain(legacy ? 7 : 15);
    const seen = { activations: outcome.activations, restored, sent, received, messages };
    for (const [what, count] of Object.entries(seen)) expect([what, count > 100]).toEqual([what, true]);
    nic.device.linkUp = true;
    nic.wire.drain();
    bringUp();
    nic.expectWorks();
  });
});
