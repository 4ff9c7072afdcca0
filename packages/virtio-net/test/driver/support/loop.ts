/** The NIC driver on a NIC of ours that sends whatever it is given back to its driver. */
import { ProcessHost } from "@virtio-ts/virtio-driver";
import { GuestMemory, MemoryRegion } from "@virtio-ts/vm-memory";
import { NetDevice, type NetDeviceOptions } from "../../../src/index.ts";
import { DirectTransport, DriverRig, type DriverRigOptions } from "../../../src/testing/index.ts";

const MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);

export interface LoopOptions extends DriverRigOptions {
  ringFeatures?: bigint;
  legacy?: boolean;
  nic?: NetDeviceOptions;
  /** Stop before probe. */
  asleep?: boolean;
}

export async function setupLoop(options: LoopOptions = {}) {
  const host = new ProcessHost(new GuestMemory([new MemoryRegion(0, new Uint8Array(0x80_0000))]));
  const tasks: (() => void)[] = [];
  const scheduler = { defer: (task: () => void) => void tasks.push(task) };
  const nic = new NetDevice({ mac: MAC, ...options.nic });
  const { memory } = host;
  const { ringFeatures, legacy } = options;
  const transport = new DirectTransport(nic, {
    memory,
    scheduler,
    ...(ringFeatures === undefined ? {} : { ringFeatures }),
    ...(legacy === undefined ? {} : { legacy }),
  });
  nic.attach(nic);
  const rig = new DriverRig(transport, host, options);
  if (options.asleep !== true) await rig.start();
  return { host, memory, nic, transport, core: transport.core, rig, driver: rig.driver, pool: rig.pool, tasks };
}
