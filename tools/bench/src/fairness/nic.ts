/**
 * A NIC on a machine's PCI bus and its driver, ready to go.
 *
 * @module
 */
import { connect, type NetBackend } from "@virtio-ts/net-link";
import type { ProcessHost } from "@virtio-ts/virtio-driver";
import { NetDevice } from "@virtio-ts/virtio-net/device";
import { NetbufPool, NetDriver, PacketBurst, type RxQueue, type TxQueue } from "@virtio-ts/virtio-net/driver";
import { PciConfigPorts, PciFinder } from "@virtio-ts/virtio-pci/driver";
import { type Machine, onPci } from "@virtio-ts/vmm-glue";

const ENTRIES = 256;
/** Bytes of each frame. */
const FRAME = 60;

/** One NIC that is driven. */
export interface DrivenNic {
  readonly txq: TxQueue;
  readonly rxq: RxQueue;
  readonly pool: NetbufPool;
  /** The driver's notification of the transmit queue, as a write to its register. */
  kick(): void;
  stop(): Promise<void>;
}

/** Plugs a NIC in and brings its driver up. @param onEvent told of what was received */
export async function plugNic(
  machine: Machine,
  host: ProcessHost,
  id: string,
  backend: NetBackend,
  onEvent: (rxq: RxQueue) => void,
): Promise<DrivenNic> {
  const nic = new NetDevice({ mac: Uint8Array.of(2, 0, 0, 0, 0, host.dma.allocated & 255) });
  connect(nic, backend);
  const { slot } = machine.devices.add(id, nic, onPci(machine)).attachment;
  const { ports, mmio } = machine;
  const finder = new PciFinder(host, { ports, mmio, config: new PciConfigPorts(ports) });
  // The bus is walked in the order of slots: the one plugged in last is the last one found.
  const found = [...finder.devices()].at(-1);
  if (found === undefined) throw new Error(`no NIC in slot ${slot.device}`);
  const transport = found.connect();
  const driver = new NetDriver(transport, host);
  const pool = new NetbufPool(host, { count: 4 * ENTRIES });
  await driver.probe();
  driver.configure(1, 1);
  const txq = driver.txqConfigure(0, ENTRIES, { pool });
  const rxq = driver.rxqConfigure(0, ENTRIES, { pool, allocate: pool.allocateInto, onEvent });
  await driver.start();
  const stop = async (): Promise<void> => {
    await driver.destroy();
    pool.destroy();
    await machine.devices.remove(id);
  };
  return { txq, rxq, pool, kick: () => transport.notify(1), stop };
}

/** Hands `count` frames to the NIC. @returns how many it took */
export function transmit({ txq, pool }: DrivenNic, count: number): number {
  const burst = new PacketBurst(count);
  while (burst.count < count && pool.available > 0) {
    const packet = pool.allocate();
    pool.lengths[packet] = FRAME;
    burst.add(packet);
  }
  txq.txBurst(burst);
  for (let i = burst.next; i < burst.count; i++) pool.release(burst.packets[i]);
  return burst.next;
}
