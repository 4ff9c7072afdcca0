/**
 * A history of the driver's half of a queue, beside the model and a naive device that reads what the code lays out, and
 * uses it honestly or not.
 * @module
 */

import {
  BufferElements,
  type DriverQueue,
  type DriverQueueConfig,
  type DriverQueueFault,
  type DriverQueueState,
  PackedDriverQueue,
  QUEUE_FULL,
  QUEUE_MALFORMED,
  SplitDriverQueue,
  UsedBurst,
} from "@virtio-ts/virtio-queue";
import { Disagreement, same } from "./compare.ts";
import type { Buffer, DriverModel } from "./driver-model.ts";
import { Place } from "./naive-packed-device.ts";
import { PackedUser, SplitUser, type User } from "./naive-user.ts";
import { PackedDriverModel } from "./packed-driver-model.ts";
import { Random } from "./random.ts";
import { elements, type Format, type Setup, setup } from "./setup.ts";
import { SplitDriverModel } from "./split-driver-model.ts";
import { driverState, startOf } from "./starts.ts";

/** How many bytes there are for indirect tables. */
const TABLES = 0x700;

export class DriverHistory {
  /** What was done, in words. */
  readonly said: string[] = [];
  private readonly stage: Setup;
  private readonly config: DriverQueueConfig;
  private readonly used = new UsedBurst();
  private readonly elements = new BufferElements();
  private queue: DriverQueue;
  private model: DriverModel;
  private user: User;
  private heard: DriverQueueFault[] = [];
  /** Buffers whose descriptors the device has perhaps written over, without any right to. */
  private readonly doubtful = new Set<Buffer>();
  /** In order in a split ring: the descriptor that the next buffer starts with (2.7.5). */
  private nextDescriptor = 0;

  constructor(format: Format, seed: number) {
    const random = new Random(seed);
    this.stage = setup(format, random);
    const { queue, tables, memory, hostility } = this.stage;
    const address = Math.ceil(tables / 16) * 16;
    const entries = random.between(1, Math.min(8, Math.floor(TABLES / 16 / queue.size)));
    this.config = {
      ...queue,
      indirect: queue.indirect ? { address, entries } : undefined,
      maxChain: random.chance(30) ? random.between(1, queue.size + 1) : undefined,
      legacy: random.chance(20),
      onFault: (fault) => void this.heard.push(fault),
    };
    const start = startOf(format, queue.size, random);
    const { model, user } = this.begin(start);
    this.model = model;
    this.user = user;
    const regions = memory.regions.map((r) => `${r.size} at 0x${r.start.toString(16)}`).join(", ");
    const { onFault, ...plain } = this.config;
    this.said.push(`${format}, start ${start}, hostility ${hostility}, ${JSON.stringify(plain)}, regions: ${regions}`);
    this.queue = this.make(start === 0 ? undefined : driverState(format, queue.size, start));
  }

  /** One step, and all that must hold after it. */
  step(seed: number): void {
    const random = new Random(seed);
    if (this.model.faults !== null && random.chance(60)) this.reset();
    else this.act(random);
    this.compare();
  }

  private act(random: Random): void {
    const roll = random.below(100);
    if (roll < 35) this.add(random);
    else if (roll < 50) this.publish();
    else if (roll < 70) this.use(random);
    else if (roll < 86) this.take(random);
    else if (roll < 89) this.disable();
    else if (roll < 92) this.enable();
    else if (roll < 95) this.user.setEvent(random);
    else if (roll < 98) this.move();
    else this.reset();
  }

  private begin(start: number): { model: DriverModel; user: User } {
    const { memory, queue, format } = this.stage;
    const legacy = this.config.legacy === true;
    if (format === "split") {
      const user = new SplitUser(memory, queue, start);
      return { user, model: new SplitDriverModel(memory, queue, legacy, start) };
    }
    const place = new Place(queue.size, 0, 1).move(start);
    return { user: new PackedUser(memory, queue, place), model: new PackedDriverModel(memory, queue, legacy, place) };
  }

