/**
 * Sends operations and commands to the device, and waits for them, with a time-out and only until the device is gone.
 * @module
 */

import { DriverError, type HostClock, waitFor } from "@virtio-ts/virtio-driver";
import { CMD_NONE } from "../layout/commands.ts";
import type { ConfigPage } from "../layout/config-page.ts";
import { L4_ENOMEM, L4_EOK, type L4Result, l4ResultName } from "../layout/errors.ts";
import type { L4Ipc, L4Irq } from "../layout/objects.ts";

/** The driver's end of the IPC with one device. */
export class DeviceLink {
  /** Called once, when the device is gone. */
  onGone: (() => void) | null = null;
  readonly #clock: HostClock;
  #gone: DriverError | null = null;
  /** Settles when the last command is done. The page holds one command at a time. */
  #commands: Promise<void> = Promise.resolve();

  constructor(ipc: L4Ipc, clock: HostClock) {
    this.#clock = clock;
    ipc.onGone((reason) => {
      this.#gone = new DriverError("device-gone", `the device is gone: ${reason}`);
      this.onGone?.();
    });
  }

  /** Why the device can't be reached any more, or `null`. */
  get gone(): DriverError | null {
    return this.#gone;
  }

  /**
   * Waits for the answer to an operation.
   * @throws DriverError `timeout`, `device-gone`; the request's own rejection
   */
  async answer<T>(what: string, request: Promise<T>): Promise<T> {
    let answered = false;
    const note = (): void => {
      answered = true;
    };
    request.then(note, note);
    await this.#wait(what, () => answered);
    return request;
  }

  /**
   * Waits for an operation that answers a number.
   * @throws DriverError `no-memory`, `refused` if it is not 0; `timeout`, `device-gone`
   */
  async done(what: string, request: Promise<L4Result>): Promise<void> {
    const result = await this.answer(what, request);
    if (result === L4_EOK) return;
    const code = result === L4_ENOMEM ? "no-memory" : "refused";
    throw new DriverError(code, `${what}: the device answered ${l4ResultName(result)}`);
  }

  /**
   * Sends a command after the earlier ones, and waits until the device has carried it out.
   * @param irq the device's IRQ object for commands; `null` for a device that polls the page
   * @param given called just before the command is in the page, where the device may see it
   * @throws DriverError `timeout`, `device-gone`
   */
  command(page: ConfigPage, irq: L4Irq | null, command: number, given?: () => void): Promise<void> {
    const { cmd } = page.header;
    const what = `command 0x${command.toString(16)}`;
    const run = async (): Promise<void> => {
      given?.();
      page.store(cmd, command);
      irq?.trigger();
      await this.#wait(what, () => page.load(cmd) === CMD_NONE);
    };
    const done = this.#commands.then(run);
    this.#commands = done.catch(() => {}); // its caller gets the error; later commands run all the same
    return done;
  }

  /** @throws DriverError `timeout`, `device-gone` */
  #wait(what: string, done: () => boolean): Promise<void> {
    return waitFor(this.#clock, what, () => {
      if (this.#gone !== null) throw this.#gone;
      return done();
    });
  }
}
