/**
 * TCP (RFC 9293) between the guests of a network and sockets of the host: opens and accepts connections, finds
 * the one a segment is of, and sees that each has its turn to send.
 * @module
 */

import { MemoryBudget } from "./byte-ring.ts";
import { DNS_PORT, type Dns } from "./dns.ts";
import { DnsStream } from "./dns-stream.ts";
import type { Egress } from "./egress.ts";
import type { HostFailure, HostListener, HostTcp, HostTcpHandlers } from "./host-sockets.ts";
import type { Icmp } from "./icmp.ts";
import type { Packet } from "./packet.ts";
import { reach } from "./reach.ts";
import type { Stack } from "./stack.ts";
import {
  PHASE_CLOSED,
  PHASE_CONNECTING,
  PHASE_OPEN,
  PHASE_SYN_RECEIVED,
  PHASE_SYN_SENT,
  PHASE_TIME_WAIT,
  TcpConnection,
  type TcpOwner,
} from "./tcp-connection.ts";
import { agree, input } from "./tcp-input.ts";
import { output, prepareHeader } from "./tcp-output.ts";
import { refuse, reset, tellUnreachable } from "./tcp-refusal.ts";
import { ahead, TcpSegment } from "./tcp-segment.ts";
import { TcpTable } from "./tcp-table.ts";
import { TcpTurns } from "./tcp-turns.ts";
import { Timer } from "./timers.ts";
import { ACK, IP_HEADER, RST, SYN, TCP_HEADER, UNREACHABLE_HOST, UNREACHABLE_PROHIBITED } from "./wire.ts";

/** Without a network in between, an answer is a matter of the guest's own speed. */
const FIRST_TIMEOUT_MS = 400;
const MAX_TIMEOUT_MS = 60_000;
/** SYNs and other segments sent in vain until the guest is given up. */
const SYN_RETRIES = 6;
const RETRIES = 15;
/** Nothing of an old connection can still be on the way: only a lost ACK has to be repeated. */
const TIME_WAIT_MS = 2_000;
/** How long a guest may keep a connection half open that the host has closed, and a host what it was left. */
const ORPHAN_MS = 60_000;
const SWEEP_MS = 15_000;
/** An ACK waits for the host's socket so long at most (RFC 9293, 3.8.6.3 allows half a second). */
const ACK_DELAY_MS = 10;
/** RFC 5961, 7: ACKs that answer segments out of place, per second; between two of us they could go on for ever. */
const CHALLENGES_PER_SECOND = 100;
const FIRST_EPHEMERAL_PORT = 1024;

/** The TCP of one network. */
export class Tcp implements TcpOwner {
  readonly sendLimit: number;
  readonly memory: MemoryBudget;
  readonly #stack: Stack;
  readonly #icmp: Icmp;
  readonly #dns: Dns;
  readonly #ask: (guest: number) => void;
  readonly #table: TcpTable;
  /** All that has a place in the table, or a host's socket. */
  readonly #connections = new Set<TcpConnection>();
  readonly #segment = new TcpSegment();
  readonly #sweep: Timer = new Timer(() => this.#dropIdle());
  /** Connections whose ACK waits, and for how long. */
  readonly #waiting = new Set<TcpConnection>();
  readonly #patience: Timer = new Timer(() => this.#sayWaiting());
  readonly #turns = new TcpTurns();
  #pending = 0;
  #challenges = 0;
  #challengesSince = 0;