  private make(state: DriverQueueState | undefined): DriverQueue {
    const { guest } = this.stage.memory;
    const config = { ...this.config, state };
    return this.stage.format === "split" ? new SplitDriverQueue(guest, config) : new PackedDriverQueue(guest, config);
  }

  private add(random: Random): void {
    const count = random.pick([1, 1, 2, 3, 8]);
    for (let i = 0; i < count; i++) this.addOne(random);
    this.look();
    // What the device has stays as it was told of it, but where the device itself has written.
    for (const buffer of this.model.told) {
      const stays = this.user.keeps(buffer) && !this.doubtful.has(buffer);
      if (stays) this.compareChain(buffer, this.model.again(buffer), false);
    }
  }

  private addOne(random: Random): void {
    const { queue } = this.stage;
    const list = elements({ ...this.stage, hostility: 0 }, random, queue.size + 1);
    this.elements.clear();
    const sound = list.every(({ length }) => length > 0);
    const bytes = list.reduce((sum, { length }) => sum + length, 0);
    if (bytes >= 2 ** 32) return;
    let refused: unknown = null;
    let head = -1;
    try {
      for (const { address, length, writable } of list) {
        if (writable) this.elements.writable(Number(address), length);
        else this.elements.readable(Number(address), length);
      }
      head = this.queue.add(this.elements);
    } catch (error) {
      refused = (error as { code: string }).code;
    }
    this.said.push(`add ${list.length} elements: ${refused ?? head}`);
    const most = Math.min(queue.size, this.config.maxChain ?? queue.size);
    // No descriptor is for nothing; what is longer than it may be is refused however full the queue is.
    const expected = !sound ? "element" : list.length > Math.max(most, 1) ? "too-long" : null;
    same("why a buffer is refused", refused, expected);
    if (refused !== null) return;
    const through = this.config.indirect?.entries ?? 0;
    const entries = list.length > 1 && list.length <= through ? 1 : list.length;
    if (this.model.faults !== null) same("add", head, QUEUE_MALFORMED);
    else if (entries > this.model.free) same("add", head, QUEUE_FULL);
    else {
      const taken = this.model.buffers.some((buffer) => buffer.head === head);
      if (head < 0 || head >= queue.size || taken) throw new Disagreement(`add says ${head}, which is no free head`);
      const writable = list.reduce((sum, element) => sum + (element.writable ? element.length : 0), 0);
      this.model.buffers.push({ head, elements: list, entries, writable, told: false, start: -1 });
    }
  }

  /** What the device finds is what was added, in that order; before, it finds nothing. */
  private publish(): void {
    const { model, queue } = this;
    if (!this.user.misbehaved) same("what the device finds before it is told", model.published([]), null);
    const added = model.buffers.filter(({ told }) => !told);
    const expected = model.faults === null ? added : [];
    const wanted = queue.publish();
    this.said.push(`publish of ${added.length} says ${wanted}`);
    this.look();
    expected.forEach((buffer, i) => {
      if (!this.doubtful.has(buffer)) this.compareChain(buffer, model.published(expected.slice(0, i)), true);
      this.nextDescriptor = (this.nextDescriptor + buffer.entries) % this.stage.queue.size;
    });
    if (!this.user.misbehaved) same("what the device finds behind it", model.published(expected), null);
    const outstanding = model.told.length;
    same("publish", wanted, model.publish());
    this.user.hold(model.told.slice(outstanding));
  }

  private compareChain(buffer: Buffer, walk: ReturnType<DriverModel["again"]> | null, fresh: boolean): void {
    if (walk === null || !walk.sound)
      throw new Disagreement(`buffer ${buffer.head}: ${walk?.faults.join() ?? "absent"}`);
    same("the head of a buffer", walk.id, buffer.head);
    same(`the descriptors of buffer ${buffer.head}`, walk.descriptors.length, buffer.entries);
    const say = ({ address, length, writable }: Buffer["elements"][0]) => `${address}+${length}${writable ? "w" : "r"}`;
    same(`buffer ${buffer.head}`, walk.elements.map(say).join(), buffer.elements.map(say).join());
    if (!fresh || this.stage.format === "packed" || !this.stage.queue.inOrder) return;
    const { size } = this.stage.queue;
    const expected = walk.descriptors.map((_, i) => (this.nextDescriptor + i) % size);
    same("descriptors in order", walk.descriptors.join(), expected.join());
  }

