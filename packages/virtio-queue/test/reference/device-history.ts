/**
 * A history of the device's half of a queue, beside the naive device: what each step does is drawn from the step's seed,
 * and after it everything that can be seen of the queue is compared.
 * @module
 */

import {
  ChainBurst,
  type DeviceQueue,
  type DeviceQueueConfig,
  PackedDeviceQueue,
  QUEUE_MALFORMED,
  type QueueFault,
  type QueueState,
  SplitDeviceQueue,
} from "@virtio-ts/virtio-queue";
import { compareBurst, Disagreement, same } from "./compare.ts";
import { type Chain, type NaiveDevice, writableBytes } from "./naive-device.ts";
import { type NaiveDriver, NaivePackedDriver, NaiveSplitDriver } from "./naive-driver.ts";
import { NaivePackedDevice, Place } from "./naive-packed-device.ts";
import { NaiveSplitDevice } from "./naive-split-device.ts";
import { Random } from "./random.ts";
import { type Format, type Setup, setup } from "./setup.ts";
import { deviceState, startOf } from "./starts.ts";

interface Halves {
  readonly model: NaiveDevice;
  readonly driver: NaiveDriver;
}

export class DeviceHistory {
  /** What was done, in words. */
  readonly said: string[] = [];
  private readonly stage: Setup;
  private readonly bursts: readonly ChainBurst[];
  private queue: DeviceQueue;
  private model: NaiveDevice;
  private driver: NaiveDriver;
  private burst: ChainBurst;
  /** The chains of the burst popped last, as far as they were not rewound. */
  private last: Chain[] = [];
  private heard: QueueFault[] = [];
  /** The history can't go on: somebody wrote where the device was writing, or a table is where no bytes are. */
  private over = false;

  constructor(format: Format, seed: number) {
    const random = new Random(seed);
    this.stage = setup(format, random);
    const { queue, memory, hostility } = this.stage;
    this.bursts = [0, 1].map(() => new ChainBurst(memory.guest));
    if (random.chance(20)) this.bursts[1].reserveSegments(1000);
    this.burst = this.bursts[0];
    const start = startOf(format, queue.size, random);
    const { model, driver } = this.begin(start);
    this.model = model;
    this.driver = driver;
    const regions = memory.regions.map((r) => `${r.size} at 0x${r.start.toString(16)}`).join(", ");
    this.said.push(`${format}, start ${start}, hostility ${hostility}, ${JSON.stringify(queue)}, regions: ${regions}`);
    this.queue = this.make(start === 0 ? undefined : deviceState(format, queue.size, start));
  }

  /** One step, and all that must hold after it. */
  step(seed: number): void {
    if (this.over) return;
    const random = new Random(seed);
    const { model } = this;
    // A queue that has stopped is looked at for a step or two, then it is reset.
    if (model.faults !== null && random.chance(60)) this.reset();
    else this.act(random);
    if (!this.over) this.compare();
  }

  private act(random: Random): void {
    const roll = random.below(100);
    if (roll < 24) this.offer(random);
    else if (roll < 44) this.pop(random);
    else if (roll < 51) this.walkHeld(random);
    else if (roll < 58) this.push(random);
    else if (roll < 69) this.pushAll(random);
    else if (roll < 81) this.flush();
    else if (roll < 84) this.rewind(random);
    else if (roll < 86) this.disable();
    else if (roll < 89) this.enable();
    else if (roll < 92) this.driver.setEvent(random);
    else if (roll < 95) this.move();
    else if (roll < 96) this.reset();
    else if (roll < 97) this.copy(random);
    else if (roll < 98) this.plug(random);
    else if (random.chance(5 * this.stage.hostility)) this.disturb(random);
    this.model.noteChanges();
  }

  private begin(start: number): Halves {
    const { stage } = this;
    const { memory, queue } = stage;
    if (stage.format === "split") {
      return { driver: new NaiveSplitDriver(stage, start), model: new NaiveSplitDevice(memory, queue, start) };
    }
    const place = new Place(queue.size, 0, 1).move(start);
    return { driver: new NaivePackedDriver(stage, place), model: new NaivePackedDevice(memory, queue, place) };
  }

  private make(state: QueueState | undefined): DeviceQueue {
    const onFault = (fault: QueueFault): void => void this.heard.push(fault);
    const config: DeviceQueueConfig = { ...this.stage.queue, state, onFault };
    const { guest } = this.stage.memory;
    return this.stage.format === "split" ? new SplitDeviceQueue(guest, config) : new PackedDeviceQueue(guest, config);
  }

  private offer(random: Random): void {
    const chains = random.pick([1, 1, 2, 3, 8, 32]);
    let offered = random.chance(30) ? this.driver.offerPlain(random, chains) : 0;
    while (offered < chains && this.driver.offer(random)) offered++;
    const shown = random.chance(80);
    if (shown) this.driver.publish();
    this.said.push(`the driver offers ${offered} chains${shown ? "" : ", not shown yet"}`);
  }

