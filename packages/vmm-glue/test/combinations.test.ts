/**
 * The table of combinations: each ring over each transport with each kind of interrupt and each way to suppress
 * notifications, our driver half against our device half, in one process.
 */

import {
  feature,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_VERSION_1,
} from "@virtio-ts/virtio-bindings";
import { describe, expect, test } from "vitest";
import { BusWorld, type InterruptName, L4World, type TransportName, type World } from "./support/combined.ts";
import { LoopDriver } from "./support/loop-driver.ts";

const FRAMES = 100_000;

interface Combination {
  readonly ring: "split" | "packed";
  readonly transport: TransportName;
  readonly interrupt: InterruptName | "IRQ objects";
  readonly options: readonly number[];
}

const OPTIONS: Readonly<Record<number, string>> = {
  [VIRTIO_F_EVENT_IDX]: "event idx",
  [VIRTIO_F_INDIRECT_DESC]: "indirect",
  [VIRTIO_F_IN_ORDER]: "in order",
};

/** Every subset of some feature bits. */
function subsets(bits: readonly number[]): number[][] {
  return bits.reduce<number[][]>((sets, bit) => sets.flatMap((set) => [set, [...set, bit]]), [[]]);
}

function table(): Combination[] {
  const rows: Combination[] = [];
  const ways: readonly (readonly [TransportName, readonly Combination["interrupt"][], legacy: boolean])[] = [
    ["pci modern", ["INTx", "MSI-X"], false],
    ["pci transitional as legacy", ["INTx", "MSI-X"], true],
    ["mmio 2", ["INTx"], false],
    ["mmio 1", ["INTx"], true],
    ["l4virtio", ["IRQ objects"], false],
  ];
  for (const [transport, interrupts, legacy] of ways) {
    const bits = [VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, ...(legacy ? [] : [VIRTIO_F_IN_ORDER])];
    for (const interrupt of interrupts) {
      for (const ring of legacy ? (["split"] as const) : (["split", "packed"] as const)) {
        for (const options of subsets(bits)) rows.push({ ring, transport, interrupt, options });
      }
    }
  }
  return rows;
}

function featuresOf({ ring, options }: Combination): bigint {
  return feature(VIRTIO_F_VERSION_1, ...options, ...(ring === "packed" ? [VIRTIO_F_RING_PACKED] : []));
}

function build(row: Combination): World {
  const features = featuresOf(row);
  if (row.transport === "l4virtio") return new L4World(features);
  return new BusWorld(row.transport, row.interrupt === "MSI-X" ? "MSI-X" : "INTx", features);
}

const rows = table().map((row) => {
  const options = row.options.map((bit) => OPTIONS[bit]).join(", ") || "nothing else";
  return [`${row.ring} over ${row.transport} with ${row.interrupt}, ${options}`, row] as const;
});

test("the table has all combinations there are", () => {
  expect(rows.length).toBe(2 * 2 * 8 + 2 * 4 + 2 * 8 + 4 + 2 * 8);
});

describe.each(rows)("%s", (_, row) => {
  test("100,000 frames go out and come in; through a move, a reset and a driver's death", {
    timeout: 60_000,
  }, async () => {
    const world = build(row);
    const first = new LoopDriver(await world.connect(), world.host, 0n);
    await first.start();
    const { features } = first.driver.einfo();
    const legacy = row.transport === "pci transitional as legacy" || row.transport === "mmio 1";
    const optional = feature(...Object.keys(OPTIONS).map(Number), VIRTIO_F_RING_PACKED, VIRTIO_F_VERSION_1);
    expect(features & optional).toBe(featuresOf(row) & ~(legacy ? feature(VIRTIO_F_VERSION_1) : 0n));
    first.exchange(FRAMES);
    expect(first.received).toBe(FRAMES);

    world.migrate();
    first.exchange(1000);
    await first.driver.stop();
    await first.resume();
    first.exchange(1000);

    world.killDriver();
    const second = new LoopDriver(await world.connect(), world.host, 0n);
    await second.start();
    second.exchange(1000);
    expect(second.received).toBe(1000);
    await second.end();
    expect(world.host.dma.allocated).toBe(0);
    expect(world.faults).toBe(0);
  });
});
