import { type AccessWidth, type IoBus, lowBytes, type Mapping, type RegisterBlock } from "@virtio-ts/vm-device";

/** A register of 32 bits that keeps what is written to it. */
export class ScratchRegister implements RegisterBlock {
  readonly size = 4;
  #value = 0;

  read(offset: number, width: AccessWidth): number {
    return lowBytes(this.#value >>> (8 * offset), width);
  }

  write(offset: number, width: AccessWidth, value: number): void {
    const written = lowBytes(-1, width) << (8 * offset);
    this.#value = (this.#value & ~written) | ((value << (8 * offset)) & written);
  }
}

/** Puts one at port 0x300; `unmap` of what comes back takes it out again. */
export function addScratchRegister(ports: IoBus): Mapping {
  return ports.map(0x300, new ScratchRegister());
}
