/**
 * A PCI function with registers that remember what was done to them: BAR 0 I/O, BAR 1 memory below 4 GiB, BAR 2 memory
 * with 64 address bits.
 * @module
 */
import {
  type AccessWidth,
  type PciBar,
  PciConfigSpace,
  type PciFunction,
  type PciHost,
  type RegisterBlock,
} from "@virtio-ts/vm-device";

class ScratchBlock implements RegisterBlock {
  readonly size: number;
  readonly bytes: DataView;
  readonly log: string[] = [];
  onWrite: (offset: number, value: number) => void = () => {};
  onRead: (offset: number) => void = () => {};

  constructor(size: number) {
    this.size = size;
    this.bytes = new DataView(new ArrayBuffer(size));
  }

  read(offset: number, width: AccessWidth): number {
    this.log.push(`r${width} ${offset}`);
    this.onRead(offset);
    if (width === 1) return this.bytes.getUint8(offset);
    return width === 2 ? this.bytes.getUint16(offset, true) : this.bytes.getUint32(offset, true);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.log.push(`w${width} ${offset} ${value.toString(16)}`);
    if (width === 1) this.bytes.setUint8(offset, value);
    else if (width === 2) this.bytes.setUint16(offset, value, true);
    else this.bytes.setUint32(offset, value, true);
    this.onWrite(offset, value);
  }

  /** What was done since the last call. */
  take(): string[] {
    return this.log.splice(0);
  }
}

export class ScratchFunction implements PciFunction {
  readonly io = new ScratchBlock(32);
  readonly memory = new ScratchBlock(0x1000);
  readonly wide = new ScratchBlock(0x4000);
  readonly space: PciConfigSpace;
  host: PciHost | null = null;
  resets = 0;

  constructor(pin = 1) {
    this.space = new PciConfigSpace({
      identity: { vendorId: 0x1af4, deviceId: 0x10f0, classCode: 0xff0000 },
      interruptPin: pin,
    });
    this.space.addBar({ index: 0, kind: "io", size: 32, prefetchable: false, block: this.io });
    this.space.addBar({ index: 1, kind: "memory32", size: 0x1000, prefetchable: false, block: this.memory });
    this.space.addBar({ index: 2, kind: "memory64", size: 0x4000, prefetchable: false, block: this.wide });
  }

  get bars(): readonly PciBar[] {
    return this.space.bars;
  }

  configRead(offset: number, width: AccessWidth): number {
    return this.space.read(offset, width);
  }

  configWrite(offset: number, width: AccessWidth, value: number): void {
    this.space.write(offset, width, value);
  }

  plug(host: PciHost): void {
    this.host = host;
    this.space.plug(host);
  }

  unplug(): void {
    this.space.unplug();
    this.host = null;
  }

  reset(): void {
    this.resets++;
    this.space.reset();
  }
}
