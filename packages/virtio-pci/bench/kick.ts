/** What a kick costs from the BAR to the device, and an interrupt from the device to the machine. */
import { ManualScheduler, RecordingDevice } from "@virtio-ts/virtio-device/testing";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { bench, do_not_optimize, run } from "mitata";
import { VirtioPciDevice } from "../src/index.ts";

let kicks = 0;
let interrupts = 0;

/** A device whose driver has set DRIVER_OK, with queue 0 on vector 0. */
function live(bar: "io" | "memory", msix: boolean) {
  const device = new RecordingDevice({ queues: [256, 256] });
  device.queueNotify = () => {
    kicks++;
  };
  const memory = GuestMemory.of(new Uint8Array(0x1_0000));
  const fn = new VirtioPciDevice(device, { memory, scheduler: new ManualScheduler(), bar });
  const count = () => {
    interrupts++;
  };
  fn.plug({ barMoved() {}, intx: { raise: count, lower() {} }, msi: { send: count } });
  fn.configWrite(4, 2, 7);
  const [{ block: table }, { block: common }] = fn.bars;
  if (msix)
    for (let at = 0x40; at !== 0; at = fn.configRead(at + 1, 1)) {
      if (fn.configRead(at, 1) === 0x11) fn.configWrite(at + 2, 2, 0x8000);
    }
  for (const [at, width, value] of [
    [20, 1, 1],
    [20, 1, 3],
    [8, 4, 1],
    [12, 4, 1],
    [20, 1, 11],
    [26, 2, 0],
    [32, 4, 0x1000],
    [40, 4, 0x2000],
    [48, 4, 0x3000],
    [28, 2, 1],
    [20, 1, 15],
  ] as const) {
    common.write(at, width, value);
  }
  table.write(12, 4, 0);
  if (common.read(20, 1) !== 15) throw new Error("the device did not come up");
  const notifyOffset = bar === "memory" ? 0x3000 : 76;
  const notifier = device.context!.queues[0]!.notifier;
  const isrOffset = bar === "memory" ? 0x1000 : 64;
  return { common, notifier, notifyOffset, isrOffset };
}

for (const bar of ["memory", "io"] as const) {
  const { common, notifyOffset } = live(bar, false);
  const before = kicks;
  common.write(notifyOffset, 2, 0);
  if (kicks !== before + 1) throw new Error(`no kick at ${notifyOffset}`);
  bench(`kick, ${bar} BAR`, () => common.write(notifyOffset, 2, 0)).gc("inner");
}
{
  const { notifier } = live("memory", true);
  bench("interrupt by MSI-X", () => notifier.notify()).gc("inner");
}
{
  const { common, notifier, isrOffset } = live("memory", false);
  bench("interrupt by the pin, and its acknowledgement", () => {
    notifier.notify();
    do_not_optimize(common.read(isrOffset, 1));
  }).gc("inner");
}

await run();
if (interrupts === 0) throw new Error("no interrupt came");
