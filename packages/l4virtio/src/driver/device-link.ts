/**
 * Telling the device what to do, by IPC or by the command field, and waiting for it: never for ever, and never for a
 * device that is gone.
 * @module
 */

import { DriverError, type HostClock, waitFor } from "@virtio-ts/virtio-driver";
import { CMD_NONE } from "../layout/commands.ts";
import type { ConfigPage } from "../layout/config-page.ts";
import { L4_ENOMEM, L4_EOK, type L4Result, l4ResultName } from "../layout/errors.ts";
import type { L4Ipc, L4Irq } from "../layout/objects.ts";

/** The driver's end of the IPC with one device. */
export class DeviceLink {
  /** Told once, when the device is gone. */
  onGone: (() => void) | null = null;
  readonly #clock: HostClock;
  #gone: DriverError | null = null;
  /** When the last command is done: there is room for one at a time. */
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
   * @throws DriverError `timeout`, `device-gone`; what the request is rejected with
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
   * @throws DriverError `no-memory`, `refused` where it is not 0; `timeout`, `device-gone`
   */
  async done(what: string, request: Promise<L4Result>): Promise<void> {
    const result = await this.answer(what, request);
    if (result === L4_EOK) return;
    const code = result === L4_ENOMEM ? "no-memory" : "refused";
    throw new DriverError(code, `${what}: the device answered ${l4ResultName(result)}`);
  }

  /**
   * Has the device carry out a command, after those before it.
   * @param irq the device's IRQ object for commands; `null` of a device that looks at the page by itself
   * @param given called when the device may have seen the command
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
    this.#commands = done.catch(() => {}); // who gave the command is told, those after it have their own try
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
