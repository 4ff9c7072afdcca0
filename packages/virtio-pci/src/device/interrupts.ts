/**
 * The function's interrupts: MSI-X while the driver has enabled it, else the interrupt pin and ISR status (VIRTIO 1.4,
 * 4.1.4.5, 4.1.5.3 and 4.1.5.4). The state machine's notifiers call into this module.
 * @module
 */

import { ISR_CONFIG, ISR_QUEUE } from "@virtio-ts/virtio-bindings";
import type { InterruptNotifier, TransportInterrupts } from "@virtio-ts/virtio-device";
import { type InterruptLine, PCI_COMMAND_INTX_DISABLE, type PciConfigSpace, type PciHost } from "@virtio-ts/vm-device";
import { NO_VECTOR } from "../layout/common-config.ts";
import { IsrStatus } from "./isr.ts";
import type { MsixTable } from "./msix.ts";
import type { PciTransportState } from "./snapshot.ts";

/** The interrupts' part of saved state. */
type InterruptState = Pick<PciTransportState, "isr" | "configVector" | "queueVectors" | "msix">;

/** The interrupts of one function. */
export class PciInterrupts implements TransportInterrupts {
  /** ISR status. */
  readonly isr: IsrStatus = new IsrStatus(() => this.update());
  /** Vector of configuration changes, or {@link NO_VECTOR}. */
  configVector: number = NO_VECTOR;
  /** Vector of each queue, or {@link NO_VECTOR}. */
  readonly queueVectors: Uint16Array;
  readonly config: InterruptNotifier = { notify: () => this.#notifyConfig() };
  readonly #queues: readonly InterruptNotifier[];
  readonly #space: PciConfigSpace;
  #msix: MsixTable | null;
  #line: InterruptLine | null = null;
  #level = false;

  constructor(queueCount: number, space: PciConfigSpace, msix: MsixTable | null) {
    this.#space = space;
    this.#msix = msix;
    this.queueVectors = new Uint16Array(queueCount).fill(NO_VECTOR);
    this.#queues = Array.from(this.queueVectors, (_, index) => ({ notify: () => this.#notifyQueue(index) }));
  }

  queue(index: number): InterruptNotifier {
    return this.#queues[index];
  }

  /** Whether the driver has enabled MSI-X. */
  get msixEnabled(): boolean {
    return this.#msix?.enabled ?? false;
  }

  /** The value of a vector register after `vector` was written: {@link NO_VECTOR} if there is no such vector. */
  mappable(vector: number): number {
    return vector < (this.#msix?.vectors ?? 0) ? vector : NO_VECTOR;
  }

  /** Removes MSI-X, because the machine takes no messages. */
  withoutMsix(): void {
    this.#msix = null;
  }

  /** Connects to a bus, or to none. The pin is low: the function is new, or was reset. */
  connect(host: PciHost | null): void {
    this.#line = host?.intx ?? null;
    if (this.#msix !== null) this.#msix.sink = host?.msi ?? null;
    this.update();
  }

  /** Device reset: nothing pending, every event unmapped. */
  reset(): void {
    this.configVector = NO_VECTOR;
    this.queueVectors.fill(NO_VECTOR);
    this.#msix?.forgetPending();
    this.isr.clear();
  }

  /** A queue's reset also unmaps its vector; the driver maps it again with the queue (2.6.1.1, 4.1.4.3). */
  resetQueue(index: number): void {
    this.queueVectors[index] = NO_VECTOR;
  }

  /** The state as plain data. */
  save(): InterruptState {
    const { isr, configVector, queueVectors } = this;
    const msix = this.#msix?.save() ?? null;
    return { isr: isr.bits, configVector, queueVectors: Array.from(queueVectors), msix };
  }

  /** Restores state from {@link save}, already checked. The pin follows with {@link update}. */
  restore(state: InterruptState): void {
    this.isr.bits = state.isr;
    this.configVector = state.configVector;
    this.queueVectors.set(state.queueVectors);
    if (state.msix !== null) this.#msix?.restore(state.msix);
  }

  /** Updates the status register and the pin from ISR status, INTx disable and MSI-X enable. */
  update(): void {
    const pending = this.isr.bits !== 0 && !this.msixEnabled;
    this.#space.setInterruptStatus(pending);
    const level = pending && this.#line !== null && (this.#space.activity & PCI_COMMAND_INTX_DISABLE) === 0;
    if (level === this.#level) return;
    this.#level = level;
    if (level) this.#line?.raise();
    else this.#line?.lower();
  }

  #notifyQueue(index: number): void {
    const msix = this.#msix;
    if (msix?.enabled)
      msix.fire(this.queueVectors[index]); // NO_VECTOR is past every table
    else this.isr.set(ISR_QUEUE);
  }

  #notifyConfig(): void {
    this.isr.set(ISR_CONFIG); // also under MSI-X (4.1.4.5.1)
    const msix = this.#msix;
    if (msix?.enabled) msix.fire(this.configVector);
  }
}
