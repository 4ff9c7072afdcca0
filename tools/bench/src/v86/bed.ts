/**
 * The test bed: one guest with three NICs, each with a user-mode network of its own. Two are ours, one with all
 * features and one with those that the built-in has; the third is v86's.
 *
 * @module
 */
import { bootGuest, configureAddress, type Emulator, type Guest, interfaces } from "@virtio-ts/guest";
import { connect } from "@virtio-ts/net-link";
import { UserNetwork } from "@virtio-ts/user-network";
import { nodeHostSockets } from "@virtio-ts/user-network/node";
import { feature, VIRTIO_F_VERSION_1 } from "@virtio-ts/virtio-bindings";
import { VIRTIO_NET_F_MAC, VIRTIO_NET_F_MTU, VIRTIO_NET_F_STATUS } from "@virtio-ts/virtio-net";
import { addNic } from "@virtio-ts/vmm-v86";
import { BuiltinNic } from "./builtin-nic.ts";
import { Valve } from "./valve.ts";

/** One NIC of the bed. */
export interface Contestant {
  readonly name: "full" | "equal" | "builtin";
  /** Its interface in the guest. */
  readonly ifname: string;
  /** The guest's address on it. */
  readonly address: string;
  /** The host's address on its network. */
  readonly gateway: string;
  readonly valve: Valve;
  readonly network: UserNetwork;
}

/** A guest with its contestants. */
export interface Bed {
  readonly guest: Guest;
  readonly contestants: readonly Contestant[];
  close(): Promise<void>;
}

/** What the built-in offers of what we have, no ring features, and interrupts by its pin. */
const EQUAL = {
  interrupt: "intx",
  bar: "io",
  features: feature(VIRTIO_NET_F_MAC, VIRTIO_NET_F_STATUS, VIRTIO_NET_F_MTU),
  ringFeatures: feature(VIRTIO_F_VERSION_1),
} as const;

interface Wired {
  readonly name: Contestant["name"];
  readonly subnet: number;
  readonly mac: string | null;
  readonly valve: Valve;
  readonly network: UserNetwork;
}

/** Boots the guest and brings its interfaces up. */
export async function makeBed(onProgress: (message: string) => void): Promise<Bed> {
  const wired: Wired[] = [];
  const guest = await bootGuest({
    acpi: true,
    builtinVirtioNet: true,
    onProgress,
    attach: (emulator) => {
      wired.push(plugOurs(emulator, "full", 2), plugOurs(emulator, "equal", 3), plugBuiltin(emulator, 4));
    },
  });
  const found = (await interfaces(guest)).filter(({ driver }) => driver === "virtio_net");
  const contestants: Contestant[] = [];
  for (const { name, subnet, mac, valve, network } of wired) {
    const nic = found.find((i) => (mac === null ? wired.every((w) => w.mac !== i.mac) : i.mac === mac));
    if (nic === undefined) throw new Error(`the guest does not have the NIC "${name}"`);
    const address = `10.0.${subnet}.15`;
    await configureAddress(guest, nic.name, `${address}/24`);
    contestants.push({ name, ifname: nic.name, address, gateway: `10.0.${subnet}.2`, valve, network });
  }
  return {
    guest,
    contestants,
    close: async () => {
      await guest.stop();
      for (const { network } of wired) network.close();
    },
  };
}

function plugOurs(emulator: Emulator, name: "full" | "equal", subnet: number): Wired {
  const mac = Uint8Array.of(0x52, 0x54, 0, 0, 0, subnet);
  const { valve, network } = backend(subnet);
  const plug = { mac, backend: valve };
  addNic(emulator as never, name === "full" ? plug : { ...plug, ...EQUAL });
  return { name, subnet, mac: [...mac].map((b) => b.toString(16).padStart(2, "0")).join(":"), valve, network };
}

function plugBuiltin(emulator: Emulator, subnet: number): Wired {
  const { valve, network } = backend(subnet);
  connect(new BuiltinNic(emulator), valve);
  return { name: "builtin", subnet, mac: null, valve, network };
}

function backend(subnet: number): { valve: Valve; network: UserNetwork } {
  const network = new UserNetwork({
    host: nodeHostSockets(),
    options: { subnet: `10.0.${subnet}.0/24`, hostLoopback: true },
  });
  return { valve: new Valve(network), network };
}