  private pop(random: Random): void {
    const max = random.pick([0, 1, 2, 3, 5, 64, 64, 64, 40_000]);
    this.burst = random.pick(this.bursts);
    const expected = this.model.pop(max);
    this.over = this.stage.memory.blind;
    if (this.over) return;
    const found = this.queue.pop(this.burst, max);
    this.said.push(`pop of ${max} says ${found}`);
    this.last = typeof expected === "number" ? [] : expected;
    same("pop", found, typeof expected === "number" ? expected : expected.length);
    compareBurst(this.stage.memory, this.burst, this.last);
    for (let i = 0; i < this.last.length; i++) same(`written of chain ${i}`, this.burst.written[i], 0);
  }

  /** A chain that is held is what it was when it was taken, whatever has become of the ring. */
  private walkHeld(random: Random): void {
    const { held } = this.model;
    const { size, indirect } = this.stage.queue;
    const bogus = held.length === 0 || random.chance(10);
    const head = bogus ? random.pick([-1, 0, size - 1, size, 0xffff_ffff]) : random.pick(held).head;
    const changed = held.some((chain) => chain.head === head && chain.changed);
    this.burst = random.pick(this.bursts);
    this.last = [];
    const expected = changed ? null : this.model.walkHeld(head);
    this.over = this.stage.memory.blind;
    if (this.over) return;
    const found = this.queue.walkHeld(this.burst, head);
    this.said.push(`walkHeld of ${head} says ${found}`);
    if (expected === null) {
      // Anything that is sound, or a fault.
      this.model.fresh = [];
      this.burst.clear();
      if (found !== 1 && this.model.faults === null) this.model.fail([this.queue.fault?.code ?? "order"]);
      return;
    }
    const isWalked = typeof expected !== "number";
    same("walkHeld", found, isWalked ? 1 : expected);
    compareBurst(this.stage.memory, this.burst, isWalked ? [{ ...expected.chain, elements: expected.elements }] : []);
    if (!isWalked) return;
    same("written of the chain", this.burst.written[0], 0);
    const { chain, elements } = expected;
    const [now, before] = [elements, chain.elements].map((list) => list.map((e) => Object.values(e).join(":")).join());
    // The driver may have written another table where one was.
    if (this.stage.hostility === 0 && !indirect) same("what the chain says", now, before);
    if (now === before) this.last = [chain];
    else this.burst.clear();
  }

  private push(random: Random): void {
    const { held } = this.model;
    const bogus = random.chance(this.stage.hostility / 4);
    if (held.length === 0 && !bogus) return;
    const { size } = this.stage.queue;
    const chain = bogus ? null : random.pick(held);
    const head = chain?.head ?? random.pick([0, size - 1, size, 0xffff_ffff]);
    const written = this.written(chain, random);
    this.said.push(`push ${head} with ${written}`);
    this.queue.push(head, written);
    this.model.push(head, written);
  }

  /** Gives back what is held of earlier bursts, in any order. */
  private pushEach(random: Random): void {
    const held = this.model.held.filter(() => random.chance(80));
    if (random.chance(50)) held.reverse();
    this.said.push(`push ${held.map(({ head }) => head).join()}`);
    for (const chain of held) {
      const written = this.written(chain, random);
      this.queue.push(chain.head, written);
      this.model.push(chain.head, written);
    }
  }

  private written(chain: Chain | null, random: Random): number {
    const most = chain === null ? 0 : writableBytes(chain);
    return random.pick([0, 1, most, most, random.between(0, most)]);
  }

  private pushAll(random: Random): void {
    let from = this.last.findIndex(({ written }) => written === null);
    if (from < 0) {
      this.pushEach(random);
      return;
    }
    // Those that were given back by themselves are not given back again, but for mischief.
    if (random.chance(this.stage.hostility)) from = 0;
    const run = this.last.slice(from).findIndex(({ written }) => written !== null);
    const most = run <= 0 ? this.last.length : from + run;
    const to = random.chance(70) ? most : random.between(from, most);
    for (let i = from; i < to; i++) this.burst.written[i] = this.written(this.last[i], random);
    this.said.push(`push chains ${from} to ${to} with ${this.burst.written.slice(from, to).join()}`);
    if (to === this.last.length && random.chance(50)) this.queue.pushAll(this.burst, from);
    else this.queue.pushAll(this.burst, from, to);
    for (let i = from; i < to; i++) this.model.push(this.last[i].head, this.burst.written[i]);
  }

  private flush(): void {
    if (this.stage.memory.touched) {
      this.over = true;
      return;
    }
    const before = this.model.unpublished;
    const expected = this.model.flush();
    const found = this.queue.flush();
    this.said.push(`flush says ${found}`);
    same("flush", found, expected);
    const after = this.model.unpublished;
    this.driver.reclaim(before.filter((chain) => !after.includes(chain)).map(({ head }) => head));
  }

