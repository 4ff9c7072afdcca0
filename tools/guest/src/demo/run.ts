/**
 * The demo's programme: what guest, NIC and network show together, in order; or a shell for the user's own.
 *
 * @module
 */
import { type DriverView, features } from "../driver-view.ts";
import { ping, resolve } from "../net.ts";
import { runShell } from "../terminal.ts";
import type { NicChoice } from "./nic-choice.ts";
import type { DemoOptions } from "./options.ts";
import type { Progress } from "./progress.ts";
import type { DemoReport } from "./report.ts";
import { GATEWAY, HOST_NAME, type Session } from "./session.ts";
import { guestToHost, hostToGuest } from "./transfers.ts";

/** An answer takes a millisecond, on a busy machine ten. */
const PINGS_TIMEOUT_MS = 600_000;

/**
 * Everything the demo shows.
 *
 * @param begin when the demo began, by `performance.now()`
 * @throws GuestError; Error that says which transfer failed, and how
 */
export async function runDemo(
  session: Session,
  options: DemoOptions,
  progress: Progress,
  begin: number,
): Promise<DemoReport> {
  const { guest, nic, ifname, lease } = session;
  const driver = await features(guest, ifname);
  progress.step("first ping");
  await ping(guest, GATEWAY, { count: 1 });
  const firstPingMs = performance.now() - begin;
  progress.step(`${options.pings} pings`);
  const pings = await ping(guest, GATEWAY, { count: options.pings, adaptive: true, timeoutMs: PINGS_TIMEOUT_MS });
  progress.done(`${pings.received} answers`);
  progress.step(`resolve ${HOST_NAME}`);
  const addresses = await resolve(guest, HOST_NAME);
  progress.done(addresses.join(" ") || "unknown");
  progress.step(`download ${options.bytes / 2 ** 20} MiB`);
  const download = await hostToGuest(session);
  progress.done(`${download.mbPerSecond} MB/s`);
  progress.step(`upload ${options.bytes / 2 ** 20} MiB`);
  const upload = await guestToHost(session, options.bytes);
  progress.done(`${upload.mbPerSecond} MB/s`);
  if (session.capture.error !== undefined) {
    throw new Error(`${options.capture} is not complete: ${String(session.capture.error)}`);
  }
  const { tx, rx, dropped } = nic.device.counters;
  return {
    kernel: guest.kernelVersion,
    nic: options.nic,
    interrupt: interruptOf(driver, options.nic),
    interruptLines: driver.interrupts.map(({ irq, chip, users }) => `${irq} ${chip} ${users.join("+")}`),
    features: driver.features,
    lease,
    resolved: { name: HOST_NAME, addresses },
    ping: pings,
    download,
    upload,
    tx: { ...tx },
    rx: { ...rx },
    dropped: Object.values(dropped).reduce((sum, n) => sum + n, 0),
    bootMs: session.bootMs,
    firstPingMs,
    capture: options.capture,
  };
}

/** What Linux uses, in the words of the command line where it has any. */
function interruptOf({ interruptMode }: DriverView, nic: NicChoice): string {
  if (interruptMode === "msi") return "msix";
  return interruptMode === "line" && "interrupt" in nic ? "intx" : interruptMode;
}

/** The terminal is the user's, until the shell is left. */
export async function runDemoShell({ guest, server }: Session): Promise<void> {
  const url = `http://${HOST_NAME}:${server.port}/blob`;
  process.stderr.write(`the host is ${GATEWAY}; try: wget -O /dev/null ${url}; leave with exit\n`);
  await runShell(guest);
}