  /** @param ask asks by ARP for a guest that was not heard of yet */
  constructor(stack: Stack, icmp: Icmp, dns: Dns, ask: (guest: number) => void) {
    this.#stack = stack;
    this.#icmp = icmp;
    this.#dns = dns;
    this.#ask = ask;
    this.#table = new TcpTable(stack.random());
    this.sendLimit = stack.config.limits.tcpSend;
    this.memory = new MemoryBudget(stack.config.limits.tcpMemory);
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
    let connection = this.#table.find(source, segment.guestPort, destination, segment.remotePort);
    const isSyn = (segment.flags & (SYN | ACK | RST)) === SYN;
    if (connection !== undefined && isSyn && isReopening(connection, segment)) {
      this.#remove(connection);
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
    connection.lastActive = this.#stack.now;
    if (connection.phase === PHASE_CONNECTING) {
      // The SYN again, for the host takes its time; or the guest has lost patience.
      if ((segment.flags & RST) !== 0 && ahead(segment.sequence, connection.receiveNext) === 0) this.#cut(connection);
      return;
    }
    this.#input(connection, segment, packet);
  }

  /** Takes a connection that came in at a forward. */
  accept(host: HostTcp, guest: number, guestPort: number, peerPort: number): HostTcpHandlers | undefined {
    const stack = this.#stack;
    const { limits, gateway } = stack.config;
    const isFull = this.#connections.size >= limits.tcpConnections || this.#pending >= limits.tcpBacklog;
    if (isFull || stack.egress.peer === undefined) {
      stack.counters.dropped.tcpLimit++;
      return undefined;
    }
    let port = peerPort; // its own port where it can have it: easier to recognize
    while (port < FIRST_EPHEMERAL_PORT || this.#table.find(guest, guestPort, gateway, port) !== undefined) {
      port = FIRST_EPHEMERAL_PORT + (stack.random() % (0x1_0000 - FIRST_EPHEMERAL_PORT));
    }
    stack.enter();
    try {
      const connection = new TcpConnection(this, PHASE_SYN_SENT, guest, guestPort, gateway, port, stack.random());
      connection.host = host;
      connection.hostPaused = true;
      stack.counters.tcpAccepted++;
      this.#add(connection);
      connection.synPending = true;
      this.touch(connection);
      return connection;
    } finally {
      stack.leave();
    }
  }

  /** Listens on a port of the host for connections to a guest. */
  listen(hostAddress: string, hostPort: number, guest: number, guestPort: number): Promise<HostListener> {
    return this.#stack.host.listenTcp(hostAddress, hostPort, (socket, _address, port) =>
      this.accept(socket, guest, guestPort, port),
    );
  }

