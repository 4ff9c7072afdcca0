/** What is killed in the middle of a transfer ends the demo: with one line that says why, soon, and entirely. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasKernel } from "../src/kernel.ts";
import { buildDemo, runDemo, startDemo } from "./support/demo.ts";

const script = fileURLToPath(new URL("support/killed-demo.js", import.meta.url));
/** On a quiet machine one second does. */
const SOON_MS = 30_000;

describe.runIf(await hasKernel())("the demo", () => {
  let cwd: string;
  beforeAll(() => {
    buildDemo();
    cwd = mkdtempSync(join(tmpdir(), "virtio-ts-kill-"));
  });
  afterAll(() => rmSync(cwd, { recursive: true, force: true }));

  // Together, for some of the time they wait for a silence to end.
  it.concurrent.for([
    ["the HTTP server is closed", "server", "download", /^the guest could not fetch http:\S+: wget: connection closed/],
    ["the network is closed", "network", "download", /^the guest could not fetch http:\S+: nothing came for 15 s$/],
    [
      "the link is cut",
      "link",
      "upload",
      /^the host could not fetch http:\S+ of the guest: .*(cut|ECONNRESET|hang up)/,
    ],
    ["the guest panics", "panic", "download", /^the guest died: Kernel panic - not syncing: .*: boot it again$/],
    ["the guest panics", "panic", "upload", /^the guest died: Kernel panic - not syncing: .*: boot it again$/],
    ["the emulator is destroyed", "emulator", "download", /^the guest is gone: its emulator was destroyed/],
  ] as const)("says so and ends when %s (%s) in the middle of a 64 MiB %s", async ([_what, kill, transfer, why]) => {
    const direction = transfer === "download" ? "rx" : "tx";
    const args = [kill, direction, "--json", "--capture", `${kill}-${direction}.pcapng`];
    const { status, stdout, stderr, orphans } = await runDemo(args, { script, cwd });
    const lines = stderr.trimEnd().split("\n");
    expect(lines.at(-2)).toMatch(new RegExp(`  ${transfer} 64 MiB \\.\\.\\. failed$`));
    expect(lines.at(-1)).toMatch(why);
    expect({ status, stdout, orphans }).toEqual({ status: 1, stdout: "", orphans: false });
  });

  it.each(["SIGINT", "SIGTERM"] as const)(
    "ends soon when it is sent %s in the middle of a transfer",
    async (signal) => {
      const { child, ended, says } = startDemo(["--json"], { cwd });
      await says("download 64 MiB");
      const begin = performance.now();
      child.kill(signal);
      const { status, stdout, stderr, orphans } = await ended;
      expect(performance.now() - begin).toBeLessThan(SOON_MS);
      expect(stderr).toMatch(new RegExp(` failed\nended by ${signal}\n$`));
      expect({ status, stdout, orphans }).toEqual({ status: 130, stdout: "", orphans: false });
    },
  );

  it("ends soon when it is sent SIGINT while the guest starts", async () => {
    const { child, ended, says } = startDemo(["--json"], { cwd });
    await says("start the guest");
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ status: 130, stdout: "", orphans: false });
  });
});
