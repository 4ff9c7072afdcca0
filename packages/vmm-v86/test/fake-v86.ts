/**
 * A v86 without a processor: enough of its inside for a machine to be made of it, with the calls into its
 * WebAssembly module written down.
 * @module
 */
import type { V86Cpu, V86Emulator, V86Port } from "../src/cpu.ts";

export const MEMORY_SIZE = 4 << 20;
/** Where guest memory starts in the emulator's. */
const MEMORY_BASE = 0x1000;
const FLAGS_OFFSET = 120;
const IF = 0x200;

type Listener = () => void;

/** v86's typed arrays are proxies over a memory that moves; so are these. */
function fresh<T extends object>(make: () => T): T {
  return new Proxy({} as T, {
    get: (_, name) => {
      const now = make() as Record<string | symbol, unknown>;
      return now[name];
    },
    set: (_, name, value) => {
      (make() as Record<string | symbol, unknown>)[name] = value;
      return true;
    },
  });
}

export class FakeV86 implements V86Emulator {
  readonly v86: { cpu: V86Cpu };
  /** Calls into the module, in order. */
  readonly calls: string[] = [];
  /** Run by the main loop: what the guest does. */
  guest: () => void = () => {};
  /** Lines, as the interrupt controllers have them. */
  readonly lines = new Set<number>();
  memory = { buffer: new ArrayBuffer(MEMORY_BASE + MEMORY_SIZE) };
  running = false;
  #listeners = new Map<string, Listener[]>();
  readonly #empty = {
    read8: () => 0xff,
    read16: () => 0xffff,
    read32: () => -1,
    write: () => {},
  };

  constructor(options: { acpi?: boolean } = {}) {
    this.v86 = { cpu: this.#cpu(options.acpi ?? false) };
    this.interruptFlag = true;
  }

  get cpu(): V86Cpu {
    return this.v86.cpu;
  }

  get interruptFlag(): boolean {
    return (new Int32Array(this.memory.buffer, FLAGS_OFFSET, 1)[0] & IF) !== 0;
  }

  set interruptFlag(on: boolean) {
    new Int32Array(this.memory.buffer, FLAGS_OFFSET, 1)[0] = on ? IF : 0;
  }

  /** WebAssembly memory grew: all views of it are detached. */
  grow(): void {
    this.memory.buffer = structuredClone(this.memory.buffer, { transfer: [this.memory.buffer] });
  }

  /** Guest memory as the processor sees it. */
  get ram(): Uint8Array {
    return new Uint8Array(this.memory.buffer, MEMORY_BASE, MEMORY_SIZE);
  }

  is_running(): boolean {
    return this.running;
  }

  add_listener(event: string, listener: Listener): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  start(): void {
    this.running = true;
    for (const listener of this.#listeners.get("emulator-started") ?? []) listener();
  }

  stop(): void {
    this.running = false;
    for (const listener of this.#listeners.get("emulator-stopped") ?? []) listener();
  }

  /** The BIOS routes the four PCI interrupts. */
  routeInterrupts(lines: readonly number[] = [10, 11, 10, 11]): void {
    this.cpu.devices.pci.isa_bridge_space8.set(lines, 0x60);
  }

  // What the guest's instructions come to.

  in(port: number, width: 1 | 2 | 4): number {
    const entry = this.cpu.io.ports[port];
    const name = ({ 1: "read8", 2: "read16", 4: "read32" } as const)[width];
    return entry[name].call(entry.device as never, port) >>> 0;
  }

  out(port: number, width: 1 | 2 | 4, value: number): void {
    const entry = this.cpu.io.ports[port];
    const name = ({ 1: "write8", 2: "write16", 4: "write32" } as const)[width];
    entry[name].call(entry.device as never, value);
  }

  configRead(slot: number, offset: number, width: 1 | 2 | 4): number {
    this.out(0xcf8, 4, 0x8000_0000 | (slot << 11) | (offset & 0xfc));
    return this.in(0xcfc + (offset & 3), width);
  }

  configWrite(slot: number, offset: number, width: 1 | 2 | 4, value: number): void {
    this.out(0xcf8, 4, 0x8000_0000 | (slot << 11) | (offset & 0xfc));
    this.out(0xcfc + (offset & 3), width, value);
  }

  load(address: number, width: 1 | 2 | 4): number {
    const { memory_map_read8: r8, memory_map_read32: r32 } = this.cpu;
    const window = address >>> 17;
    if (width === 4) return r32[window](address | 0) >>> 0;
    let value = 0;
    for (let i = 0; i < width; i++) value |= r8[window]((address + i) | 0) << (8 * i);
    return value >>> 0;
  }

  store(address: number, width: 1 | 2 | 4, value: number): void {
    const { memory_map_write8: w8, memory_map_write32: w32 } = this.cpu;
    if (width === 1) w8[address >>> 17](address | 0, value);
    else if (width === 2) this.cpu.mmap_write16(address | 0, value);
    else w32[address >>> 17](address | 0, value | 0);
  }

  #cpu(acpi: boolean): V86Cpu {
    const inject = (): string => (this.interruptFlag ? " injects" : "");
    const ports: V86Port[] = Array.from({ length: 0x10000 }, () => this.#emptyPort());
    const cpu: V86Cpu = {
      wasm_memory: this.memory,
      mem8: fresh(() => new Uint8Array(this.memory.buffer, MEMORY_BASE, MEMORY_SIZE)),
      memory_size: { 0: MEMORY_SIZE },
      flags: fresh(() => new Int32Array(this.memory.buffer, FLAGS_OFFSET, 1)),
      acpi_enabled: { 0: acpi ? 1 : 0 },
      memory_map_read8: Array(0x8000).fill(() => 0xff),
      memory_map_write8: Array(0x8000).fill(() => {}),
      memory_map_read32: Array(0x8000).fill(() => -1),
      memory_map_write32: Array(0x8000).fill(() => {}),
      mmap_write16: (address, value) => {
        cpu.memory_map_write8[address >>> 17](address, value & 0xff);
        cpu.memory_map_write8[address >>> 17](address + 1, value >> 8);
      },
      main_loop: () => {
        this.calls.push("run");
        this.guest();
        return 0;
      },
      reboot_internal: () => void this.calls.push("reboot"),
      set_state: () => void this.calls.push("restore"),
      device_raise_irq: (line) => {
        this.lines.add(line);
        this.calls.push(`raise ${line}${inject()}`);
      },
      device_lower_irq: (line) => {
        this.lines.delete(line);
        this.calls.push(`lower ${line}`);
      },
      write32: (address, value) =>
        void this.calls.push(`write ${address.toString(16)} ${value.toString(16)}${inject()}`),
      jit_dirty_cache: (start, end) => void this.calls.push(`dirty ${start.toString(16)}-${end.toString(16)}`),
      io: { ports, empty_port_read8: this.#empty.read8, empty_port_write: this.#empty.write },
      devices: { pci: this.#pci(ports) },
    };
    return cpu;
  }

  #emptyPort(): V86Port {
    const { read8, read16, read32, write } = this.#empty;
    return { read8, read16, read32, write8: write, write16: write, write32: write, device: undefined };
  }

  /** As v86's: it latches what is read when the address is written, and stores what is written. */
  #pci(ports: V86Port[]): V86Cpu["devices"]["pci"] {
    const spaces: (Int32Array | undefined)[] = new Array(256).fill(undefined);
    const pci = {
      pci_addr32: new Int32Array(1),
      response: 0,
      devices: new Array<unknown>(256).fill(undefined),
      device_spaces: spaces,
      isa_bridge_space8: new Uint8Array(256),
      register_device: (device: { pci_id: number; pci_space: ArrayLike<number> }) => {
        const space = new Int32Array(64);
        space.set(new Int32Array(Uint8Array.from(device.pci_space).buffer));
        pci.devices[device.pci_id] = device;
        spaces[device.pci_id] = space;
      },
      raise_irq: (_id: number) => this.calls.push("unshared raise"),
      lower_irq: (_id: number) => this.calls.push("unshared lower"),
    };
    const id = (): number => (pci.pci_addr32[0] >> 8) & 0xffff;
    const bytes = (): Uint8Array => new Uint8Array(spaces[id()]!.buffer); // throws where there is no device, as v86
    ports[0xcf8].write32 = (value) => {
      pci.pci_addr32[0] = value;
      pci.response = spaces[id()]?.[(value & 0xfc) >> 2] ?? -1;
    };
    for (let i = 0; i < 4; i++) {
      Object.assign(ports[0xcfc + i], {
        device: pci,
        read8: () => (pci.response >>> (8 * i)) & 0xff,
        read16: () => (pci.response >>> (8 * i)) & 0xffff,
        read32: () => pci.response,
        write8: (value: number) => {
          bytes()[(pci.pci_addr32[0] & 0xfc) + i] = value;
        },
        write16: (value: number) => {
          bytes().set([value, value >> 8], (pci.pci_addr32[0] & 0xfc) + i);
        },
        write32: (value: number) => {
          new DataView(bytes().buffer).setInt32((pci.pci_addr32[0] & 0xfc) + i, value, true);
        },
      });
    }
    return pci;
  }
}
