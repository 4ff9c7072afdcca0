/**
 * A PCI function whose registers the tests see.
 * @module
 */

import { type AccessWidth, type PciBar, PciConfigSpace, type PciFunction, type PciHost } from "@virtio-ts/vm-device";
import { TestBlock } from "./block.ts";

/** A function with one I/O BAR and one 64-bit memory BAR. */
export class TestFunction implements PciFunction {
  readonly bars: readonly PciBar[];
  readonly space: PciConfigSpace;
  readonly io: TestBlock;
  readonly memory: TestBlock;
  host: PciHost | null = null;

  constructor(interruptPin = 1, ioSize = 0x20, deviceId = 0x1234) {
    this.io = new TestBlock(ioSize, 0xa0);
    this.memory = new TestBlock(0x1000, 0xb0);
    this.bars = [
      { index: 0, kind: "io", size: ioSize, prefetchable: false, block: this.io },
      { index: 2, kind: "memory64", size: 0x1000, prefetchable: false, block: this.memory },
    ];
    const identity = { vendorId: 0xcafe, deviceId, classCode: 0xff00_00 };
    this.space = new PciConfigSpace({ identity, interruptPin });
    for (const bar of this.bars) this.space.addBar(bar);
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
  }
}
