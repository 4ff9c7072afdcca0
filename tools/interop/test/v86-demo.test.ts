/** The demo as users run it: what it prints, how it ends, and what Wireshark says of the capture it leaves. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guestToHost, hostToGuest, startSession } from "@virtio-ts/guest/demo";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasKernel } from "../src/kernel.ts";
import { findProgram, peer } from "../src/peers.ts";
import { buildDemo, runDemo } from "./support/demo.ts";

const bootable = await hasKernel();
/** Brings a terminal; on every Debian. */
const script = findProgram("script");
let cwd: string;
beforeAll(() => {
  buildDemo();
  cwd = mkdtempSync(join(tmpdir(), "virtio-ts-demo-"));
});
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

/** Wireshark's reading of a capture: one line for each frame that the filter lets through. */
function tshark(path: string, filter: string, ...args: string[]): string[] {
  const check = ["ip", "tcp", "udp"].flatMap((protocol) => ["-o", `${protocol}.check_checksum:TRUE`]);
  const output = execFileSync(peer("tshark"), ["-n", "-r", path, ...check, "-Y", filter, ...args], {
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 1 << 28,
  });
  return output.toString().split("\n").filter(Boolean);
}

const MALFORMED = "_ws.malformed || _ws.expert.severity >= error";

describe("the demo's command line", () => {
  it("is explained by --help", async () => {
    const { status, stdout, stderr } = await runDemo(["--help"], { cwd });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    for (const option of "transport bar interrupt shell json kernel initrd bios no-cache".split(" ")) {
      expect(stdout).toContain(`--${option}`);
    }
  });

  it.each([
    ["--transport fast", "--transport fast: expected modern, legacy, mmio or mmio-legacy"],
    ["--bar rom", "--bar rom: expected memory or io"],
    ["--interrupt none", "--interrupt none: expected msix or intx"],
    ["--transport legacy --bar memory", "--transport legacy has --bar io"],
    ["--transport mmio --bar memory", "--transport mmio goes without --bar"],
    ["--transport mmio-legacy --interrupt intx", "--transport mmio-legacy goes without --interrupt"],
    ["--size 0", "--size 0: expected a whole number from 1 to 160"],
    ["--json --shell", "--json and --shell exclude each other"],
    ["--kernel vmlinuz", "--kernel and --initrd go together"],
    ["--jsno", "'--jsno'"],
    ["now", "'now'"],
  ])("%s is refused in one line, with a status of its own", async (args, why) => {
    const { status, stdout, stderr } = await runDemo(args.split(" "), { cwd });
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(why);
    expect(stderr).toMatch(/^.+\n$/);
  });

  it("where no kernel can be had it says in one line what to do, with a status of its own", async () => {
    const nothing = join(cwd, "nothing");
    mkdirSync(nothing);
    const env = { PATH: nothing, HOME: nothing, XDG_CACHE_HOME: nothing };
    const { status, stdout, stderr } = await runDemo([], { cwd, env });
    expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
    expect(stderr).toMatch(/^no guest kernel: apt-get is missing.*; pass --kernel .* --initrd .* --bios .*\n$/);
    expect(existsSync(join(cwd, "demo.pcapng"))).toBe(false);
  });

  it.runIf(bootable)("with a capture file that can't be written it fails, and does not hang", async () => {
    const { status, stdout, stderr } = await runDemo(["--capture", "missing/demo.pcapng"], { cwd });
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/^ENOENT: .*'missing\/demo.pcapng'\n$/);
  });
});