  private use(random: Random): void {
    const count = random.pick([1, 1, 2, 5, 64]);
    const hostile = random.chance(3 * this.stage.hostility);
    this.said.push(this.user.use(random, count, hostile));
    if (this.user.misbehaved) for (const buffer of this.model.buffers) this.doubtful.add(buffer);
  }

  private take(random: Random): void {
    const max = random.pick([0, 1, 1, 2, 3, 64, 64]);
    const expected = this.model.take(max);
    const found = this.queue.take(this.used, max);
    this.said.push(`take of ${max} says ${found}`);
    const list = typeof expected === "number" ? [] : expected;
    same("take", found, typeof expected === "number" ? expected : expected.length);
    same("used.count", this.used.count, list.length);
    list.forEach(({ head, length }, i) => {
      same(`head of used buffer ${i}`, this.used.heads[i], head);
      same(`length of used buffer ${i}`, this.used.lengths[i], length);
    });
  }

  private disable(): void {
    this.said.push("disableNotifications");
    this.queue.disableNotifications();
    this.model.disable();
  }

  private enable(): void {
    this.said.push("enableNotifications");
    same("enableNotifications", this.queue.enableNotifications(), this.model.enable());
  }

  /** Saves the queue, and goes on with what is made from that. */
  private move(): void {
    if (this.model.buffers.some(({ told }) => !told)) return;
    this.said.push("save and restore");
    this.queue = this.make(structuredClone(this.queue.save()));
    Object.assign(this.model.counters, { available: 0, used: 0, notified: 0, suppressed: 0, malformed: 0 });
  }

  private reset(): void {
    this.said.push("reset");
    const old = this.queue;
    const { fault } = old;
    old.close();
    same("publish after close", old.publish(), false);
    same("take after close", old.take(this.used, 8), fault === null ? 0 : QUEUE_MALFORMED);
    old.disableNotifications();
    same("enableNotifications after close", old.enableNotifications(), false);
    same("hasUsed after close", old.hasUsed(), false);
    this.look();
    const { memory, queue, format } = this.stage;
    // A new queue finds its areas as it is to leave them: zero (2.7.10.1).
    const bytes =
      format === "split" ? [16 * queue.size, 6 + 2 * queue.size, 6 + 8 * queue.size] : [16 * queue.size, 4, 4];
    [queue.descriptorArea, queue.driverArea, queue.deviceArea].forEach((area, i) => {
      for (let at = 0; at < bytes[i]; at++) memory.put(area + at, 1, 0xee);
      for (let at = 0; at < bytes[i]; at++) memory.expect(area + at, 1, 0);
    });
    this.heard = [];
    this.nextDescriptor = 0;
    this.queue = this.make(undefined);
    same("memory of a new queue", memory.difference([]), null);
    const { model, user } = this.begin(0);
    this.model = model;
    this.user = user;
  }

  /** Lets the naive side see what the code has written where it may. */
  private look(): void {
    const { indirect, size } = this.config;
    const leeway = this.model.leeway();
    if (indirect !== undefined) leeway.push({ address: indirect.address, length: 16 * size * indirect.entries });
    same("memory", this.stage.memory.difference(leeway), null);
  }

  private compare(): void {
    const { queue, model } = this;
    this.look();
    const { faults } = model;
    const code = queue.fault?.code ?? null;
    if (faults === null || code === null) same("fault", code, faults);
    else if (!faults.includes(code)) throw new Disagreement(`fault ${code}, expected one of ${faults.join()}`);
    same("times that onFault was called", this.heard.length, faults === null ? 0 : 1);
    same("free", queue.free, model.free);
    same("outstanding", queue.outstanding, model.buffers.length);
    same("hasUsed", queue.hasUsed(), model.hasUsed());
    same("counters", JSON.stringify(queue.counters), JSON.stringify(model.counters));
    same("what the device is asked", model.askedWrong(), null);
  }
}