  /** A guest was heard of for the first time: connections may be waiting for it. */
  learned(): void {
    for (const connection of this.#connections) if (connection.phase === PHASE_SYN_SENT) this.touch(connection);
  }

  /** Fills a burst with what connections have to say, each in its turn. */
  fill(egress: Egress): void {
    const { mtu } = this.#stack.config;
    while (!egress.full) {
      const connection = this.#turns.next();
      if (connection === undefined) return;
      if (connection.phase === PHASE_CLOSED || !this.#knowsGuest(connection)) continue;
      if (output(connection, egress, mtu, this.#stack.counters)) this.#turns.touch(connection);
      else if (connection.ackPending) this.#sayLater(connection);
      this.#arm(connection);
    }
  }

  /** The ACK waits for the host's socket, but not for long. */
  #sayLater(connection: TcpConnection): void {
    if (this.#waiting.has(connection)) return;
    this.#waiting.add(connection);
    const { timers, now } = this.#stack;
    if (this.#waiting.size === 1) timers.set(this.#patience, now + ACK_DELAY_MS);
  }

  #sayWaiting(): void {
    for (const connection of this.#waiting) {
      connection.ackCanWait = false;
      if (connection.ackPending) this.touch(connection);
    }
    this.#waiting.clear();
  }

  /** Gives the host's sockets what guests have sent. */
  toHosts(): void {
    this.#turns.toHosts();
  }

  /** Cuts all connections, without a word to guests. */
  clear(): void {
    for (const connection of this.#connections) {
      connection.phase = PHASE_CLOSED;
      this.#stack.timers.remove(connection.timer);
      this.#table.remove(connection);
      if (!connection.hostGone) connection.host?.destroy(true);
      this.#forget(connection);
    }
    this.#turns.clear();
    this.#pending = 0;
    this.#stack.counters.tcpActive = 0;
    this.#stack.timers.remove(this.#sweep);
    this.#waiting.clear();
    this.#stack.timers.remove(this.#patience);
  }

  enter(): void {
    this.#stack.enter();
  }

  leave(): void {
    this.#stack.leave();
  }

  now(): number {
    return this.#stack.now;
  }

  touch(connection: TcpConnection): void {
    this.#turns.touch(connection);
  }

  hostConnected(connection: TcpConnection): void {
    connection.phase = PHASE_SYN_RECEIVED;
    connection.synPending = true;
    this.touch(connection);
  }

  hostClosed(connection: TcpConnection, failure: HostFailure | undefined): void {
    if (connection.phase === PHASE_CLOSED) {
      this.#forget(connection);
    } else if (connection.phase === PHASE_CONNECTING) {
      if (tellUnreachable(this.#icmp, connection, failure ?? "refused")) this.#cut(connection);
      else this.#reset(connection);
    } else if (failure !== undefined) {
      this.#reset(connection);
    } else {
      connection.hostEnded = true; // what it has sent still goes to the guest
      this.touch(connection);
      this.#removeIfDone(connection);
    }
  }

  timedOut(connection: TcpConnection): void {
    const stack = this.#stack;
    switch (connection.phase) {
      case PHASE_SYN_SENT:
      case PHASE_SYN_RECEIVED:
        if (++connection.retries > SYN_RETRIES) {
          this.#reset(connection);
          return;
        }
        connection.synPending = true;
        break;
      case PHASE_OPEN:
        if (stack.egress.isBlocked) break; // the guest has not seen it yet, and knows nothing to answer
        if (++connection.retries > RETRIES) {
          this.#reset(connection);
          return;
        }
        if (connection.sendNext !== connection.sendUnacknowledged) {
          stack.counters.tcpRetransmitted++;
          connection.sendNext = connection.sendUnacknowledged;
          connection.recovering = true;
        } else if (connection.sendWindow > 0) {
          connection.sendSmall = true;
        }
        if (connection.sendWindow === 0) connection.probePending = true;
        break;
      default:
        this.#remove(connection);
        return;
    }
    this.touch(connection);
    this.#arm(connection);
  }

  #input(connection: TcpConnection, segment: TcpSegment, packet: Packet): void {
    const { counters } = this.#stack;
    const acknowledged = connection.sendUnacknowledged;
    const received = connection.staged;
    const verdict = input(connection, segment, packet);
    switch (verdict) {
      case "challenge":
        counters.dropped.tcpUnexpected++;
        if (this.#mayChallenge()) {
          connection.ackPending = true;
          connection.ackCanWait = false;
        }
        // The guest's FIN again: our last ACK got lost, and may once more (RFC 9293, 3.10.7.8).
        if (connection.phase === PHASE_TIME_WAIT) this.#waitLonger(connection);
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
        this.#cut(connection);
        return;
      case "abort":
        this.#reset(connection);
        return;
      case "opened":
        this.#pending--;
        connection.hostPaused = false;
        connection.host?.resume();
        break;
    }
    counters.tcpBytesFromGuest += connection.staged - received;
    if (connection.sendUnacknowledged !== acknowledged) this.#stack.timers.unset(connection.timer);
    this.#turns.stage(connection);
    this.touch(connection);
    this.#removeIfDone(connection);
  }

  #open(packet: Packet, segment: TcpSegment): void {
    const stack = this.#stack;
    const { config, counters } = stack;
    const { source, destination } = packet;
    const isDns = destination === config.dns && segment.remotePort === DNS_PORT;
    const target = isDns ? { address: "" } : reach(config, "tcp", destination, segment.remotePort);
    if (typeof target === "string") {
      counters.dropped.prohibited++;
      if (target === "closed") refuse(this.#stack, packet, segment);
      else if (target === "neighbour") this.#icmp.unreachable(packet, UNREACHABLE_HOST);
      else if (target === "prohibited") this.#icmp.unreachable(packet, UNREACHABLE_PROHIBITED);
      return;
    }
    const { limits } = config;
    if (this.#connections.size >= limits.tcpConnections || this.#pending >= limits.tcpBacklog) {
      counters.dropped.tcpLimit++; // the guest will try again
      return;
    }
    const connection = new TcpConnection(
      this,
      PHASE_CONNECTING,
      source,
      segment.guestPort,
      destination,
      segment.remotePort,
      stack.random(),
    );
    counters.tcpOpened++;
    this.#add(connection);
    connection.receiveNext = (segment.sequence + 1) | 0;
    connection.receiveEdge = connection.receiveNext;
    agree(connection, segment);
    connection.host = isDns
      ? new DnsStream(this.#dns, connection)
      : stack.host.connectTcp(target.address, segment.remotePort, connection);
  }

  #add(connection: TcpConnection): void {
    const { config, neighbours, timers, counters, now } = this.#stack;
    connection.mac = neighbours.find(connection.guest);
    connection.mss = config.mtu - IP_HEADER - TCP_HEADER;
    connection.receiveLimit = config.limits.tcpReceive;
    while (connection.receiveLimit >>> connection.receiveScale > 0xffff) connection.receiveScale++;
    prepareHeader(connection, config.gatewayMac);
    this.#table.add(connection);
    this.#connections.add(connection);
    this.#pending++;
    counters.tcpActive = this.#table.size;
    if (this.#sweep.deadline === Number.POSITIVE_INFINITY) timers.set(this.#sweep, now + SWEEP_MS);
  }

  #knowsGuest(connection: TcpConnection): boolean {
    if (connection.mac !== undefined) return true;
    connection.mac = this.#stack.neighbours.find(connection.guest);
    if (connection.mac !== undefined) return true;
    this.#ask(connection.guest);
    this.#arm(connection);
    return false;
  }

  /** Sets the timer if something is to happen, or stops it. */
  #arm(connection: TcpConnection): void {
    const { timers, now } = this.#stack;
    const { timer } = connection;
    const isWaiting =
      connection.phase === PHASE_SYN_SENT ||
      connection.phase === PHASE_SYN_RECEIVED ||
      (connection.phase === PHASE_OPEN &&
        (connection.sendNext !== connection.sendUnacknowledged || connection.unsent > 0));
    if (connection.phase === PHASE_TIME_WAIT) return;
    if (!isWaiting) timers.unset(timer);
    else if (timer.deadline === Number.POSITIVE_INFINITY) {
      timers.set(timer, now + Math.min(FIRST_TIMEOUT_MS * 2 ** connection.retries, MAX_TIMEOUT_MS));
    }
  }

  #mayChallenge(): boolean {
    const { now } = this.#stack;
    if (now - this.#challengesSince >= 1000) {
      this.#challengesSince = now;
      this.#challenges = 0;
    }
    return this.#challenges++ < CHALLENGES_PER_SECOND;
  }

  /** Ends a connection that both sides have ended. */
  #removeIfDone(connection: TcpConnection): void {
    if (connection.phase !== PHASE_OPEN || !connection.endAcknowledged || !connection.guestEnded) return;
    if (connection.guestEndedFirst) {
      this.#remove(connection);
      return;
    }
    connection.phase = PHASE_TIME_WAIT;
    this.#waitLonger(connection);
  }

  #waitLonger(connection: TcpConnection): void {
    this.#stack.timers.set(connection.timer, this.#stack.now + TIME_WAIT_MS);
  }

  /** Takes a connection out of the table. Its host's socket may still have to send. */
  #remove(connection: TcpConnection): void {
    if (connection.phase === PHASE_CLOSED) return;
    if (connection.phase <= PHASE_SYN_RECEIVED) this.#pending--;
    this.#stack.timers.remove(connection.timer);
    this.#table.remove(connection);
    connection.phase = PHASE_CLOSED;
    connection.toGuest.release();
    if (connection.hostGone || connection.host === undefined) this.#forget(connection);
    this.#stack.counters.tcpActive = this.#table.size;
  }

