/**
 * TCP (RFC 9293) between the guests of a network and sockets of the host: opens and accepts connections, finds the
 * connection of a segment, and gives each connection its turn to send.
 * @module
 */

import { DNS_PORT, type Dns } from "../dns/dns.ts";
import { DnsStream } from "../dns/stream.ts";
import type { HostListener, HostTcp, HostTcpHandlers } from "../host-sockets.ts";
import type { Icmp } from "../ip/icmp.ts";
import type { Egress } from "../link/egress.ts";
import type { Packet } from "../link/packet.ts";
import { reach } from "../reach.ts";
import type { Stack } from "../stack.ts";
import { ACK, RST, SYN, UNREACHABLE_HOST, UNREACHABLE_PROHIBITED } from "../wire.ts";
import {
  PHASE_CLOSED,
  PHASE_CONNECTING,
  PHASE_OPEN,
  PHASE_SYN_SENT,
  PHASE_TIME_WAIT,
  type TcpConnection,
} from "./connection.ts";
import { TcpConnections } from "./connections.ts";
import { TcpDelayedAcks } from "./delayed-acks.ts";
import { input, takeSyn } from "./input.ts";
import { output } from "./output.ts";
import { RANK_ACCEPTED, RANK_CONNECTING } from "./ranks.ts";
import { refuse } from "./refusal.ts";
import { ahead, TcpSegment } from "./segment.ts";
import { arm, armTimeWait } from "./timeout.ts";
import { TcpTurns } from "./turns.ts";

/** RFC 5961, 7: maximum challenge ACKs per second: two peers could answer each other's forever. */
const CHALLENGES_PER_SECOND = 100;
const FIRST_EPHEMERAL_PORT = 1024;
/** Minimum idle time of a keep-alive: a retransmitted last byte looks like one, but comes sooner. */
const LEAST_KEEP_ALIVE_MS = 10_000;

/** The TCP of one network. */
export class Tcp {
  readonly #stack: Stack;
  readonly #icmp: Icmp;
  readonly #dns: Dns;
  readonly #ask: (guest: number) => void;
  readonly #turns = new TcpTurns();
  readonly #connections: TcpConnections;
  readonly #delayedAcks: TcpDelayedAcks;
  readonly #segment = new TcpSegment();
  #challenges = 0;
  #challengesSince = 0;

  /** @param ask asks by ARP for a guest that was not heard yet */
  constructor(stack: Stack, icmp: Icmp, dns: Dns, ask: (guest: number) => void) {
    this.#stack = stack;
    this.#icmp = icmp;
    this.#dns = dns;
    this.#ask = ask;
    this.#connections = new TcpConnections(stack, icmp, this.#turns);
    this.#delayedAcks = new TcpDelayedAcks(stack, this.#turns);
  }

  /** Takes a TCP packet from a guest. */
  receive(packet: Packet): void {
    const { counters } = this.#stack;
    const segment = this.#segment;
    const fault = segment.read(packet);
    if (fault !== undefined) {
      counters.dropped[fault]++;
      return;
    }
    const { source, destination } = packet;
    let connection = this.#connections.find(source, segment.guestPort, destination, segment.remotePort);
    const isSyn = (segment.flags & (SYN | ACK | RST)) === SYN;
    if (connection !== undefined && isSyn && isReopening(connection, segment)) {
      this.#connections.remove(connection);
      connection = undefined;
    }
    if (connection === undefined) {
      if (isSyn) this.#open(packet, segment);
      else {
        counters.dropped.tcpUnexpected++;
        refuse(this.#stack, packet, segment);
      }
      return;
    }
    if (connection.phase === PHASE_CONNECTING) {
      // The SYN again, because the host is slow; or an RST, because the guest gives up.
      const isOver = (segment.flags & RST) !== 0 && ahead(segment.sequence, connection.receiver.next) === 0;
      if (isOver) this.#connections.cut(connection);
      return;
    }
    this.#input(connection, segment, packet);
  }

  /** Listens on a port of the host for connections to a guest. */
  listen(hostAddress: string, hostPort: number, guest: () => number, guestPort: number): Promise<HostListener> {
    return this.#stack.host.listenTcp(hostAddress, hostPort, (socket, _address, port) =>
      this.#accept(socket, guest(), guestPort, port),
    );
  }

  /** A guest was heard for the first time: resumes connections that wait for it. */
  learned(): void {
    for (const connection of this.#connections.all()) {
      if (connection.phase === PHASE_SYN_SENT) this.#turns.touch(connection);
    }
  }

  /** Fills a burst with the output of connections, each in its turn. */
  fill(egress: Egress): void {
    const stack = this.#stack;
    while (!egress.full) {
      const connection = this.#turns.next();
      if (connection === undefined) return;
      if (connection.phase === PHASE_CLOSED) continue;
      if (this.#knowsGuest(connection)) {
        const wasIdle = connection.sender.inFlight === 0;
        if (output(connection, stack)) this.#turns.touch(connection);
        else if (connection.receiver.ackPending) this.#delayedAcks.add(connection);
        // The timer waited for the window: restart it to wait for an acknowledgement (RFC 6298, 5.1).
        if (wasIdle && connection.sender.inFlight !== 0) stack.timers.unset(connection.timer);
      }
      arm(connection, stack);
    }
  }

  /** Writes the data of guests to the host's sockets. */
  toHosts(): void {
    this.#turns.toHosts();
  }

  /** Cuts all connections without telling guests. */
  clear(): void {
    this.#connections.clear();
    this.#turns.clear();
    this.#delayedAcks.clear();
  }

