/**
 * Linux's packet generator: the guest sends as fast as its driver lets it.
 *
 * @module
 */
import type { ExecOptions } from "./channel.ts";
import { GuestError } from "./errors.ts";
import type { Guest } from "./guest.ts";
import { shellQuote } from "./quote.ts";

/** Options of {@link pktgen}. */
export interface PktgenOptions extends ExecOptions {
  readonly count: number;
  /** Bytes of an Ethernet frame without FCS. Default: 60. */
  readonly size?: number;
  /** Default: broadcast. */
  readonly destinationMac?: string;
  /** Default: 10.0.2.2. */
  readonly destination?: string;
  /** How many times each packet is sent before the next is made. Default: 1. */
  readonly clone?: number;
  /** Packets given to the driver before it has to notify the device. Default: 1. */
  readonly burst?: number;
}

/** What the generator reports. */
export interface PktgenResult {
  readonly sent: number;
  readonly errors: number;
  readonly packetsPerSecond: number;
  readonly seconds: number;
}

/**
 * Sends packets and waits until they are sent.
 *
 * @throws GuestError `COMMAND_FAILED`; as {@link Guest.exec}
 */
export async function pktgen(guest: Guest, ifname: string, options: PktgenOptions): Promise<PktgenResult> {
  const { count, size = 60, destinationMac = "ff:ff:ff:ff:ff:ff", destination = "10.0.2.2" } = options;
  const { clone = 1, burst = 1, ...exec } = options;
  const device = `/proc/net/pktgen/${shellQuote(ifname)}`;
  const settings = [
    `count ${count}`,
    `clone_skb ${clone - 1}`,
    `burst ${burst}`,
    `pkt_size ${size}`,
    "delay 0",
    `dst ${shellQuote(destination)}`,
    `dst_mac ${shellQuote(destinationMac)}`,
  ];
  const output = await guest.run(
    [
      "modprobe pktgen",
      "echo rem_device_all >/proc/net/pktgen/kpktgend_0",
      `echo add_device ${shellQuote(ifname)} >/proc/net/pktgen/kpktgend_0`,
      ...settings.map((setting) => `echo ${setting} >${device}`),
      "echo start >/proc/net/pktgen/pgctrl",
      `cat ${device}`,
    ].join(" && "),
    exec,
  );
  const errors = /errors: (\d+)/.exec(output);
  const result = /Result: OK: (\d+)\([^)]*\) usec, (\d+) \([^)]*\)\s+(\d+)pps/.exec(output);
  if (!result) throw new GuestError("COMMAND_FAILED", `pktgen on ${ifname} gave no result: ${output.trim()}`);
  return {
    seconds: Number(result[1]) / 1e6,
    sent: Number(result[2]),
    packetsPerSecond: Number(result[3]),
    errors: Number(errors?.[1] ?? 0),
  };
}
