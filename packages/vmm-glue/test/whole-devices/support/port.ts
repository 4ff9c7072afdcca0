/** How the guest reaches a device, whatever the transport: what a driver does, and what one gone mad does. */
import type { DeviceFault, VirtioDevice } from "@virtio-ts/virtio-device";
import type { Scheduler } from "@virtio-ts/vm-device";
import type { Arena } from "./arena.ts";
import type { Areas } from "./ring.ts";

export type Random = (below: number) => number;

/** What a device is put behind, and whom it calls. */
export interface Surroundings {
  readonly arena: Arena;
  readonly scheduler: Scheduler;
  readonly ringFeatures: bigint;
  /** The device interrupts, or changes its line. */
  interrupt(): void;
  fault(fault: DeviceFault): void;
}

/** An access of a driver gone mad. */
export interface Poke {
  /** What it may change of what the oracle goes by: nothing; device status; where queues are, or what was agreed on. */
  readonly touches: "nothing" | "status" | "queues";
  run(): void;
}

/** The registers of one device. */
export interface Port {
  readonly legacy: boolean;
  status(): number;
  setStatus(value: number): void;
  accept(features: bigint): void;
  /** Places a queue, and enables it. */
  place(queue: number, areas: Areas): void;
  /** Takes a queue back from the device. @returns whether it was taken back alone */
  takeBack(queue: number): boolean;
  kick(queue: number): void;
  /** Reads, and so clears, what the device interrupts for. */
  acknowledge(): void;
  /** Some access to some register. */
  poke(random: Random): Poke;
  /** Whether the device may reach memory; lets it, or not. */
  mastering: boolean;
  save(): unknown;
  restore(state: unknown): void;
}

/** Puts a device behind registers. */
export type Plug = (device: VirtioDevice, around: Surroundings) => Port;

const EDGES = [0, 1, 2, 3, 7, 11, 15, 16, 0x7f, 0x80, 0xff, 0x1000, 0xffff, 0x1_0000, 0x8000_0000, 0xffff_ffff];

/** A value that some driver may write. */
export function anyValue(random: Random): number {
  const kind = random(3);
  if (kind === 0) return EDGES[random(EDGES.length)];
  return kind === 1 ? random(0x40) * 0x1000 : random(2 ** 32);
}
