/**
 * The device's thread: answers the operations that come over a port. For code that runs devices in a worker.
 * @module
 */

import type { L4VirtioDevice } from "../device/l4-virtio-device.ts";
import {
  OP_CONFIG_QUEUE,
  OP_DEVICE_CONFIG,
  OP_GET_DEVICE_IRQ,
  OP_REGISTER_DS,
  OP_REGISTER_IFACE,
  OP_SET_STATUS,
} from "../layout/commands.ts";
import { L4_EINVAL, L4_ENOSYS, L4_EOK, L4VirtioError } from "../layout/errors.ts";
import { isShared, type L4Port, type Message, messageOf, numberOf, OP_ICU_BIND, OP_ICU_INFO } from "./port.ts";
import { WakeUps } from "./wake-ups.ts";

/**
 * Serves a device to the driver at the other end of a port until the port closes, and then resets the device.
 * @throws L4VirtioError `page` if the config page is not shared memory: make the device with `sharedPage()`
 */
export function serve(port: L4Port, device: L4VirtioDevice): void {
  if (!isShared(device.deviceConfig().dataspace)) {
    throw new L4VirtioError("page", "the config page is not in shared memory: no other thread would see it");
  }
  const server = new Server(port, device);
  port.addEventListener("message", (event) => server.received(messageOf(event)));
  port.addEventListener("close", () => device.setStatus(0));
  port.start();
}

class Server {
  readonly #port: L4Port;
  readonly #device: L4VirtioDevice;
  readonly #wakeUps: WakeUps;

  constructor(port: L4Port, device: L4VirtioDevice) {
    this.#port = port;
    this.#device = device;
    this.#wakeUps = new WakeUps(port);
  }

  received(message: Message): void {
    if (this.#wakeUps.deliver(message)) return;
    const answer = { id: message.id, ...this.#carryOut(message) };
    void this.#device.settled.then(() => this.#port.postMessage(answer));
  }

  #carryOut(message: Message): object {
    const device = this.#device;
    const [first, second, third] = [message.first, message.second, message.third].map(numberOf);
    switch (message.operation) {
      case OP_SET_STATUS:
        return { result: device.setStatus(first) };
      case OP_CONFIG_QUEUE:
        return { result: device.configQueue(first) };
      case OP_REGISTER_DS: {
        const { dataspace } = message;
        return { result: isShared(dataspace) ? device.registerDs(dataspace, first, second, third) : L4_EINVAL };
      }
      case OP_DEVICE_CONFIG:
        return { result: L4_EOK, ...device.deviceConfig() };
      case OP_GET_DEVICE_IRQ:
        return this.#deviceIrq(first);
      case OP_REGISTER_IFACE: {
        const answer = device.registerIface(this.#wakeUps.open(message.irqObject));
        return typeof answer === "number" ? { result: answer } : { ...this.#deviceIrq(0), ...device.deviceConfig() };
      }
      case OP_ICU_INFO:
        return { result: device.icuInfo() };
      case OP_ICU_BIND: {
        const irq = this.#wakeUps.open(message.irqObject);
        return { result: irq === null ? L4_EINVAL : device.icuBind(first, irq) };
      }
      default:
        return { result: L4_ENOSYS };
    }
  }

  #deviceIrq(index: number): object {
    const irq = this.#device.deviceNotificationIrq(index);
    if (typeof irq === "number") return { result: irq };
    return { result: L4_EOK, irqObject: this.#wakeUps.create(index, () => irq.trigger()) };
  }
}