  #input(connection: TcpConnection, segment: TcpSegment, packet: Packet): void {
    const { counters, timers, now } = this.#stack;
    const { sender, receiver } = connection;
    const { unacknowledged } = sender;
    const { staged } = receiver;
    const wasOpen = connection.phase >= PHASE_OPEN;
    const quietMs = now - connection.place.lastUsed;
    if (quietMs >= LEAST_KEEP_ALIVE_MS && isKeepAlive(connection, segment)) connection.host?.keepAlive?.(quietMs);
    const verdict = input(connection, segment, packet, now);
    this.#connections.used(connection);
    if (!wasOpen && connection.phase === PHASE_OPEN) this.#connections.opened(connection);
    switch (verdict) {
      case "challenge":
        counters.dropped.tcpUnexpected++;
        if (this.#mayChallenge()) receiver.ackNow();
        // The guest's FIN again: our last ACK was lost, and may be lost again (RFC 9293, 3.10.7.8).
        if (connection.phase === PHASE_TIME_WAIT) armTimeWait(connection, this.#stack);
        break;
      case "refuse":
        counters.dropped.tcpUnexpected++;
        refuse(this.#stack, packet, segment);
        return;
      case "ignore":
        counters.dropped.tcpUnexpected++;
        return;
      case "reset":
        counters.tcpReset++;
        this.#connections.cut(connection);
        return;
      case "abort":
        this.#connections.reset(connection);
        return;
    }
    counters.tcpBytesFromGuest += receiver.staged - staged;
    if (sender.unacknowledged !== unacknowledged) timers.unset(connection.timer);
    this.#turns.stage(connection);
    this.#turns.touch(connection);
    this.#connections.removeIfDone(connection);
  }

  /** Takes the SYN of a guest that opens a connection. */
  #open(packet: Packet, segment: TcpSegment): void {
    const { config, counters, host } = this.#stack;
    const { source, destination } = packet;
    const { guestPort, remotePort } = segment;
    const isDns = destination === config.dns && remotePort === DNS_PORT;
    const target = isDns ? { address: "" } : reach(this.#stack, "tcp", destination, remotePort);
    if (typeof target === "string") {
      counters.dropped.prohibited++;
      if (target === "closed") refuse(this.#stack, packet, segment);
      else if (target === "neighbour") this.#icmp.unreachable(packet, UNREACHABLE_HOST);
      else if (target === "prohibited") this.#icmp.unreachable(packet, UNREACHABLE_PROHIBITED);
      return;
    }
    if (!this.#connections.makeRoom(RANK_CONNECTING)) return;
    counters.tcpOpened++;
    const connection = this.#connections.add(PHASE_CONNECTING, source, guestPort, destination, remotePort);
    takeSyn(connection, segment);
    connection.host = isDns
      ? new DnsStream(this.#stack, this.#dns, connection)
      : host.connectTcp(target.address, remotePort, connection);
  }

  /** Takes a connection to a forward. */
  #accept(host: HostTcp, guest: number, guestPort: number, peerPort: number): HostTcpHandlers | undefined {
    const stack = this.#stack;
    const { gateway } = stack.config;
    return stack.event(() => {
      const port = stack.egress.peer === undefined ? -1 : this.#freePort(guest, guestPort, peerPort);
      if (port < 0 || !this.#connections.makeRoom(RANK_ACCEPTED)) {
        stack.counters.dropped.toGuest++;
        return undefined;
      }
      const connection = this.#connections.add(PHASE_SYN_SENT, guest, guestPort, gateway, port);
      connection.host = host;
      connection.hostPaused = true;
      stack.counters.tcpAccepted++;
      connection.synPending = true;
      this.#turns.touch(connection);
      return connection;
    });
  }

  /**
   * A port of the gateway for a connection to a guest's port: the peer's own port if it is free, which is easier to
   * recognize.
   * @returns -1 if all are in use
   */
  #freePort(guest: number, guestPort: number, peerPort: number): number {
    const { config, random } = this.#stack;
    const count = 0x1_0000 - FIRST_EPHEMERAL_PORT;
    const isFree = (port: number): boolean =>
      this.#connections.find(guest, guestPort, config.gateway, port) === undefined;
    if (peerPort >= FIRST_EPHEMERAL_PORT && isFree(peerPort)) return peerPort;
    const first = random() % count;
    for (let i = 0; i < count; i++) {
      const port = FIRST_EPHEMERAL_PORT + ((first + i) % count);
      if (isFree(port)) return port;
    }
    return -1;
  }

  /** Whether the guest's MAC address is known; if not, asks for it. */
  #knowsGuest(connection: TcpConnection): boolean {
    connection.mac ??= this.#stack.neighbours.find(connection.guest);
    if (connection.mac === undefined) this.#ask(connection.guest);
    return connection.mac !== undefined;
  }

  #mayChallenge(): boolean {
    const { now } = this.#stack;
    if (now - this.#challengesSince >= 1000) {
      this.#challengesSince = now;
      this.#challenges = 0;
    }
    return this.#challenges++ < CHALLENGES_PER_SECOND;
  }
}

/**
 * Whether a SYN reopens the same ports: the old connection is in TIME-WAIT, and the SYN is beyond its sequence numbers.
 */
function isReopening(connection: TcpConnection, segment: TcpSegment): boolean {
  return connection.phase === PHASE_TIME_WAIT && ahead(segment.sequence, connection.receiver.next) > 0;
}

/** Whether a segment is a keep-alive: it lies just before the next expected number (RFC 9293, 3.8.4). */
function isKeepAlive(connection: TcpConnection, segment: TcpSegment): boolean {
  const { phase, receiver } = connection;
  return (
    phase === PHASE_OPEN &&
    segment.flags === ACK &&
    segment.length <= 1 &&
    ahead(segment.sequence, receiver.next) === -1
  );
}
