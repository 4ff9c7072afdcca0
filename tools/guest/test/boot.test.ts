/** A real Linux in the emulator. Without a kernel on this machine and no way to get one, these tests are skipped. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { directory, file, symlink, writeCpio } from "../src/cpio.ts";
import {
  type BootOptions,
  bootGuest,
  bringUpNetwork,
  download,
  type Emulator,
  features,
  type Guest,
  type GuestAssets,
  interfaces,
  mmioTable,
  NoKernelError,
  ping,
  pktgen,
  resolveAssets,
  runShell,
  serveFile,
  type Terminal,
  upload,
} from "../src/index.ts";
import { attachServer } from "./support/network.ts";

const required = process.env.VIRTIO_TS_REQUIRE_PEERS === "1";
let cacheDir: string;
let assets: GuestAssets | undefined;
let whyNot = "";

beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), "virtio-ts-test-"));
  try {
    assets = await resolveAssets();
  } catch (error) {
    if (required || !(error instanceof NoKernelError)) throw error;
    whyNot = error.message;
  }
});
afterAll(() => rm(cacheDir, { recursive: true, force: true }));

/** Boots, or wakes up from the snapshots of this run. */
async function boot(context: TestContext, options: BootOptions = {}): Promise<Guest> {
  if (!assets) return context.skip(whyNot);
  return await bootGuest({ assets, cacheDir, ...options });
}

async function withGuest(
  context: TestContext,
  options: BootOptions,
  test: (guest: Guest) => Promise<void>,
): Promise<void> {
  const guest = await boot(context, options);
  try {
    await test(guest);
  } finally {
    await guest.stop();
  }
}

/** How many timers and other handles keep this process running. */
function handles(): number {
  return process.getActiveResourcesInfo().length;
}

/** A PCI function without registers, which no driver wants. */
function plugDevice(bar: number) {
  return ({ v86 }: Emulator): void => {
    const space = new Uint8Array(256);
    const view = new DataView(space.buffer);
    view.setUint32(0x00, 0x00011234, true);
    view.setUint32(0x08, 0x00ff0000, true);
    view.setUint32(0x10, bar, true);
    v86.cpu.devices.pci.register_device({ pci_id: 6 << 3, pci_space: space, pci_bars: [{ size: 64 }], name: "test" });
  };
}

