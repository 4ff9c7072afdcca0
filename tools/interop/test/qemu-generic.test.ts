/** QEMU's devices in the hands of the driver library alone: entropy, disk, console, balloon. */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VIRTIO_ID_BALLOON, VIRTIO_ID_BLOCK, VIRTIO_ID_CONSOLE, VIRTIO_ID_ENTROPY } from "@virtio-ts/virtio-bindings";
import { DriverDevice } from "@virtio-ts/virtio-driver";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { hasPeers } from "../src/peers.ts";
import { BOARDS } from "../src/qemu/boards.ts";
import { findDevice } from "../src/qemu/finders.ts";
import { QemuMachine } from "../src/qemu/machine.ts";
import { ask, send } from "./support/requests.ts";
import { until } from "./support/until.ts";
import { WAYS, type Way } from "./support/ways.ts";

let folder = "";
let machine: QemuMachine | undefined;
let device: DriverDevice | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "generic-"));
});
afterEach(async () => {
  await device?.close();
  expect(machine?.host.dma.allocated ?? 0).toBe(0);
  await machine?.close();
  device = undefined;
  machine = undefined;
  rmSync(folder, { recursive: true });
});

/** Starts a machine with a device and opens it. */
async function open(
  way: Way,
  type: string,
  deviceType: number,
  options: string[] = [],
  properties = "",
): Promise<DriverDevice> {
  machine = await QemuMachine.start(way.board, [
    ...way.options,
    ...options,
    "-device",
    `${way.device(type)}${properties}`,
  ]);
  device = await DriverDevice.open(findDevice(machine, deviceType, way.pci), machine.host);
  return device;
}

describe.each(Object.entries(WAYS))("over %s", (_, way) => {
  const runnable = hasPeers(BOARDS[way.board].program);
  vi.setConfig({ testTimeout: 30_000 });

  test.runIf(runnable)("virtio-rng gives entropy, and interrupts for it", async () => {
    const rng = await open(way, "virtio-rng", VIRTIO_ID_ENTROPY);
    await rng.negotiate();
    await rng.bindInterrupts(1);
    let interrupts = 0;
    const queue = await rng.createQueue<number>(0, { onUsed: () => interrupts++ });
    await rng.start();
    const seen = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const { parts, length } = await ask(rng, queue, { write: [64] });
      expect(length).toBeGreaterThan(0);
      expect(length).toBeLessThanOrEqual(64);
      seen.add(Buffer.from(parts[0].subarray(0, length)).toString("hex"));
    }
    expect(seen.size).toBe(20);
    await until(machine!.host, () => interrupts > 0);
    expect(machine!.host.counters[way.interrupts]).toBeGreaterThan(0);
  });

  test.runIf(runnable)("virtio-blk writes, flushes and reads back", async () => {
    const image = join(folder, "disk");
    writeFileSync(image, "");
    truncateSync(image, 1 << 20);
    const drive = ["-drive", `if=none,id=disk,format=raw,file=${image}`];
    const blk = await open(way, "virtio-blk", VIRTIO_ID_BLOCK, drive, ",drive=disk");
    const VIRTIO_BLK_F_FLUSH = 1n << 9n;
    await blk.negotiate({ required: VIRTIO_BLK_F_FLUSH });
    await blk.bindInterrupts(1);
    const queue = await blk.createQueue<number>(0, { indirectEntries: 4 });
    await blk.start();
    expect(blk.config.read64(0)).toBe(2048n); // sectors
    const header = (type: number, sector: number): Uint8Array =>
      new Uint8Array(Uint32Array.of(type, 0, sector, 0).buffer);
    const data = Uint8Array.from({ length: 4096 }, (_, i) => (i * 7 + (i >> 8)) & 255);
    expect((await ask(blk, queue, { read: [header(1, 24), data], write: [1] })).parts[0]).toEqual(Uint8Array.of(0));
    expect((await ask(blk, queue, { read: [header(4, 0)], write: [1] })).parts[0]).toEqual(Uint8Array.of(0));
    expect(
      readFileSync(image)
        .subarray(24 * 512, 24 * 512 + 4096)
        .equals(data),
    ).toBe(true);
    const back = await ask(blk, queue, { read: [header(0, 24)], write: [4096, 1] });
    expect(back.parts[1]).toEqual(Uint8Array.of(0));
    expect(back.parts[0]).toEqual(data);
    expect(back.length).toBe(4097);
  });

  test.runIf(runnable)("virtio-console carries bytes both ways", async () => {
    const path = join(folder, "console");
    const chardev = ["-chardev", `socket,id=far,path=${path},server=on,wait=off`];
    machine = await QemuMachine.start(way.board, [
      ...way.options,
      ...chardev,
      ...["-device", way.device("virtio-serial"), "-device", "virtconsole,chardev=far"],
    ]);
    device = await DriverDevice.open(findDevice(machine, VIRTIO_ID_CONSOLE, way.pci), machine.host);
    await device.negotiate();
    await device.bindInterrupts(2);
    const receive = await device.createQueue<number>(0);
    const transmit = await device.createQueue<number>(1);
    await device.start();
    const answer = await send(device, receive, { write: [128] });
    const far = connect(path);
    await connected(machine, "far");
    const hello = new TextEncoder().encode("hello, QEMU\n");
    const heard = read(far, hello.length);
    await ask(device, transmit, { read: [hello] });
    expect((await heard).toString()).toBe("hello, QEMU\n");
    far.write("hello, driver\n");
    const { parts, length } = await answer();
    expect(new TextDecoder().decode(parts[0].subarray(0, length))).toBe("hello, driver\n");
    far.destroy();
  });

  test.runIf(runnable)("QEMU sees what virtio-balloon inflates", async () => {
    // It has no messages at all, and no property that says so.
    const pin: Way = { ...way, device: (type) => way.device(type).replace(",vectors=0", "") };
    const balloon = await open(pin, "virtio-balloon", VIRTIO_ID_BALLOON);
    await balloon.negotiate();
    await balloon.bindInterrupts(2);
    let changes = 0;
    balloon.onConfigChange = () => changes++;
    const inflate = await balloon.createQueue<number>(0);
    await balloon.createQueue<number>(1);
    await balloon.start();
    const { qmp, host } = machine!;
    const memory = (await qmp.execute<{ actual: number }>("query-balloon")).actual;
    expect(memory).toBe(64 << 20);
    await qmp.execute("balloon", { value: memory - 16 * 4096 });
    await until(host, () => balloon.config.read32(0) === 16);
    expect(changes).toBeGreaterThan(0);
    const block = host.dma.allocate(16 * 4096, 4096);
    host.memory.fill(block, 16 * 4096, 0x5a);
    const pages = Uint32Array.from({ length: 16 }, (_, i) => block / 4096 + i);
    await ask(balloon, inflate, { read: [new Uint8Array(pages.buffer)] });
    balloon.config.write32(4, 16);
    expect((await qmp.execute<{ actual: number }>("query-balloon")).actual).toBe(memory - 16 * 4096);
    host.dma.free(block);
  });
});

/** Waits until QEMU has taken the connection to a character device: what is sent before is lost. */
async function connected({ qmp }: QemuMachine, label: string): Promise<void> {
  for (;;) {
    const chardevs = await qmp.execute<{ label: string; filename: string }[]>("query-chardev");
    const filename = chardevs.find((chardev) => chardev.label === label)?.filename ?? "disconnected";
    if (!filename.startsWith("disconnected")) return;
  }
}

/** The next `length` bytes of a socket. */
function read(socket: Socket, length: number): Promise<Buffer> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length >= length) resolve(bytes);
    });
  });
}
