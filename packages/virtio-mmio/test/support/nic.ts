/**
 * A network device behind its registers, and a driver that sends and receives numbered frames: what is lost, doubled or
 * out of order is seen. The driver outlives the device it began with, as a guest does its machine.
 * @module
 */

import { FrameBurst, type NetBackend, type NetPort, OFFLOAD_ALL } from "@virtio-ts/net-link";
import { ManualScheduler } from "@virtio-ts/virtio-device/testing";
import { NetDevice } from "@virtio-ts/virtio-net";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { VirtioMmioDevice } from "../../src/index.ts";
import { Guest } from "./guest.ts";
import { Line } from "./setup.ts";

const RX = 0;
const TX = 1;
const FRAME = 64;
const QUEUE_SIZE = 16;

/** A frame that carries its number. */
function numbered(number: number): Uint8Array {
  const bytes = new Uint8Array(FRAME);
  new DataView(bytes.buffer).setUint32(14, number);
  return bytes;
}

/** A machine with the device in it; guest memory is the driver's. */
export class NicMachine implements NetBackend {
  readonly accepts: number = OFFLOAD_ALL;
  readonly scheduler = new ManualScheduler();
  readonly line = new Line();
  readonly mmio: VirtioMmioDevice;
  readonly guest: Guest;
  readonly #nic = new NetDevice({ queueSize: QUEUE_SIZE });
  readonly #world: World;

  constructor(world: World, map: "version 2" | "legacy version 1" | "Dragonball's") {
    const msi = { send: (_address: number, data: number) => void world.messages.push(data) };
    this.#world = world;
    this.#nic.attach(this);
    this.mmio = new VirtioMmioDevice(this.#nic, {
      memory: world.memory,
      scheduler: this.scheduler,
      line: this.line,
      version: map === "legacy version 1" ? 1 : 2,
      ...(map === "Dragonball's" && { dragonball: { msi } }),
    });
    this.guest = new Guest(this.mmio);
  }

  /** Takes as many frames as the world has room for now. */
  take(burst: FrameBurst, first: number): number {
    const world = this.#world;
    let i = first;
    for (; i < burst.count && world.room > 0; i++, world.room--) {
      const bytes = new Uint8Array(burst.lengths[i]);
      burst.copyFrame(i, 0, bytes, 0, bytes.length);
      world.sent.push(new DataView(bytes.buffer).getUint32(14));
    }
    return i;
  }

  resume(): void {}
  attach(_peer: NetPort): void {}
  detach(): void {}

  /** The world has room again, and frames for the guest. */
  worldsTurn(room: number, frames: number): void {
    this.#world.room = room;
    this.#nic.resume();
    const burst = new FrameBurst();
    for (let i = 0; i < frames; i++) burst.addFrame(numbered(this.#world.offered + i));
    if (frames > 0) this.#world.offered += this.#nic.take(burst, 0);
  }
}

/** Guest memory, its driver, and the world outside: all that stays when the machine changes. */
export class World {
  readonly memory = new GuestMemory([new MemoryRegion(0, new Uint8Array(0x10_0000))]);
  readonly rx: MockSplitDriver = new MockSplitDriver(this.memory, { size: QUEUE_SIZE, base: 0x1000 });
  readonly tx: MockSplitDriver = new MockSplitDriver(this.memory, { size: QUEUE_SIZE, base: 0x4_0000 });
  /** Numbers of the frames the guest sent, as they came out. */
  readonly sent: number[] = [];
  /** Numbers of the frames the guest received. */
  readonly received: number[] = [];
  /** Data of the messages that came. */
  readonly messages: number[] = [];
  /** Frames the world still takes. */
  room = 0;
  /** Frames handed to the device for the guest. */
  offered = 0;
  /** Frames the guest made available. */
  queued = 0;
  #free = QUEUE_SIZE;
  readonly #header: number;

  /** @param header bytes of the header in front of each frame: 12, or 10 over the legacy interface */
  constructor(header: number) {
    this.#header = header;
  }

  /** Brings a device up, with both queues where the drivers have them. */
  start({ guest }: NicMachine): void {
    const legacy = guest.read(4) === 1;
    guest.status = 0;
    if (guest.read(0xc0, 2) === 0x8000) this.#enableMessages(guest);
    if (legacy) guest.status = 3;
    else guest.negotiate();
    for (const [index, { areas }] of [this.rx, this.tx].entries()) {
      if (legacy) {
        guest.placeLegacy(index, areas.descriptorArea / 4096, areas.size, 16);
        continue;
      }
      guest.select(index);
      guest.write(0x38, areas.size);
      guest.write(0x80, areas.descriptorArea);
      guest.write(0x90, areas.driverArea);
      guest.write(0xa0, areas.deviceArea);
      guest.write(0x44, 1);
    }
    guest.status = legacy ? 7 : 15;
    for (let i = 0; i < QUEUE_SIZE; i++) this.#offerBuffer();
  }

  /** Dragonball's messages: vector `v` sends `40 + v`. */
  #enableMessages(guest: Guest): void {
    guest.write(0xc0, 0x8000, 2);
    guest.write(0xc4, 0xfee0_0000);
    for (const vector of [0, 1, 2]) {
      guest.write(0xcc, 40 + vector);
      guest.write(0xc2, 0x1000 | vector, 2);
    }
  }

  /** The guest makes `count` frames available, as many as there is room for, and kicks. */
  transmit({ guest }: NicMachine, count: number): void {
    this.#free += this.tx.collect().length;
    for (let i = 0; i < count && this.#free > 0; i++, this.#free--) {
      const bytes = new Uint8Array(this.#header + FRAME);
      bytes.set(numbered(this.queued++), this.#header);
      this.tx.offer([{ bytes }]);
    }
    guest.kick(TX);
  }

  /** The guest takes what it received, and makes new buffers available. */
  receive({ guest }: NicMachine): void {
    for (const { head } of this.rx.collect()) {
      const [{ address }] = this.rx.elements(head);
      this.received.push(new DataView(this.memory.regions[0].u8.buffer).getUint32(address + this.#header + 14));
      this.#offerBuffer();
    }
    guest.kick(RX);
  }

  #offerBuffer(): void {
    this.rx.offer([{ length: this.#header + FRAME, writable: true }]);
  }
}
