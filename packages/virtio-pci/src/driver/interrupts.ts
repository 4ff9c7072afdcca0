/**
 * Routes a function's interrupts to its driver: a vector for each queue if there are enough messages, else shared
 * vectors, else the pin (VIRTIO 1.4, 4.1.5.1.2, 4.1.5.3 and 4.1.5.4). For both interfaces.
 * @module
 */

import { ISR_CONFIG, ISR_QUEUE } from "@virtio-ts/virtio-bindings";
import { DriverError, type DriverInterrupts, type HostInterrupts, type HostMessage } from "@virtio-ts/virtio-driver";
import { PCI_COMMAND_INTX_DISABLE } from "@virtio-ts/vm-device";
import { NO_VECTOR } from "../layout/common-config.ts";
import type { PciFunctionConfig } from "./function.ts";
import type { MsixVectors } from "./msix-vectors.ts";

/** The registers of the interface in use that interrupts need. */
export interface InterruptRegisters {
  /** Reads ISR status, which clears it and lowers the pin. */
  readIsr(): number;
  /** Writes `config_msix_vector`. @returns the register's value afterwards */
  mapConfigVector(vector: number): number;
}

/** The interrupts of one function. */
export class PciDriverInterrupts {
  readonly #fn: PciFunctionConfig;
  readonly #host: HostInterrupts;
  readonly #msix: MsixVectors | null;
  readonly #line: number | null;
  readonly #registers: InterruptRegisters;
  #disconnect: (() => void) | null = null;
  #messages: readonly HostMessage[] = [];
  /** One set of queues for each queue interrupt. The pin has one set. */
  #groups: readonly Set<number>[] = [new Set()];

  /** @param line the line of the pin, or `null` if the pin is not wired */
  constructor(
    fn: PciFunctionConfig,
    host: HostInterrupts,
    msix: MsixVectors | null,
    line: number | null,
    registers: InterruptRegisters,
  ) {
    this.#fn = fn;
    this.#host = host;
    this.#msix = msix;
    this.#line = line;
    this.#registers = registers;
  }

  /** Whether messages are used. ISR status has no meaning then. */
  get messages(): boolean {
    return this.#messages.length > 0;
  }

  /**
   * Gives a queue that is being enabled a free interrupt, or a share of the last one.
   * @returns its vector; `NO_VECTOR` if messages are not used
   */
  join(queue: number): number {
    const free = this.#groups.findIndex((group) => group.size === 0);
    const at = free < 0 ? this.#groups.length - 1 : free;
    this.#groups[at].add(queue);
    // Queue vectors come last: configuration changes may have no vector of their own.
    return this.messages ? this.#messages.length - this.#groups.length + at : NO_VECTOR;
  }

  /** Takes back the interrupt of a queue that was reset. */
  leave(queue: number): void {
    for (const group of this.#groups) group.delete(queue);
  }

  /** @throws DriverError `refused` */
  bind(interrupts: DriverInterrupts, queues: number): void {
    this.unbind();
    const config = (): void => interrupts.configChanged();
    const own = this.#tellers(interrupts, queues);
    if (this.#takeMessages([config, ...own])) return;
    const shared = this.#tellers(interrupts, 1);
    if (this.#takeMessages([config, ...shared])) return;
    const both = (): void => {
      config();
      shared[0]();
    };
    if (!this.#takeMessages([both])) this.#bindLine(config, shared[0]);
  }

  /** Stops all interrupts. Disables the pin too, because other functions may share its line. */
  unbind(): void {
    this.#fn.command(PCI_COMMAND_INTX_DISABLE, 0);
    this.#msix?.enable(false);
    for (const message of this.#messages) message.release();
    this.#messages = [];
    this.#groups = [new Set()];
    this.#disconnect?.();
    this.#disconnect = null;
  }

  /** Makes `count` groups of queues, and a handler for each. */
  #tellers(interrupts: DriverInterrupts, count: number): readonly (() => void)[] {
    this.#groups = Array.from({ length: Math.max(count, 1) }, () => new Set<number>());
    return this.#groups.map((group) => () => {
      for (const queue of group) interrupts.used(queue);
    });
  }

  /** Binds a message to each handler, if there are enough messages. @throws DriverError `refused` */
  #takeMessages(handlers: readonly (() => void)[]): boolean {
    const msix = this.#msix;
    if (msix === null || handlers.length > msix.count) return false;
    const messages: HostMessage[] = [];
    for (const handler of handlers) {
      const message = this.#host.allocateMessage(handler);
      if (message === null) break;
      messages.push(message);
    }
    this.#messages = messages;
    if (messages.length < handlers.length) {
      for (const message of messages) message.release();
      this.#messages = [];
      return false;
    }
    messages.forEach((message, vector) => void msix.program(vector, message));
    msix.enable(true);
    if (this.#registers.mapConfigVector(0) === 0) return true;
    this.unbind();
    throw new DriverError("refused", `${this.#fn.location} did not map configuration changes to vector 0`);
  }

  #bindLine(config: () => void, queues: () => void): void {
    if (this.#line === null) {
      throw new DriverError("refused", `${this.#fn.location} has no interrupt: no message is left, no line is wired`);
    }
    this.#fn.command(0, PCI_COMMAND_INTX_DISABLE);
    this.#disconnect = this.#host.connectLine(this.#line, () => {
      const isr = this.#registers.readIsr();
      if ((isr & ISR_CONFIG) !== 0) config();
      if ((isr & ISR_QUEUE) !== 0) queues();
    });
  }
}
