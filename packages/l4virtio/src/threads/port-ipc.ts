/**
 * The driver's thread: the capability to a device that another thread serves. For code that runs drivers in a worker.
 * @module
 */

import { DriverError } from "@virtio-ts/virtio-driver";
import {
  OP_CONFIG_QUEUE,
  OP_DEVICE_CONFIG,
  OP_GET_DEVICE_IRQ,
  OP_REGISTER_DS,
  OP_REGISTER_IFACE,
  OP_SET_STATUS,
} from "../layout/commands.ts";
import { isL4Result, L4_EOK, type L4Error, type L4Result } from "../layout/errors.ts";
import type { ConfigDataspace, L4Ipc, L4Irq, RegisteredInterface } from "../layout/objects.ts";
import { isShared, type L4Port, type Message, messageOf, numberOf, OP_ICU_BIND, OP_ICU_INFO } from "./port.ts";
import { WakeUps } from "./wake-ups.ts";

interface Request {
  readonly resolve: (answer: Message) => void;
  readonly reject: (cause: DriverError) => void;
}

/**
 * IPC over a port. It learns that the device is gone from the port's `close` event, which Node has but not every
 * browser, or from {@link PortIpc.lost}, which the code that ends the device's worker calls.
 */
export class PortIpc implements L4Ipc {
  readonly #port: L4Port;
  readonly #wakeUps: WakeUps;
  /** Pending requests by `id`. The key is `unknown` because an answer's `id` may be anything. */
  readonly #requests = new Map<unknown, Request>();
  #next = 0;
  #gone: string | null = null;
  readonly #onGone: ((reason: string) => void)[] = [];

  constructor(port: L4Port) {
    this.#port = port;
    this.#wakeUps = new WakeUps(port);
    port.addEventListener("message", (event) => this.#received(messageOf(event)));
    port.addEventListener("close", () => this.lost("its port was closed"));
    port.start();
  }

  setStatus(status: number): Promise<L4Result> {
    return this.#result({ operation: OP_SET_STATUS, first: status });
  }

  configQueue(queue: number): Promise<L4Result> {
    return this.#result({ operation: OP_CONFIG_QUEUE, first: queue });
  }

  /** @throws DriverError `invalid` if the memory is not shared, because the device would get a copy */
  async registerDs(dataspace: Uint8Array, base: number, offset: number, size: number): Promise<L4Result> {
    if (!isShared(dataspace)) throw new DriverError("invalid", `${dataspace.length} bytes that are not shared memory`);
    return this.#result({ operation: OP_REGISTER_DS, dataspace, first: base, second: offset, third: size });
  }

  async deviceConfig(): Promise<ConfigDataspace | L4Error> {
    const answer = await this.#ask({ operation: OP_DEVICE_CONFIG });
    return errorOf(answer) ?? pageOf(answer);
  }

  async deviceNotificationIrq(index: number): Promise<L4Irq | L4Error> {
    const answer = await this.#ask({ operation: OP_GET_DEVICE_IRQ, first: index });
    return errorOf(answer) ?? this.#irqOf(answer, index);
  }

  async registerIface(handler: () => void): Promise<RegisteredInterface | L4Error> {
    const answer = await this.#ask({ operation: OP_REGISTER_IFACE, irqObject: this.#wakeUps.create(0, handler) });
    return errorOf(answer) ?? { irq: this.#irqOf(answer, 0), ...pageOf(answer) };
  }

  async icuInfo(): Promise<number> {
    const { result } = await this.#ask({ operation: OP_ICU_INFO });
    return numberOf(result);
  }

  icuBind(index: number, handler: () => void): Promise<L4Result> {
    return this.#result({ operation: OP_ICU_BIND, first: index, irqObject: this.#wakeUps.create(index, handler) });
  }

  onGone(handler: (reason: string) => void): void {
    if (this.#gone === null) this.#onGone.push(handler);
    else handler(this.#gone);
  }

  /** The device is gone: rejects all pending requests and calls the handlers of {@link onGone}. */
  lost(reason: string): void {
    if (this.#gone !== null) return;
    this.#gone = reason;
    for (const { reject } of this.#requests.values()) reject(this.#error(reason));
    this.#requests.clear();
    for (const handler of this.#onGone.splice(0)) handler(reason);
    this.#port.close();
  }

  #received(message: Message): void {
    if (this.#wakeUps.deliver(message)) return;
    this.#requests.get(message.id)?.resolve(message);
    this.#requests.delete(message.id);
  }

  #irqOf({ irqObject }: Message, index: number): L4Irq {
    const irq = this.#wakeUps.open(irqObject);
    if (irq !== null) return irq;
    throw new DriverError("bad-device", `the device answered no IRQ object ${index}`);
  }

  async #result(request: object): Promise<L4Result> {
    const { result } = await this.#ask(request);
    if (isL4Result(result)) return result;
    throw new DriverError("bad-device", "the device answered with what is no result of IPC");
  }

  #ask(request: object): Promise<Message> {
    return new Promise((resolve, reject) => {
      if (this.#gone !== null) {
        reject(this.#error(this.#gone));
        return;
      }
      const id = this.#next++;
      this.#requests.set(id, { resolve, reject });
      this.#port.postMessage({ id, ...request });
    });
  }

  #error(reason: string): DriverError {
    return new DriverError("device-gone", `the device is gone: ${reason}`);
  }
}

/** The error in an answer, or `null`. */
function errorOf({ result }: Message): L4Error | null {
  return isL4Result(result) && result !== L4_EOK ? result : null;
}

function pageOf({ dataspace, offset }: Message): ConfigDataspace {
  if (isShared(dataspace) && typeof offset === "number") return { dataspace, offset };
  throw new DriverError("bad-device", "the device answered no config page");
}
