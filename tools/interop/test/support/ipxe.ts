/**
 * Debian's iPXE, booted in v86 from its CD image: it finds our NIC, asks DHCP, fetches a script by TFTP and runs it.
 */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createEmulator, type Emulator, resolveAssets } from "@virtio-ts/guest";
import { UserNetwork, type UserNetworkOptions } from "@virtio-ts/user-network";
import { nodeHostSockets } from "@virtio-ts/user-network/node";
import { addNic, attachToV86, type PciNicOptions, type V86Emulator } from "@virtio-ts/vmm-v86";
import { peer } from "../../src/peers.ts";

/** A web server of the host, for what is fetched and what is told. */
export class Web {
  /** The paths that were asked for. */
  readonly asked: string[] = [];
  readonly #server: Server;
  readonly #waiting = new Map<string, () => void>();

  private constructor(files: Readonly<Record<string, Uint8Array>>) {
    this.#server = createServer((request, response) => {
      const url = request.url ?? "";
      this.asked.push(url);
      response.end(files[url] ?? "#!ipxe\n");
      this.#waiting.get(url.split("?", 1)[0] ?? "")?.();
    });
  }

  static async serve(files: Readonly<Record<string, Uint8Array>>): Promise<Web> {
    const web = new Web(files);
    await new Promise<void>((resolve) => web.#server.listen(0, "127.0.0.1", resolve));
    return web;
  }

  /** Its address, as the guest sees it. */
  get url(): string {
    return `http://10.0.2.2:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves when a path is asked for. */
  until(path: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(path, resolve));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** An emulator with iPXE in its drive, our NIC in a slot, and the user-mode network behind it. */
export interface IpxeMachine {
  readonly emulator: Emulator;
  readonly network: UserNetwork;
  /** What backends and the NIC reported. */
  readonly errors: unknown[];
  /** The guest's memory, as it is. */
  memory(): Buffer;
  close(): Promise<void>;
}

/** Makes the machine; run it by `emulator.run()`. */
export async function ipxeMachine(nic: PciNicOptions, options: UserNetworkOptions): Promise<IpxeMachine> {
  const { bios } = await resolveAssets();
  const network = new UserNetwork({ host: nodeHostSockets(), options: { hostLoopback: true, ...options } });
  const emulator = await createEmulator({
    memoryBytes: 128 << 20,
    acpi: false,
    builtinVirtioNet: false,
    bios: await bios.read(),
    cdrom: Uint8Array.from(readFileSync(peer("ipxe.iso"))),
  });
  const errors: unknown[] = [];
  const machine = emulator as unknown as V86Emulator;
  attachToV86(machine, { onError: (error) => errors.push(error) });
  addNic(machine, { ...nic, backend: network });
  return {
    emulator,
    network,
    errors,
    memory: () => {
      const { cpu } = emulator.v86;
      return Buffer.from(cpu.wasm_memory.buffer, cpu.mem8.byteOffset, cpu.memory_size[0]);
    },
    close: async () => {
      await emulator.destroy();
      network.close();
    },
  };
}
