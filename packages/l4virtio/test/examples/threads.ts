import { L4VirtioDevice } from "@virtio-ts/l4virtio/device";
import { L4DriverTransport } from "@virtio-ts/l4virtio/driver";
import { type L4Port, PortIpc, serve, sharedPage } from "@virtio-ts/l4virtio/threads";
import { ProcessHost } from "@virtio-ts/virtio-driver";
import { NetDevice } from "@virtio-ts/virtio-net/device";
import { NetDriver } from "@virtio-ts/virtio-net/driver";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { TurnScheduler } from "@virtio-ts/vmm-glue";

/** In the device's worker. */
function serveNic(port: L4Port): L4VirtioDevice {
  const nic = new NetDevice({ mac: Uint8Array.of(2, 0, 0, 0, 0, 1) });
  const device = new L4VirtioDevice(nic, { scheduler: new TurnScheduler(), page: sharedPage() });
  serve(port, device);
  return device;
}

/** In the driver's worker. Its memory is shared memory, and becomes the device's. */
async function driveNic(port: L4Port): Promise<NetDriver> {
  const host = new ProcessHost(GuestMemory.of(new Uint8Array(new SharedArrayBuffer(1 << 20))));
  const transport = await L4DriverTransport.connect(new PortIpc(port), host);
  const driver = new NetDriver(transport, host, { onFailure: (cause) => console.log(cause.code) });
  await driver.probe();
  return driver;
}

// Here both are in one thread; else `port1` goes to one worker and `port2` to the other.
const { port1, port2 } = new MessageChannel();
const device = serveNic(port1);
const driver = await driveNic(port2);
console.log(driver.hwaddr.join(":")); // 2:0:0:0:0:1
console.log(device.core.memory.regions.length, device.core.status); // 1 11
await driver.destroy();
console.log(device.core.status); // 0
port1.close();