  private rewind(random: Random): void {
    const { fresh } = this.model;
    const bogus = random.chance(this.stage.hostility);
    const count = random.between(0, bogus ? this.last.length : fresh.length);
    const from = this.last.length - count;
    const kept = this.last.length - (this.model.faults === null ? Math.min(count, fresh.length) : 0);
    this.said.push(`rewind to ${from} of ${this.last.length}`);
    this.queue.rewind(this.burst, from);
    this.model.rewind(count);
    this.last = this.last.slice(0, kept);
    compareBurst(this.stage.memory, this.burst, this.last);
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
    this.said.push("save and restore");
    this.queue = this.make(structuredClone(this.queue.save()));
    Object.assign(this.model.counters, { chains: 0, used: 0, notified: 0, suppressed: 0, malformed: 0 });
    this.model.fresh = [];
  }

  /** A region goes, or comes again; what was found in it is held as it was. */
  private plug(random: Random): void {
    const { memory, queue } = this.stage;
    const index = random.below(memory.regions.length);
    const { start, size } = memory.regions[index];
    if (queue.descriptorArea >= start && queue.descriptorArea < start + size) return;
    this.said.push(`region ${index} ${memory.toggle(index) ? "comes" : "goes"}`);
    this.burst.clear();
    this.last = [];
    this.model.fresh = [];
  }

  /** What the device still does with the old queue has no effect. */
  private reset(): void {
    this.said.push("reset");
    const old = this.queue;
    const { fault } = old;
    old.close();
    same("pop after close", old.pop(this.burst, 8), fault === null ? 0 : QUEUE_MALFORMED);
    for (const { head } of this.model.held) old.push(head, 1);
    same("flush after close", old.flush(), false);
    old.disableNotifications();
    same("enableNotifications after close", old.enableNotifications(), false);
    same("hasAvailable after close", old.hasAvailable(), false);
    same("the old queue's fault", old.fault, fault);
    this.last = [];
    const { memory, queue, format } = this.stage;
    memory.guarded = [];
    memory.touched = false;
    same("memory after close", memory.difference(this.model.leeway()), null);
    const bytes = format === "split" ? 6 + 8 * queue.size : 4;
    for (let i = 0; i < bytes; i++) memory.put(queue.deviceArea + i, 1, 0);
    const { model, driver } = this.begin(0);
    this.model = model;
    this.driver = driver;
    this.heard = [];
    this.queue = this.make(undefined);
  }

  private disturb(random: Random): void {
    this.said.push("the driver disturbs the ring");
    this.driver.disturb(random);
  }

  /** Bytes through a burst's copies. */
  private copy(random: Random): void {
    const held = this.last.findIndex(({ written }) => written === null);
    if (held < 0) return;
    const { elements } = this.last[held];
    const { memory, queue, areasEnd } = this.stage;
    const areas = Math.min(queue.descriptorArea, queue.driverArea, queue.deviceArea);
    const [readable, writable] = [false, true].map((way) =>
      memory.addresses(elements.filter((e) => e.writable === way)),
    );
    // Not where the queue is, nor where that is too many bytes, or not there.
    if (readable === null || writable === null) return;
    if ([...readable, ...writable].some((at) => at >= areas && at < areasEnd)) return;
    const out = new Uint8Array(readable.length);
    same("copyOut", this.burst.copyOut(held, 0, out, 0, out.length), out.length);
    same("bytes copied out", [...out].join(), readable.map((address) => memory.u8(address)).join());
    const bytes = Uint8Array.from(writable, () => random.below(256));
    same("copyIn", this.burst.copyIn(held, 0, bytes, 0, bytes.length), bytes.length);
    writable.forEach((address, i) => {
      memory.expect(address, 1, bytes[i]);
    });
    this.said.push(`copy ${out.length} bytes out and ${bytes.length} in`);
  }

  private compare(): void {
    const { queue, model } = this;
    const { faults } = model;
    const code = queue.fault?.code ?? null;
    if (faults === null || code === null) same("fault", code, faults);
    else if (!faults.includes(code)) throw new Disagreement(`fault ${code}, expected one of ${faults.join()}`);
    same("times that onFault was called", this.heard.length, faults === null ? 0 : 1);
    same("counters", JSON.stringify(queue.counters), JSON.stringify(model.counters));
    same("outstanding", queue.outstanding, model.held.length);
    same("heldChains", queue.heldChains().join(), model.heldHeads.join());
    same("hasAvailable", queue.hasAvailable(), model.available());
    const leeway = model.leeway();
    same("memory", this.stage.memory.difference(leeway), null);
    this.stage.memory.guarded = leeway;
    same("what the driver is asked", model.askedWrong(), null);
  }
}
