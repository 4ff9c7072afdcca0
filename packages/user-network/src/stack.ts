/**
 * The state that the protocols of one network share: configuration, counters, clock, random numbers, host, and the path
 * to the guest. Each protocol is a separate class on top of it.
 * @module
 */

import { checksumAdd, checksumFold } from "@virtio-ts/net-link";
import type { Clock, Random } from "./clock.ts";
import type { EgressProtocol, UserNetworkConfig } from "./config.ts";
import { newCounters, type UserNetworkCounters } from "./counters.ts";
import { UserNetworkError } from "./errors.ts";
import { guardHost } from "./guarded-host.ts";
import type { HostSockets } from "./host-sockets.ts";
import { Egress, type FrameSource } from "./link/egress.ts";
import { Neighbours } from "./link/neighbours.ts";
import { Timer, TimerQueue } from "./timers.ts";
import type { UserNetworkEvent } from "./trace.ts";
import {
  ETH_HEADER,
  ETH_TYPE_IPV4,
  IP_CHECKSUM,
  IP_HEADER,
  IP_MORE_FRAGMENTS,
  PROTOCOL_UDP,
  sumOfPseudoHeader,
  UDP_CHECKSUM,
  UDP_HEADER,
} from "./wire.ts";

const TTL = 64;
/** The broadcast MAC address. */
export const BROADCAST_MAC: Uint8Array = new Uint8Array(6).fill(0xff);

/** The state that the protocols of one network share. */
export class Stack {
  readonly config: UserNetworkConfig;
  readonly host: HostSockets;
  readonly random: Random;
  readonly counters: UserNetworkCounters = newCounters();
  readonly timers: TimerQueue;
  readonly egress: Egress;
  readonly neighbours: Neighbours;
  /** The payload of the IPv4 packet to be sent next: fill it, then call {@link sendIpv4}. */
  readonly payload: Uint8Array = new Uint8Array(0x1_0000);
  /** The same memory as {@link payload}. */
  readonly payloadView: DataView = new DataView(this.payload.buffer);
  /** The time of the event that is being handled, ms. */
  now = 0;

  readonly #clock: Clock;
  readonly #toHosts: () => void;
  #depth = 0;
  #nextId: number;

  /**
   * @param source fills bursts for the guest
   * @param toHosts called at the end of an event: sends the data collected for hosts
   */
  constructor(
    config: UserNetworkConfig,
    host: HostSockets,
    clock: Clock,
    random: Random,
    source: FrameSource,
    toHosts: () => void,
  ) {
    this.config = config;
    this.random = random;
    this.#clock = clock;
    this.now = clock.now();
    this.neighbours = new Neighbours(this);
    this.#nextId = random() & 0xffff;
    this.#toHosts = toHosts;
    this.timers = new TimerQueue(clock, (run) => this.event(run));
    this.host = guardHost(host, {
      threw: (method, cause) => this.report("HOST_FAILED", `${method} of the host's sockets threw`, cause),
      later: (run) => this.timers.set(new Timer(run), this.now),
    });
    const turn = new Timer(() => {}); // firing it is an event, which ends in a flush
    this.egress = new Egress(this.counters, source, () => this.timers.set(turn, this.now));
  }

  /**
   * Handles an event: a call of the guest, of a host's socket or of a timer. At the end of the outermost event the
   * network sends the data it has collected, first to hosts, then to the guest.
   */
  event<T>(handle: () => T): T {
    if (this.#depth++ === 0) this.now = this.#clock.now();
    try {
      return handle();
    } finally {
      this.#end();
    }
  }

  #end(): void {
    try {
      if (this.#depth === 1) {
        this.#toHosts();
        this.egress.flush();
        this.#toHosts(); // data that the guest sent in reply, within the flush
      }
    } finally {
      this.#depth--; // even if a peer throws, so that the next event is an outermost one
    }
  }

  /** Whether there is a trace function: check it before building an event for {@link trace}. */
  get tracing(): boolean {
    return this.config.trace !== undefined;
  }

  /** Passes an event to the trace function. */
  trace(event: UserNetworkEvent): void {
    try {
      this.config.trace?.(event);
    } catch {
      this.counters.traceThrew++;
    }
  }

