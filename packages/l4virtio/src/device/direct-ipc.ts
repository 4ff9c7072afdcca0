/**
 * The IPC of a device in the same thread: direct calls. For machines and tests with both halves in one thread.
 * @module
 */

import type { L4Result } from "../layout/errors.ts";
import type { L4Ipc } from "../layout/objects.ts";
import type { L4VirtioDevice } from "./l4-virtio-device.ts";

/** A capability to a device in the same thread. */
export function directIpc(device: L4VirtioDevice): L4Ipc {
  const settled = async (result: L4Result): Promise<L4Result> => {
    await device.settled;
    return result;
  };
  return {
    setStatus: (status) => settled(device.setStatus(status)),
    configQueue: (queue) => settled(device.configQueue(queue)),
    registerDs: async (dataspace, base, offset, size) => device.registerDs(dataspace, base, offset, size),
    deviceConfig: async () => device.deviceConfig(),
    deviceNotificationIrq: async (index) => device.deviceNotificationIrq(index),
    registerIface: async (handler) => device.registerIface({ trigger: handler }),
    icuInfo: async () => device.icuInfo(),
    icuBind: async (index, handler) => device.icuBind(index, { trigger: handler }),
    onGone: () => {}, // it ends when this thread does
  };
}