  /** Ends a connection at once: the guest knows. */
  #cut(connection: TcpConnection): void {
    this.#remove(connection);
    if (!connection.hostGone) connection.host?.destroy(true);
    this.#forget(connection);
  }

  /** Nothing of a connection is left, neither here nor at the host. */
  #forget(connection: TcpConnection): void {
    this.#connections.delete(connection);
    this.#waiting.delete(connection);
    connection.toGuest.release();
    connection.toHost.release();
  }

  /** Ends a connection at once, and tells the guest. */
  #reset(connection: TcpConnection): void {
    const { counters } = this.#stack;
    counters.tcpReset++;
    if (connection.phase !== PHASE_TIME_WAIT) reset(this.#stack, connection);
    this.#cut(connection);
  }

  #dropIdle(): void {
    const { now, config, timers } = this.#stack;
    for (const connection of this.#connections) {
      const idle = now - connection.lastActive;
      // What the guest has yet to acknowledge is sent again so many times, and waited for as long.
      const isTrying = connection.timer.deadline !== Number.POSITIVE_INFINITY;
      const isOrphan = connection.phase === PHASE_CLOSED || (connection.hostGone && !isTrying);
      if (idle > (isOrphan ? ORPHAN_MS : config.limits.tcpIdleMs)) {
        if (connection.phase === PHASE_CLOSED) this.#cut(connection);
        else this.#reset(connection);
        continue;
      }
      if (idle > SWEEP_MS) connection.release();
    }
    if (this.#connections.size > 0) timers.set(this.#sweep, now + SWEEP_MS);
  }
}

/** Whether a SYN opens the same ports anew: the old connection is over, and its sequence numbers left behind. */
function isReopening(connection: TcpConnection, segment: TcpSegment): boolean {
  return connection.phase === PHASE_TIME_WAIT && ahead(segment.sequence, connection.receiveNext) > 0;
}
