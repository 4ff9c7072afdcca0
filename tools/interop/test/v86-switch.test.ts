/** Two Linux guests and a user-mode network on one switch: each reaches the other, and both the host. */
import { bootGuest, bringUpNetwork, download, type Guest, type Lease, ping, serveFile } from "@virtio-ts/guest";
import { connect, Switch } from "@virtio-ts/net-link";
import { UserNetwork } from "@virtio-ts/user-network";
import { nodeHostSockets } from "@virtio-ts/user-network/node";
import { addNic } from "@virtio-ts/vmm-v86";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasKernel } from "../src/kernel.ts";

const GATEWAY = "10.0.2.2";
const EXEC = { timeoutMs: 300_000 };

describe.runIf(await hasKernel())("two guests on a switch", () => {
  const fabric = new Switch();
  const guests: Guest[] = [];
  const leases: Lease[] = [];
  let network: UserNetwork;

  beforeAll(async () => {
    network = new UserNetwork({ host: nodeHostSockets() });
    connect(fabric.addPort(), network);
    // One by messages and one by its pin, so that they differ in more than their address.
    for (const [last, interrupt] of [
      [1, "msix"],
      [2, "intx"],
    ] as const) {
      guests.push(
        await bootGuest({
          acpi: interrupt === "msix",
          attach: (emulator) => {
            addNic(emulator, { backend: fabric.addPort(), interrupt, mac: Uint8Array.of(2, 0, 0, 0, 0, last) });
          },
        }),
      );
    }
  });
  afterAll(async () => {
    for (const guest of guests) await guest.stop();
    network?.close();
  });

  it("get addresses of their own from the network on the third port", async () => {
    for (const guest of guests) leases.push(await bringUpNetwork(guest, "eth0", EXEC));
    expect(leases.map(({ address }) => address)).toEqual(["10.0.2.15", "10.0.2.16"]);
    expect(fabric.addresses.size).toBe(3);
  });

  it("ping each other and the gateway, without loss, at the same time", async () => {
    const answered = await Promise.all(
      guests.flatMap((guest, i) =>
        [leases[1 - i].address, GATEWAY].map((address) =>
          ping(guest, address, { count: 200, adaptive: true, ...EXEC }),
        ),
      ),
    );
    expect(answered.map(({ sent, received }) => [sent, received])).toEqual(Array(4).fill([200, 200]));
  });

  it("move 4 MiB from one to the other, with equal hashes", async () => {
    const [server, client] = guests;
    const file = await serveFile(server, 4 << 20, { digest: "md5", ...EXEC });
    const url = `http://${leases[0].address}:${file.port}${file.path}`;
    const got = await download(client, url, { digest: "md5", ...EXEC });
    expect(got).toMatchObject({ bytes: 4 << 20, digest: file.digest });
    // What is between two ports is not for the third.
    expect(network.counters.bytesFromGuest).toBeLessThan(1 << 19);
  });
});
