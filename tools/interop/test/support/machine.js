/**
 * A machine in a process of its own, whose network is in another: `machine.js <start|resume> <what it is to do, as JSON>`.
 * Started, it takes part in a transfer, and when half of it is over it stops, is written down, and waits for its end.
 * Resumed, it goes on. It says on standard output, in lines of JSON, what became of it.
 */
import { bootGuest, bringUpNetwork, mmioTable, resumeGuest, saveGuest, serveFile } from "@virtio-ts/guest";
import { connectStream } from "@virtio-ts/net-backends/node";
import { addNic, MMIO_NIC_ADDRESS, MMIO_NIC_LINE } from "@virtio-ts/vmm-v86";

const EXEC = { timeoutMs: 300_000 };

const [act, json] = process.argv.slice(2);
const { nic: choice, socket, snapshot, bytes, url } = JSON.parse(json);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
};

const backend = connectStream({ path: socket }, { reconnectMs: 50 });
await until(() => backend.connected);

let nic;
const plugIn = (emulator) => {
  nic = addNic(emulator, { ...choice, backend });
};

async function start() {
  const guest = await bootGuest({
    acpi: true,
    acpiTables: [mmioTable([{ address: MMIO_NIC_ADDRESS, gsi: MMIO_NIC_LINE }])],
    attach: plugIn,
  });
  if ("mmio" in nic) await guest.loadModules("virtio_mmio");
  await bringUpNetwork(guest, "eth0", EXEC);
  if (url === undefined) {
    say({ serves: await serveFile(guest, bytes, { digest: "md5", ...EXEC }) });
  } else {
    await guest.run(`{ wget -q -O /tmp/got ${url}; echo $? >/tmp/status; } >/dev/null 2>&1 &`);
  }
  const { counters } = nic.device;
  await until(() => (url === undefined ? counters.tx : counters.rx).bytes > bytes / 2);
  await saveGuest(guest, snapshot, () => nic.save());
  say({ saved: true });
}

async function resume() {
  const guest = await resumeGuest(snapshot, {
    acpi: true,
    attach: (emulator, state) => {
      plugIn(emulator);
      nic.restore(state);
    },
  });
  say({ resumed: true });
  if (url === undefined) return;
  const wait = "while ! [ -f /tmp/status ]; do sleep 0.1; done";
  const output = await guest.run(`${wait}; cat /tmp/status; wc -c </tmp/got; md5sum </tmp/got`, EXEC);
  const [status, size, digest] = output.split(/\s+/);
  say({ got: { status: Number(status), bytes: Number(size), digest }, faults: nic.core.counters.faults });
}

await (act === "start" ? start() : resume());
