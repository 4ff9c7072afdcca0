/**
 * What the demo found out, and the two forms in which it says so.
 *
 * @module
 */

import { formatTable } from "@virtio-ts/terminal";
import { RESERVED_FEATURE_NAMES } from "@virtio-ts/virtio-bindings";
import type { DirectionCounters } from "@virtio-ts/virtio-net";
import { NET_FEATURE_NAMES } from "@virtio-ts/virtio-net";
import type { Lease, PingResult } from "../net.ts";
import { type NicChoice, nameOfNic } from "./nic-choice.ts";
import type { TransferReport } from "./transfers.ts";

/** All the demo found out. */
export interface DemoReport {
  readonly kernel: string;
  readonly nic: NicChoice;
  readonly interrupt: string;
  readonly interruptLines: readonly string[];
  readonly features: readonly number[];
  readonly lease: Lease;
  readonly resolved: { readonly name: string; readonly addresses: readonly string[] };
  readonly ping: PingResult;
  readonly download: TransferReport;
  readonly upload: TransferReport;
  readonly tx: DirectionCounters;
  readonly rx: DirectionCounters;
  readonly dropped: number;
  readonly bootMs: number;
  readonly firstPingMs: number;
  readonly capture: string;
}

/** The standard's name of a feature bit. */
export function featureName(bit: number): string {
  return NET_FEATURE_NAMES[bit] ?? RESERVED_FEATURE_NAMES[bit] ?? `bit ${bit}`;
}

/** Whether all went as it should. */
export function succeeded(report: DemoReport): boolean {
  return (
    report.ping.received === report.ping.sent &&
    report.download.equal &&
    report.upload.equal &&
    report.resolved.addresses.length > 0
  );
}

/** The report for programs. */
export function toJson(report: DemoReport): string {
  const { ping } = report;
  return JSON.stringify({
    guest: { kernel: report.kernel },
    transport: report.nic.transport,
    interrupt: report.interrupt,
    features: report.features.map(featureName),
    dhcp: { address: report.lease.address },
    ping: { sent: ping.sent, received: ping.received, avgMs: ping.avgMs ?? null },
    download: transferJson(report.download),
    upload: transferJson(report.upload),
    bootMs: Math.round(report.bootMs),
    capture: report.capture,
  });
}

function transferJson({ bytes, equal, mbPerSecond }: TransferReport): object {
  return { bytes, sha256ok: equal, mbPerSecond };
}

/** The report for people. */
export function toTable(report: DemoReport): string {
  const { lease, ping } = report;
  const ms = (value: number | undefined): string => (value === undefined ? "-" : value.toFixed(2));
  const rows: [string, string][] = [
    ["kernel", `Linux ${report.kernel}, ready after ${(report.bootMs / 1000).toFixed(1)} s`],
    ["transport", nameOfNic(report.nic)],
    ["interrupts", `${report.interrupt}: ${report.interruptLines.join(", ")}`],
    ...wrap(report.features.map(featureName), 80).map((line, i): [string, string] => [i === 0 ? "features" : "", line]),
    [
      "DHCP",
      `${lease.address}/${lease.prefixLength} for ${lease.leaseSeconds} s, router ${lease.routers.join(" ")}, DNS ${lease.dns.join(" ")}`,
    ],
    ["name", `${report.resolved.name} is ${report.resolved.addresses.join(" ") || "unknown"}`],
    [
      "ping",
      `${ping.sent} sent, ${ping.received} received, ${ms(ping.minMs)}/${ms(ping.avgMs)}/${ms(ping.maxMs)} ms min/avg/max; first answer after ${(report.firstPingMs / 1000).toFixed(1)} s`,
    ],
    ["download", transfer(report.download, "host to guest")],
    ["upload", transfer(report.upload, "guest to host")],
    ["frames out", direction(report.tx, "kicks by the guest")],
    ["frames in", direction(report.rx, "interrupts asked for")],
    ["dropped", String(report.dropped)],
    ["capture", report.capture],
  ];
  return formatTable([{ title: "virtio-net in v86" }, { title: "" }], rows);
}

function transfer({ bytes, equal, mbPerSecond }: TransferReport, way: string): string {
  const size = `${(bytes / 2 ** 20).toFixed(0)} MiB ${way}`;
  return `${size}, ${mbPerSecond.toFixed(1)} MB/s, ${equal ? "SHA-256 equal" : "SHA-256 DIFFERS"}`;
}

function direction({ frames, bytes, gso, notifications }: DirectionCounters, what: string): string {
  return `${frames} (${(bytes / 1e6).toFixed(1)} MB, ${gso} of them TCP in large segments), ${notifications} ${what}`;
}

/** Words in lines of at most `width` characters. */
function wrap(words: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
