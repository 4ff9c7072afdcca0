/**
 * The command field of the config page, from the device's side. A command stays there until it is done.
 * @module
 */

import {
  CMD_CFG_CHANGED,
  CMD_CFG_QUEUE,
  CMD_MASK,
  CMD_NONE,
  CMD_NOTIFY_QUEUE,
  CMD_SET_STATUS,
} from "../layout/commands.ts";
import type { ConfigPage } from "../layout/config-page.ts";

/** The actions of the commands. */
export interface CommandActions {
  setStatus(status: number): void;
  configQueue(queue: number): void;
  /** The driver has written device configuration. */
  configWritten(): void;
  notifyQueue(queue: number): void;
  /** Settles when the command is done. */
  settled(): Promise<void>;
}

/** Carries out commands. */
export class CommandField {
  readonly #page: ConfigPage;
  readonly #actions: CommandActions;
  /** The command in progress, so that repeated signals do not start it again. */
  #current = CMD_NONE;

  constructor(page: ConfigPage, actions: CommandActions) {
    this.#page = page;
    this.#actions = actions;
  }

  /** Carries out the command in the page, if there is one. */
  carryOut(): void {
    const { cmd } = this.#page.header;
    const command = this.#page.load(cmd);
    if (command === CMD_NONE || command === this.#current) return;
    this.#current = command;
    this.#begin((command & CMD_MASK) >>> 0, command & ~CMD_MASK);
    void this.#actions.settled().then(() => {
      if (this.#current === command) this.#current = CMD_NONE;
      this.#page.replace(cmd, command, CMD_NONE);
    });
  }

  #begin(command: number, argument: number): void {
    switch (command) {
      case CMD_SET_STATUS:
        this.#actions.setStatus(argument);
        break;
      case CMD_CFG_QUEUE:
        this.#actions.configQueue(argument);
        break;
      case CMD_CFG_CHANGED:
        this.#actions.configWritten();
        break;
      case CMD_NOTIFY_QUEUE:
        this.#actions.notifyQueue(argument);
        break;
    }
  }
}