describe.runIf(bootable)("the demo", () => {
  it.each([
    ["", "modern", "msix"],
    ["--transport modern --bar io --interrupt intx", "modern", "intx"],
    ["--transport legacy --bar io --interrupt msix", "legacy", "msix"],
    ["--transport mmio", "mmio", "line"],
    ["--transport mmio-legacy", "mmio-legacy", "line"],
  ])("with --json %s prints one object and nothing else", async (args, transport, interrupt) => {
    const { status, stdout } = await runDemo(["--json", "--size", "4", ...args.split(" ").filter(Boolean)], { cwd });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\{.*\}\n$/);
    const transfer = { bytes: 4 << 20, sha256ok: true, mbPerSecond: expect.any(Number) };
    expect(JSON.parse(stdout)).toEqual({
      guest: { kernel: expect.stringMatching(/^\d+\.\d+\.\d+/) },
      transport,
      interrupt,
      features: expect.arrayContaining(["MAC", "MRG_RXBUF", transport.endsWith("legacy") ? "ANY_LAYOUT" : "VERSION_1"]),
      dhcp: { address: "10.0.2.15" },
      ping: { sent: 10, received: 10, avgMs: expect.any(Number) },
      download: transfer,
      upload: transfer,
      bootMs: expect.any(Number),
      capture: "demo.pcapng",
    });
  });

  it("leaves a capture of all that in which Wireshark finds nothing malformed", () => {
    const capture = join(cwd, "demo.pcapng");
    expect(tshark(capture, MALFORMED)).toEqual([]);
    for (const part of ["arp", "dhcp", "dns", "icmp", "http.request"]) {
      expect(tshark(capture, part).length, part).toBeGreaterThan(0);
    }
  });

  it("says all of it to people in a table", async () => {
    const { status, stdout, stderr } = await runDemo(["--transport", "legacy", "--size", "1"], { cwd });
    expect(status).toBe(0);
    const rows = "kernel transport interrupts features DHCP name ping download upload capture".split(" ");
    for (const row of [...rows, "frames out", "frames in", "dropped"]) {
      expect(stdout).toMatch(new RegExp(`^${row} .*\\S`, "m"));
    }
    expect(stdout).toMatch(/^transport +virtio-pci, legacy, io BAR$/m);
    expect(stdout).toMatch(/^interrupts +intx: /m);
    for (const step of ["start the guest", "DHCP on eth0", "10 pings", "download 1 MiB", "upload 1 MiB"]) {
      expect(stderr).toMatch(new RegExp(`^ +\\d+\\.\\d s  ${step} \\.\\.\\. .+$`, "m"));
    }
  });

  it("with --shell takes commands from a pipe, until it ends", async () => {
    const { status, stdout } = await runDemo(["--shell"], { cwd, input: "ping -c 1 10.0.2.2\n" });
    expect(status).toBe(0);
    expect(stdout).toContain("1 packets transmitted, 1 packets received");
    expect(stdout).not.toContain("Terminated");
  });

  it.runIf(script)("with --shell gives a terminal to the user, until the shell is left", async () => {
    const output = execFileSync(
      script!,
      [
        "-qec",
        `${process.execPath} ${new URL("../../guest/dist/demo.js", import.meta.url).pathname} --shell`,
        "/dev/null",
      ],
      { cwd, input: "stty size; echo $((6 * 7)) | tr 42 ab; exit\r", timeout: 400_000 },
    ).toString();
    expect(output).toMatch(/^ab\r$/m);
  });
});

describe.runIf(bootable)("frames to and from the network", () => {
  it("have right checksums and lengths, headers and data alike, and none is lost", async () => {
    const path = join(cwd, "full.pcapng");
    const bytes = 4 << 20;
    const nic = { transport: "modern", bar: "memory", interrupt: "msix" } as const;
    const session = await startSession({ nic, bytes, capture: { path } });
    try {
      expect(await hostToGuest(session, "md5")).toMatchObject({ equal: true });
      expect(await guestToHost(session, bytes, "md5")).toMatchObject({ equal: true });
    } finally {
      await session.close();
    }
    expect(tshark(path, MALFORMED)).toEqual([]);
    const [unknown, bad] = [2, 0].map((status) =>
      ["ip", "tcp", "udp"].map((protocol) => `${protocol}.checksum.status == ${status}`).join(" || "),
    );
    expect(tshark(path, bad)).toEqual([]);
    expect(tshark(path, unknown)).toEqual([]);
    expect(tshark(path, "tcp.analysis.lost_segment || tcp.analysis.retransmission")).toEqual([]);
    for (const sent of ["ip.src == 10.0.2.15", "ip.dst == 10.0.2.15"]) {
      expect(tshark(path, `tcp.checksum.status == 1 && tcp.len > 1448 && ${sent}`).length).toBeGreaterThan(10);
    }
  });
});
