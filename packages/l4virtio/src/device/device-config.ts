/**
 * The device configuration in the config page (VIRTIO 1.4, 2.5): a copy of the device's, which the driver can read at
 * any time. The driver's writes reach the device when the driver sends CFG_CHANGED.
 * @module
 */

import type { ConfigAccess } from "@virtio-ts/virtio-device";
import type { ConfigPage } from "../layout/config-page.ts";
import { DEVICE_CONFIG, GENERATION } from "../layout/header.ts";

/** Keeps the copy in the page. */
export class DeviceConfig {
  readonly #config: ConfigAccess;
  readonly #page: ConfigPage;
  /** The words as the device last wrote them into the page: the driver may have changed them there. */
  readonly #copy: Uint32Array;

  constructor(config: ConfigAccess, page: ConfigPage) {
    this.#config = config;
    this.#page = page;
    this.#copy = new Uint32Array(Math.ceil(config.size / 4));
  }

  /** Writes the whole configuration over the page's. */
  write(): void {
    for (const word of this.#copy.keys()) this.#put(word, this.#config.read(4 * word, 4));
  }

  /** The page came with saved state. Keeps the driver's writes that CFG_CHANGED has not yet reported. */
  restore(): void {
    for (const word of this.#copy.keys()) this.#copy[word] = this.#config.read(4 * word, 4);
  }

  /**
   * Writes the words that changed in the device. The generation advances before and after, so a read across either is
   * noticed. Unchanged words are not written, because the driver may be about to write them.
   */
  update(): void {
    let changed = false;
    for (const word of this.#copy.keys()) {
      const value = this.#config.read(4 * word, 4);
      if (value === this.#copy[word]) continue;
      if (!changed) this.#config.changed();
      if (!changed) this.#page.store(GENERATION, this.#config.generation);
      changed = true;
      this.#put(word, value);
    }
    if (changed) this.#config.changed();
    this.#page.store(GENERATION, this.#config.generation);
  }

  /** Passes the driver's writes to the device, and writes the device's resulting values into the page. */
  take(): void {
    for (const word of this.#copy.keys()) {
      const written = this.#page.load(DEVICE_CONFIG + 4 * word);
      if (written === this.#copy[word]) continue;
      this.#config.write(4 * word, 4, written);
      this.#put(word, this.#config.read(4 * word, 4));
    }
  }

  #put(word: number, value: number): void {
    this.#copy[word] = value;
    this.#page.store(DEVICE_CONFIG + 4 * word, value);
  }
}
