/** A device behind L4-VIRTIO: a config page in shared memory, IPC by calls, IRQ objects both ways. */
import { L4VirtioDevice } from "@virtio-ts/l4virtio/device";
import type { VirtioDevice } from "@virtio-ts/virtio-device";
import { HIGH, LOW } from "./arena.ts";
import { anyValue, type Poke, type Port, type Random, type Surroundings } from "./port.ts";
import type { Areas } from "./ring.ts";

const QUEUES_OFFSET = 0x2c;
const IRQ_STATUS = 0x60;
const DRIVER_FEATURES = 0xe0;
const ENTRY = 40;
const EVENTS = 3;

export class L4Port implements Port {
  readonly legacy = false;
  readonly #device: L4VirtioDevice;
  readonly #page: DataView;
  readonly #memory: readonly Uint8Array[];
  /** As the device wrote it: a driver gone mad may write there, too. */
  readonly #queuesAt: number;

  constructor(device: VirtioDevice, around: Surroundings) {
    const dataspace = new Uint8Array(0x1000);
    this.#page = new DataView(dataspace.buffer);
    const { scheduler, ringFeatures } = around;
    this.#device = new L4VirtioDevice(device, {
      scheduler,
      ringFeatures,
      page: { dataspace, offset: 0 },
      events: EVENTS,
      onFault: (fault) => around.fault(fault),
    });
    this.#queuesAt = this.#page.getUint32(QUEUES_OFFSET, true);
    this.#memory = [LOW, HIGH].map((region) => around.arena.bytes(region));
    for (let i = 0; i < EVENTS; i++) this.#device.icuBind(i, { trigger: () => around.interrupt() });
  }

  /** It has no bus that it could be kept from. */
  get mastering(): boolean {
    return true;
  }

  set mastering(_on: boolean) {}

  status(): number {
    return this.#device.core.status;
  }

  setStatus(value: number): void {
    if (value === 1) {
      [LOW, HIGH].forEach(({ start }, i) => {
        this.#device.registerDs(this.#memory[i], start, 0, this.#memory[i].length);
      });
    }
    this.#device.setStatus(value);
  }

  accept(features: bigint): void {
    for (let word = 0; word < 2; word++) {
      const bits = Number(((features | (1n << 40n)) >> BigInt(32 * word)) & 0xffff_ffffn);
      this.#page.setUint32(DRIVER_FEATURES + 4 * word, bits, true);
    }
  }

  place(queue: number, { size, descriptor, driver, device }: Areas): void {
    const at = this.#entry(queue);
    this.#page.setUint16(at + 2, size, true);
    this.#page.setUint16(at + 4, 1, true);
    this.#page.setUint16(at + 6, queue + 1, true);
    [descriptor, driver, device].forEach((address, i) => {
      this.#page.setUint32(at + 8 + 8 * i, address, true);
      this.#page.setUint32(at + 12 + 8 * i, 0, true);
    });
    this.#page.setUint16(at + 32, queue + 1, true);
    this.#device.configQueue(queue);
  }

  takeBack(queue: number): boolean {
    this.#page.setUint16(this.#entry(queue) + 4, 0, true);
    return this.#device.configQueue(queue) === 0;
  }

  kick(queue: number): void {
    const irq = this.#device.deviceNotificationIrq(queue + 1);
    if (typeof irq !== "number") irq.trigger();
  }

  acknowledge(): void {
    this.#page.setUint32(IRQ_STATUS, 0, true);
  }

  poke(random: Random): Poke {
    const kind = random(4);
    const value = random(2) === 0 ? anyValue(random) : random(256);
    // What the page says of queues and features is taken over with a status, and by a command.
    if (kind === 0) return { touches: "queues", run: () => void this.#device.setStatus(value) };
    if (kind === 1) return { touches: "nothing", run: () => void this.#device.configQueue(value % 5) };
    if (kind === 2) {
      const irq = this.#device.deviceNotificationIrq(value % 5);
      return { touches: "queues", run: () => void (typeof irq !== "number" && irq.trigger()) };
    }
    const offset = 4 * random(0x180 / 4);
    const run = (): void => this.#page.setUint32(offset, value, true);
    return { touches: offset < DRIVER_FEATURES ? "nothing" : "queues", run };
  }

  save(): unknown {
    return this.#device.save();
  }

  restore(state: unknown): void {
    this.#device.restore(state, this.#memory);
  }

  #entry(queue: number): number {
    return this.#queuesAt + queue * ENTRY;
  }
}