describe("a guest", () => {
  it("boots, takes a snapshot of itself, and is up again from that in a moment", async (context) => {
    const handlesBefore = handles();
    const cold = await boot(context);
    expect(await cold.exec("uname -sm")).toEqual({ status: 0, output: "Linux i686\n" });
    expect(cold.kernelVersion).toBe(assets!.kernelVersion);
    await cold.stop();
    expect(await readdir(join(cacheDir, "snapshots"))).toHaveLength(1);

    const serial: number[] = [];
    const begin = performance.now();
    const warm = await boot(context, { onSerial: (bytes) => void serial.push(...bytes) });
    expect(performance.now() - begin).toBeLessThan(10_000);
    expect(warm.kernelVersion).toBe(assets!.kernelVersion);
    expect(await warm.run("cat /proc/uptime")).toMatch(/^\d/);
    const clock = Number(await warm.run("date +%s"));
    expect(Math.abs(clock - Date.now() / 1000)).toBeLessThan(5);
    expect(serial.length).toBeGreaterThan(0);
    await warm.stop();
    await expect.poll(handles).toBeLessThanOrEqual(handlesBefore);
  });

  it("gives back output, both streams of it, and exit status as they are", async (context) => {
    await withGuest(context, {}, async (guest) => {
      expect(await guest.exec("echo out; echo err >&2; (exit 7)")).toEqual({ status: 7, output: "out\nerr\n" });
      expect(await guest.exec("printf 'a\\tb\\\\c\\001\\n'\necho \"$((6 * 7)) ü\"")).toEqual({
        status: 0,
        output: "a\tb\\c\x01\n42 ü\n",
      });
      expect((await guest.exec("head -c 100000 /dev/zero | tr '\\0' x")).output).toBe("x".repeat(100_000));
      await expect(guest.run("echo no such luck; false")).rejects.toMatchObject({
        code: "COMMAND_FAILED",
        message: expect.stringContaining("ended with 1: no such luck"),
      });
    });
  });

  it("reads the archives of this package with a cpio that others wrote", async (context) => {
    const archive = writeCpio([directory("bin"), file("bin/a", "abc", 0o755), symlink("bin/b", "a")]);
    await withGuest(context, {}, async (guest) => {
      const listed = await guest.run(`echo ${Buffer.from(archive).toString("base64")} | base64 -d | cpio -tv`);
      expect(listed).toMatch(/^drwxr-xr-x .* bin$/m);
      expect(listed).toMatch(/^-rwxr-xr-x .* 3 .* bin\/a$/m);
      expect(listed).toMatch(/^lrwxrwxrwx .* bin\/b -> a$/m);
    });
  });

  it("is still there after a command that took too long, and after one that killed its shell", async (context) => {
    await withGuest(context, {}, async (guest) => {
      await expect(guest.exec("sleep 1000", { timeoutMs: 500 })).rejects.toMatchObject({ code: "EXEC_TIMEOUT" });
      await expect(guest.exec("kill -9 $$", { timeoutMs: 20_000 })).rejects.toMatchObject({ code: "COMMAND_FAILED" });
      expect((await guest.exec("echo here")).output).toBe("here\n");
    });
  });

  it.for([
    ["panics", "echo c >/proc/sysrq-trigger", "sysrq triggered crash"],
    ["resets", "reboot -f", "was reset"],
    ["halts", "halt -f", "halted"],
  ])("that %s is an error, not a wait", async ([_what, command, message], context) => {
    const guest = await boot(context);
    await expect(guest.exec(command)).rejects.toMatchObject({
      code: "GUEST_DIED",
      message: expect.stringContaining(message),
    });
    expect((await guest.gone).code).toBe("GUEST_DIED");
    await expect(guest.exec("true")).rejects.toMatchObject({ code: "GUEST_DIED" });
    await guest.stop();
  });

  it("survives no device that throws, but the process does", async (context) => {
    const attach = ({ v86 }: Emulator): void => {
      const fail = (): void => {
        throw new Error("bug in a device");
      };
      v86.cpu.io.register_write(0x5000, {}, fail);
    };
    const guest = await boot(context, { attach });
    const poke = "printf x | dd of=/dev/port bs=1 seek=$((0x5000))";
    await expect(guest.exec(poke)).rejects.toMatchObject({
      code: "EMULATOR",
      message: expect.stringContaining("bug in a device"),
    });
    await guest.stop();
  });

  it("fails what waits for it when it is stopped or its caller gives up", async (context) => {
    const guest = await boot(context);
    const waiting = expect(guest.exec("sleep 1000")).rejects.toMatchObject({ code: "STOPPED" });
    await guest.stop();
    await waiting;
    const abort = new AbortController();
    const booting = bootGuest({ assets: assets!, useCache: false, signal: abort.signal });
    setTimeout(() => abort.abort(), 500);
    await expect(booting).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("is given up when it does not come up in time", async (context) => {
    if (!assets) return context.skip(whyNot);
    await expect(bootGuest({ assets, useCache: false, bootTimeoutMs: 300 })).rejects.toMatchObject({
      code: "BOOT_TIMEOUT",
    });
  });
});

describe("a device plugged into a guest that was restored", () => {
  it.for([
    ["an I/O BAR", 0x1, /^0x000000000000(?!0000)\w{4} .* 0x0000000000040101$/m],
    ["a memory BAR", 0x0, /^0x00000000(?!0{8})\w{8} .* 0x0000000000040200$/m],
  ] as const)("is found, and %s gets its place from Linux", async ([_what, bar, resource], context) => {
    const guest = await boot(context, { attach: plugDevice(bar) });
    expect(await guest.run("cat /sys/bus/pci/devices/0000:00:06.0/resource")).toMatch(resource);
    await guest.stop();
  });
});

describe("a virtio-mmio device plugged into a guest that was restored", () => {
  it("is found when its driver is loaded", async (context) => {
    const place = { address: 0xfed80000, gsi: 7 };
    // MagicValue, Version and DeviceID are all that the driver looks at before it makes a device of it.
    const registers = new Map([
      [0x000, 0x74726976],
      [0x004, 2],
      [0x008, 4],
    ]);
    const attach = ({ v86 }: Emulator): void => {
      const read32 = (address: number): number => registers.get((address >>> 0) - place.address) ?? 0;
      v86.cpu.io.mmap_register(
        place.address,
        0x20000,
        () => 0,
        () => {},
        read32,
        () => {},
      );
    };
    await withGuest(context, { acpi: true, acpiTables: [mmioTable([place])], attach }, async (guest) => {
      await guest.loadModules("virtio_mmio");
      expect(await guest.run("cat /sys/bus/virtio/devices/virtio0/device")).toBe("0x0004\n");
      expect(await guest.run("grep LNRO0005 /proc/iomem")).toMatch(/^fed80000-fed80fff : LNRO0005:00$/m);
    });
  });
});

describe("a shell", () => {
  it("is an ordinary terminal until its user leaves it, and commands work again afterwards", async (context) => {
    await withGuest(context, {}, async (guest) => {
      const input = new PassThrough();
      const output = new PassThrough();
      let screen = "";
      output.on("data", (data) => {
        screen += data;
      });
      const type = async (keys: string, answer: string): Promise<void> => {
        input.write(keys);
        await expect.poll(() => screen, { timeout: 30_000 }).toContain(answer);
        screen = "";
      };
      const status = runShell(guest, { input, output } as unknown as Terminal);
      await type("", "guest:/#");
      await type("stty size\r", "24 80\r\n");
      await type("sh -c 'echo r\"\"unning; exec sleep 1000'\r", "running\r\n");
      await type("\x03", "^C\r\n");
      await type("echo $?\r", "130\r\n");
      input.write("exit 3\r");
      expect(await status).toBe(3);
      expect((await guest.exec("echo here")).output).toBe("here\n");
    });
  });
});

describe("a guest with v86's own NIC", () => {
  it("gets a lease, pings, moves files and says what its driver negotiated", async (context) => {
    await withGuest(context, { builtinVirtioNet: true, attach: attachServer }, async (guest) => {
      expect(await interfaces(guest)).toContainEqual({
        name: "eth0",
        mac: expect.stringMatching(/^(\w\w:){5}\w\w$/),
        mtu: 1500,
        driver: "virtio_net",
        location: "0000:00:0a.0",
      });
      expect(await bringUpNetwork(guest, "eth0")).toEqual({
        address: "10.0.2.15",
        prefixLength: 24,
        routers: ["10.0.2.2"],
        dns: ["10.0.2.3"],
        domain: "test",
        server: "10.0.2.2",
        leaseSeconds: 3600,
        mtu: undefined,
      });
      const answered = await ping(guest, "10.0.2.2", { count: 20, adaptive: true });
      expect(answered).toMatchObject({ sent: 20, received: 20 });
      expect(answered.avgMs).toBeGreaterThan(0);
      const lost = await ping(guest, "10.0.2.99", { count: 1 });
      expect(lost).toEqual({ sent: 1, received: 0, minMs: undefined, avgMs: undefined, maxMs: undefined });

      const view = await features(guest, "eth0");
      expect(view).toMatchObject({ device: "virtio0", status: 0x0f, interruptMode: "line" });
      expect(view.features).toContain(5); // VIRTIO_NET_F_MAC
      expect(view.features).toContain(32); // VIRTIO_F_VERSION_1
      expect(view.interrupts[0].count).toBeGreaterThan(0);

      const generated = await pktgen(guest, "eth0", { count: 500 });
      expect(generated).toMatchObject({ sent: 500, errors: 0 });

      const served = await serveFile(guest, (1 << 20) + 1);
      const fetched = await download(guest, `http://127.0.0.1${served.path}`);
      expect(fetched).toMatchObject({ bytes: (1 << 20) + 1, digest: served.digest });
      await expect(download(guest, "http://127.0.0.1/none")).rejects.toMatchObject({ code: "COMMAND_FAILED" });

      await guest.run("nc -l -p 8080 </dev/null >/tmp/posted &");
      await expect(upload(guest, "http://127.0.0.1:8080/", 1000)).rejects.toMatchObject({ code: "COMMAND_FAILED" });
      expect(await guest.run("tail -c 1000 /tmp/posted | wc -c; head -1 /tmp/posted")).toBe(
        "1000\nPOST / HTTP/1.1\r\n",
      );
    });
  });
});
