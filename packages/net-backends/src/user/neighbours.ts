/**
 * Which guest has which MAC address: learned from whatever they send, as a switch does, and asked for by ARP
 * when a connection comes in before the guest has said anything.
 * @module
 */

const MAX_NEIGHBOURS = 1024;

/** The guests' MAC addresses by IPv4 address. */
export class Neighbours {
  readonly #macs = new Map<number, Uint8Array>();
  #lastAddress = -1;
  #lastMac: Uint8Array | undefined;

  /** The MAC address of a guest, where known. It changes in place when the guest gets another. */
  find(address: number): Uint8Array | undefined {
    return this.#macs.get(address);
  }

  /**
   * A guest was heard of.
   * @param bytes where its MAC address lies, at `at`
   * @returns its MAC address, and whether it was not known before
   */
  learn(address: number, bytes: Uint8Array, at: number): boolean {
    let mac = this.#lastMac;
    if (address !== this.#lastAddress || mac === undefined) {
      mac = this.#macs.get(address);
      const isNew = mac === undefined;
      if (mac === undefined) {
        mac = new Uint8Array(6);
        if (this.#macs.size >= MAX_NEIGHBOURS) this.#forgetOldest();
        this.#macs.set(address, mac);
      }
      this.#lastAddress = address;
      this.#lastMac = mac;
      for (let i = 0; i < 6; i++) mac[i] = bytes[at + i];
      return isNew;
    }
    for (let i = 0; i < 6; i++) mac[i] = bytes[at + i];
    return false;
  }

  /** Forgets who had an address. */
  forget(address: number): void {
    this.#macs.delete(address);
    if (address === this.#lastAddress) this.#lastMac = undefined;
  }

  /** Forgets all guests. */
  clear(): void {
    this.#macs.clear();
    this.#lastAddress = -1;
    this.#lastMac = undefined;
  }

  #forgetOldest(): void {
    for (const address of this.#macs.keys()) {
      this.#macs.delete(address);
      return;
    }
  }
}
