/** The echo device: what comes back must be what was read. */
import { ANSWER_MAX, EchoDevice } from "./echo-device.ts";
import type { Random } from "./port.ts";
import type { Piece, Used } from "./ring.ts";
import { writableOf } from "./ring.ts";
import type { MakeSubject, Subject } from "./subject.ts";
import { QUEUE_SIZE, type World } from "./world.ts";

const LENGTHS = [0, 1, 2, 16, 63, 300];

class EchoSubject implements Subject {
  readonly features: readonly number[] = [];
  readonly #world: World;
  readonly #late: boolean;
  #device!: EchoDevice;

  constructor(world: World, late: boolean) {
    this.#world = world;
    this.#late = late;
  }

  make(): EchoDevice {
    this.#device = new EchoDevice(QUEUE_SIZE, this.#late);
    return this.#device;
  }

  pieces(_queue: number, random: Random): Piece[] {
    const readable = random(3);
    return Array.from({ length: 1 + random(4) }, (_, i) =>
      this.#world.piece(LENGTHS[random(LENGTHS.length)], i >= readable),
    );
  }

  outside(random: Random): void {
    const world = this.#world;
    world.act("late answers", () => {
      for (let n = random(4); n >= 0; n--) this.#device.complete(random);
    });
  }

  used(_queue: number, used: readonly Used[]): void {
    for (const { chain, length } of used) {
      const asked = this.#world.arena.read(chain.readable, ANSWER_MAX);
      const expected = asked.subarray(0, Math.min(asked.length, writableOf(chain)));
      const answer = this.#world.arena.read(chain.writable, length);
      if (length !== expected.length && !this.#world.inOrder) throw new Error(`${length} bytes of ${expected.length}`);
      if (Buffer.compare(answer.subarray(0, expected.length), expected) !== 0) throw new Error("another answer");
    }
  }

  ended(): void {}

  works(): void {
    const world = this.#world;
    for (const queue of [0, 1]) {
      world.offer(queue, [world.piece(60, false), world.piece(60, true)]);
      world.kick(queue);
      world.act("late answers", () => this.#device.completeAll());
      world.turn();
      if ((world.rings[queue]?.outstanding.length ?? 1) > 0) throw new Error(`queue ${queue} does not work any more`);
    }
  }
}

/** @param late answers come late, and in any order */
export function echo(late: boolean): MakeSubject {
  return (world) => new EchoSubject(world, late);
}
