/** Wireshark's own reading of a capture: it is the judge of the format, and of the checksums and segments in it. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Capture,
  connect,
  FrameBurst,
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  HDR_F_NEEDS_CSUM,
  type NetBackend,
  type NetPort,
  OFFLOAD_ALL,
} from "@virtio-ts/net-link";
import { pcapngFile } from "@virtio-ts/net-link/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { peer } from "../src/peers.ts";

/** Takes everything, does nothing. */
class Sink implements NetBackend {
  readonly accepts: number;
  peer: NetPort | undefined;
  constructor(accepts: number) {
    this.accepts = accepts;
  }
  take(burst: FrameBurst): number {
    return burst.count;
  }
  resume(): void {}
  attach(peer: NetPort): void {
    this.peer = peer;
  }
  detach(): void {}
}

const bytes = (hex: string, payload = 0): Uint8Array => {
  const head = Uint8Array.from(hex.replaceAll(" ", "").match(/../g)!, (pair) => Number.parseInt(pair, 16));
  const all = new Uint8Array(head.length + payload).map((_, i) => i * 7);
  all.set(head);
  return all;
};

const ETHERNET = "525400000002 525400000001 ";
/** Headers as Linux leaves them to a NIC; the last checksum is to be that of the pseudo header. */
const TCP4 = `${ETHERNET}0800 4500 0fc8 0001 4000 4006 131f 0a00020f 0a000202 9c40 0050 00000001 00000001 5018 ffff 0000 0000`;
const TCP6 = `${ETHERNET}86dd 60000000 0fb4 0640 fd00000000000000 000000000000000f fd00000000000000 0000000000000002 9c40 0050 00000001 00000001 5018 ffff 0000 0000`;
const UDP4 = `${ETHERNET}0800 4500 0020 0001 4000 4011 22bc 0a00020f 0a000202 9c40 0050 000c 0000 61626364`;

function frames(): FrameBurst {
  const burst = new FrameBurst();
  const tcp4 = bytes(TCP4, 4000);
  writePseudo(tcp4, 26, 8, 6, 4020, 50);
  burst.addSegment(tcp4, 0, tcp4.length);
  burst.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV4, 54, 1448, 34, 16);
  const tcp6 = bytes(TCP6, 4000);
  writePseudo(tcp6, 22, 32, 6, 4020, 70);
  burst.addSegment(tcp6, 0, tcp6.length);
  burst.endFrame(HDR_F_NEEDS_CSUM, GSO_TCPV6, 74, 1428, 54, 16);
  const udp4 = bytes(UDP4);
  writePseudo(udp4, 26, 8, 17, 12, 40);
  burst.addSegment(udp4, 0, udp4.length);
  burst.endFrame(HDR_F_NEEDS_CSUM, GSO_NONE, 0, 0, 34, 6);
  return burst;
}

/** Stores the sum of the pseudo header: the addresses at `at`, the protocol, the size. */
function writePseudo(frame: Uint8Array, at: number, length: number, protocol: number, size: number, to: number): void {
  let sum = protocol + size;
  for (let i = at; i < at + length; i += 2) sum += frame[i] * 256 + frame[i + 1];
  while (sum > 0xffff) sum -= 0xffff;
  frame[to] = sum >> 8;
  frame[to + 1] = sum & 255;
}

describe("tshark reads a capture", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "virtio-ts-capture-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const FIELDS = "ip.checksum.status tcp.checksum.status udp.checksum.status frame.len frame.packet_flags_direction";
  const GOOD = "1";
  const OUTBOUND = "0x00000002";

  /** One line per frame; the columns are FIELDS. */
  function read(accepts: number): string[][] {
    const path = join(folder, `${accepts}.pcapng`);
    const file = pcapngFile(path);
    const nic = new Sink(0);
    const capture = new Capture(new Sink(accepts), { sink: file.sink, name: "vnet7" });
    connect(nic, capture);
    nic.peer!.take(frames(), 0);
    capture.close();
    file.close();
    const run = (...args: string[]): string =>
      execFileSync(peer("tshark"), ["-n", "-r", path, ...args], { stdio: ["ignore", "pipe", "ignore"] }).toString();
    expect(run("-Y", "_ws.malformed || _ws.expert.severity >= error")).toBe("");
    expect(run("-T", "fields", "-e", "frame.interface_name").split("\n")[0]).toBe("vnet7");
    const check = ["ip", "tcp", "udp"].flatMap((p) => ["-o", `${p}.check_checksum:TRUE`]);
    return run(...check, "-T", "fields", ...FIELDS.split(" ").flatMap((field) => ["-e", field]))
      .trimEnd()
      .split("\n")
      .map((line) => line.split("\t"));
  }

  it("with good checksums, of frames that a network takes unsegmented", () => {
    expect(read(OFFLOAD_ALL)).toEqual([
      [GOOD, GOOD, "", "4054", OUTBOUND],
      ["", GOOD, "", "4074", OUTBOUND],
      [GOOD, "", GOOD, "46", OUTBOUND],
    ]);
  });

  it("with good checksums, of the segments that software makes of them", () => {
    expect(read(0)).toEqual([
      [GOOD, GOOD, "", "1502", OUTBOUND],
      [GOOD, GOOD, "", "1502", OUTBOUND],
      [GOOD, GOOD, "", "1158", OUTBOUND],
      ["", GOOD, "", "1502", OUTBOUND],
      ["", GOOD, "", "1502", OUTBOUND],
      ["", GOOD, "", "1218", OUTBOUND],
      [GOOD, "", GOOD, "46", OUTBOUND],
    ]);
  });
});
