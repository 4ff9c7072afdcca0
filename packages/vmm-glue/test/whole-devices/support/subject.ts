/** The device that is tried, its world side, and what the oracle knows of its answers. */
import type { VirtioDevice } from "@virtio-ts/virtio-device";
import type { Random } from "./port.ts";
import type { Piece, Used } from "./ring.ts";
import type { World } from "./world.ts";

export interface Subject {
  /** Features of its type to choose from. */
  readonly features: readonly number[];
  /** Makes the device, or another one in its place. */
  make(): VirtioDevice;
  /** Pieces of a chain for a queue: a good one. */
  pieces(queue: number, random: Random): Piece[];
  /** Something happens on the other side of the device. */
  outside(random: Random): void;
  /** Chains of a queue have come back. @throws Error where they are not what they should be */
  used(queue: number, used: readonly Used[]): void;
  /** The driver's use of the device has come to an end. */
  ended(): void;
  /** Shows that the device, which is live, does its work. */
  works(): void;
}

export type MakeSubject = (world: World) => Subject;
