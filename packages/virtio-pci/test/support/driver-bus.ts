/**
 * A bus between our driver half and functions, our own or made up: it writes down each access, and lies where a test
 * has it lie.
 * @module
 */

import { ProcessHost, type RegisterAccess } from "@virtio-ts/virtio-driver";
import { ManualClock } from "@virtio-ts/virtio-driver/testing";
import type { AccessWidth, PciBar, PciFunction, PciHost } from "@virtio-ts/vm-device";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { PciFinder, type PciFinderOptions } from "../../src/index.ts";

/** One access to a register behind a BAR. */
export interface Access {
  readonly write: boolean;
  readonly bar: number;
  readonly offset: number;
  readonly width: number;
  readonly value: number;
}

/** One access to configuration space. */
export type ConfigAccess = Omit<Access, "bar">;

/** A bus with one function on it, at 00:03.0, its pin on line 11. */
export class DriverBus {
  readonly clock: ManualClock = new ManualClock();
  readonly memory: GuestMemory = GuestMemory.of(new Uint8Array(0x10_0000));
  readonly host: ProcessHost;
  readonly accesses: Access[] = [];
  readonly configAccesses: ConfigAccess[] = [];
  /** What a register reads, in place of its value. */
  onRead: (access: Access) => number = ({ value }) => value;
  /** Whether a write reaches its register. */
  onWrite: (access: Access) => boolean = () => true;
  /** What configuration space reads, in place of its value. */
  onConfigRead: (access: ConfigAccess) => number = ({ value }) => value;
  readonly config = {
    read: (bdf: number, offset: number, width: AccessWidth): number => this.#configRead(bdf, offset, width),
    write: (bdf: number, offset: number, width: AccessWidth, value: number): void => {
      if (bdf !== this.bdf) return;
      this.configAccesses.push({ write: true, offset, width, value });
      this.#fn?.configWrite(offset, width, value);
    },
  };
  readonly ports: RegisterAccess = this.#space(true);
  readonly mmio: RegisterAccess = this.#space(false);
  bdf = 3 << 3;
  #fn: PciFunction | null = null;
  readonly #places = new Map<PciBar, number>();

  constructor(messages = 64) {
    this.host = new ProcessHost(this.memory, { clock: this.clock, messages });
  }

  /** Puts a function on the bus; BARs get places as from firmware: BAR `i` at `i + 1` MiB, or port `i + 1` times 4096. */
  plug(fn: PciFunction, messages = true): this {
    this.#fn = fn;
    const host: PciHost = {
      barMoved: (bar, address) => {
        if (address === null) this.#places.delete(bar);
        else this.#places.set(bar, address);
      },
      intx: {
        raise: () => this.host.lines.setLevel(11, true),
        lower: () => this.host.lines.setLevel(11, false),
      },
      msi: messages ? this.host.messages : null,
    };
    fn.plug(host);
    fn.configWrite(0x3c, 1, 11);
    for (const bar of fn.bars) {
      fn.configWrite(0x10 + 4 * bar.index, 4, (bar.index + 1) * (bar.kind === "io" ? 0x1000 : 0x10_0000));
    }
    return this;
  }

  /** A finder on the bus. */
  finder(options: Partial<PciFinderOptions> = {}): PciFinder {
    return new PciFinder(this.host, { config: this.config, ports: this.ports, mmio: this.mmio, ...options });
  }

  /** Forgets the accesses so far. */
  clear(): void {
    this.accesses.length = 0;
    this.configAccesses.length = 0;
  }

  #configRead(bdf: number, offset: number, width: AccessWidth): number {
    const value = bdf === this.bdf && this.#fn !== null ? this.#fn.configRead(offset, width) : 2 ** (8 * width) - 1;
    if (bdf !== this.bdf) return value;
    const access = { write: false, offset, width, value };
    this.configAccesses.push(access);
    return this.onConfigRead(access);
  }

  #space(io: boolean): RegisterAccess {
    return {
      read: (address, width) => {
        const hit = this.#find(io, address);
        if (hit === null) return 2 ** (8 * width) - 1;
        const { bar, offset } = hit;
        const access = { write: false, bar: bar.index, offset, width, value: bar.block.read(offset, width) };
        this.accesses.push(access);
        return this.onRead(access);
      },
      write: (address, width, value) => {
        const hit = this.#find(io, address);
        if (hit === null) return;
        const access = { write: true, bar: hit.bar.index, offset: hit.offset, width, value };
        this.accesses.push(access);
        if (this.onWrite(access)) hit.bar.block.write(hit.offset, width, value);
      },
    };
  }

  #find(io: boolean, address: number): { bar: PciBar; offset: number } | null {
    for (const [bar, start] of this.#places) {
      if ((bar.kind === "io") !== io || address < start || address >= start + bar.size) continue;
      return { bar, offset: address - start };
    }
    return null;
  }
}
