/**
 * For tests of transports: a driver that reads and writes registers at random, at any offset and width, in any state of
 * the device. Its seed reproduces a run.
 * @module
 */

import type { AccessWidth, RegisterBlock } from "@virtio-ts/vm-device";
import type { DeviceCore } from "../core.ts";
import { rulesOf, statusInOrder } from "../driver-rules.ts";

/** Options of {@link fuzzRegisters}. */
export interface RegisterFuzz {
  /** Seed of the random numbers: the same seed repeats the same run. */
  readonly seed: number;
  /** Total accesses. */
  readonly accesses: number;
  /** The accessed blocks: each register block, and configuration space as one. */
  readonly blocks: readonly RegisterBlock[];
  /** The state machine behind them. */
  readonly core: DeviceCore;
  /**
   * Events, one at random every {@link STRIDE} accesses: a step that brings the device into some state, traffic, the
   * machine's deferred work.
   */
  readonly events: readonly (() => void)[];
  /** Bytes of guest memory, so that some of the written addresses are valid. */
  readonly memorySize: number;
}

/** The outcome of a run. */
export interface RegisterFuzzOutcome {
  /** Every value of device status that was read. */
  readonly statuses: ReadonlySet<number>;
  /** How often the device went live. */
  readonly activations: number;
}

/** Accesses from one event to the next. */
export const STRIDE = 64;

const WIDTHS = [1, 2, 4] as const;
const STATUSES = [0, 1, 3, 7, 11, 15, 16, 31, 64, 128, 143, 255] as const;
const EDGES = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x8000_0000, 0xffff_ffff] as const;
const PAGE = 0x1000;
/** Most registers are below this offset in a block. */
const NEAR = 0x80;

/**
 * Accesses registers at random.
 * @throws Error naming the access after which a register threw, returned a value outside its width, or left the state
 * machine in a state unknown to the standard
 */
export function fuzzRegisters(fuzz: RegisterFuzz): RegisterFuzzOutcome {
  const { blocks, core, events, memorySize } = fuzz;
  const random = randomNumbers(fuzz.seed);
  const statuses = new Set<number>();
  const before = core.counters.activations;
  for (let i = 0; i < fuzz.accesses; i++) {
    if (i % STRIDE === 0 && events.length > 0) events[random(events.length)]();
    const index = random(blocks.length);
    const block = blocks[index];
    const width = WIDTHS[random(3)];
    const offset = randomOffset(random, block.size, width);
    const written = random(4) > 0 ? randomValue(random, memorySize) % 2 ** (8 * width) : null;
    const failure = access(block, offset, width, written) ?? stateFailure(core);
    if (failure !== null) {
      const kind = written === null ? "read" : `write of ${written}`;
      const where = `${kind}, ${width} bytes at ${offset} of block ${index}`;
      throw new Error(`seed ${fuzz.seed}, access ${i} (${where}): ${failure.message}`, { cause: failure });
    }
    statuses.add(core.status);
  }
  return { statuses, activations: core.counters.activations - before };
}

/**
 * Random numbers, the same in each run (xorshift).
 * @returns a generator of whole numbers below its argument
 */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Mostly in the range of the registers, aligned to the width; sometimes anywhere. */
function randomOffset(random: (below: number) => number, size: number, width: AccessWidth): number {
  const anywhere = random(size - width + 1);
  return random(4) === 0 ? anywhere : (anywhere % NEAR) & -width;
}

/** Values that drivers write, values that they never should, and random ones. */
function randomValue(random: (below: number) => number, memorySize: number): number {
  switch (random(6)) {
    case 0:
      return STATUSES[random(STATUSES.length)];
    case 1:
      return EDGES[random(EDGES.length)];
    case 2:
      return random(8);
    case 3:
      return random(Math.ceil(memorySize / PAGE)) * PAGE;
    case 4:
      return random(Math.ceil(memorySize / PAGE)); // an address in pages
    default:
      return random(2 ** 32);
  }
}

function access(block: RegisterBlock, offset: number, width: AccessWidth, written: number | null): Error | null {
  try {
    if (written !== null) {
      block.write(offset, width, written);
      return null;
    }
    const value = block.read(offset, width);
    const fits = Number.isInteger(value) && value >= 0 && value < 2 ** (8 * width);
    return fits ? null : new Error(`it reads as ${value}`);
  } catch (cause) {
    return new Error("it threw", { cause });
  }
}

function stateFailure(core: DeviceCore): Error | null {
  const { status, legacy } = core;
  return statusInOrder(status, rulesOf(legacy)) ? null : new Error(`device status is ${status}, legacy ${legacy}`);
}