  /**
   * Whether the policy lets guests reach an address of the host's side, or ask for a name. Only `true` allows it: a
   * policy that fails must not allow what it should refuse.
   */
  allows(protocol: EgressProtocol, destination: string, port: number): boolean {
    const { allow } = this.config;
    if (allow === undefined) return true;
    let answer: unknown;
    try {
      answer = allow(protocol, destination, port);
    } catch (cause) {
      this.report("CALLBACK_FAILED", "allow threw", cause);
      return false;
    }
    if (typeof answer !== "boolean") {
      if (answer instanceof Promise) answer.catch(() => {}); // its result comes too late, and so does its rejection
      this.report(
        "CALLBACK_FAILED",
        `allow answered with a value of type ${typeof answer}: expected a boolean`,
        answer,
      );
    }
    return answer === true;
  }

  /** Counts and traces an error of code that is not ours. */
  report(code: "CALLBACK_FAILED" | "HOST_FAILED", message: string, cause: unknown): void {
    this.counters.faults++;
    if (this.tracing) this.trace({ type: "fault", error: new UserNetworkError(code, message, { cause }) });
  }

  /** The identification of the next IPv4 packet (RFC 6864). */
  nextId(): number {
    this.#nextId = (this.#nextId + 1) & 0xffff;
    return this.#nextId;
  }

  /**
   * Makes room for a frame to the guest and writes its Ethernet header. Returns its offset in the outbox, -1 if there
   * is no room.
   */
  ethernet(mac: Uint8Array, type: number, length: number): number {
    const outbox = this.egress.outbox;
    const at = this.egress.peer === undefined ? -1 : outbox.add(ETH_HEADER + length);
    if (at < 0) {
      this.counters.dropped.toGuest++;
      return -1;
    }
    outbox.bytes.set(mac, at);
    outbox.bytes.set(this.config.gatewayMac, at + 6);
    outbox.view.setUint16(at + 12, type);
    return at;
  }

  /**
   * Sends an IPv4 packet whose payload lies in {@link payload}, in fragments if it is larger than the MTU
   * (RFC 791, 2.3).
   * @param length of the payload, bytes; 65,515 at most
   */
  sendIpv4(mac: Uint8Array, source: number, destination: number, protocol: number, length: number): void {
    const room = this.config.mtu - IP_HEADER;
    const id = this.nextId();
    if (length <= room) {
      this.#sendFragment(mac, source, destination, protocol, id, 0, length, 0);
      return;
    }
    const step = room & ~7;
    for (let from = 0; from < length; from += step) {
      const n = Math.min(step, length - from);
      this.#sendFragment(mac, source, destination, protocol, id, from, n, from + n < length ? IP_MORE_FRAGMENTS : 0);
    }
  }

  /** Sends a UDP datagram whose data (`length` bytes) lies in {@link payload} from byte 8 on. */
  sendUdp(mac: Uint8Array, from: number, fromPort: number, to: number, toPort: number, length: number): void {
    const view = this.payloadView;
    const total = UDP_HEADER + length;
    view.setUint16(0, fromPort);
    view.setUint16(2, toPort);
    view.setUint16(4, total);
    view.setUint16(UDP_CHECKSUM, 0);
    const sum = checksumAdd(sumOfPseudoHeader(from, to, PROTOCOL_UDP, total), this.payload, 0, total);
    view.setUint16(UDP_CHECKSUM, checksumFold(sum) || 0xffff); // 0 means "none" (RFC 768)
    this.sendIpv4(mac, from, to, PROTOCOL_UDP, total);
  }

  #sendFragment(
    mac: Uint8Array,
    source: number,
    destination: number,
    protocol: number,
    id: number,
    from: number,
    length: number,
    more: number,
  ): void {
    const frame = this.ethernet(mac, ETH_TYPE_IPV4, IP_HEADER + length);
    if (frame < 0) return;
    const { bytes, view } = this.egress.outbox;
    const at = frame + ETH_HEADER;
    view.setUint16(at, 0x4500);
    view.setUint16(at + 2, IP_HEADER + length);
    view.setUint16(at + 4, id);
    view.setUint16(at + 6, more | (from >> 3));
    view.setUint8(at + 8, TTL);
    view.setUint8(at + 9, protocol);
    view.setUint16(at + IP_CHECKSUM, 0);
    view.setUint32(at + 12, source);
    view.setUint32(at + 16, destination);
    view.setUint16(at + IP_CHECKSUM, checksumFold(checksumAdd(0, bytes, at, IP_HEADER)));
    bytes.set(this.payload.subarray(from, from + length), at + IP_HEADER);
  }
}
