/**
 * A DHCP server (RFC 2131) for the guests of one network: an address each, by MAC address.
 * @module
 */

import { IPV4_BROADCAST, isHostOf } from "./addresses.ts";
import {
  DHCP_ACK,
  DHCP_DECLINE,
  DHCP_DISCOVER,
  DHCP_INFORM,
  DHCP_NAK,
  DHCP_OFFER,
  DHCP_RELEASE,
  DHCP_REQUEST,
  DhcpReply,
  type DhcpRequest,
  OPTION_BROADCAST,
  OPTION_CLIENT_ID,
  OPTION_DNS,
  OPTION_DOMAIN,
  OPTION_HOSTNAME,
  OPTION_LEASE_TIME,
  OPTION_MTU,
  OPTION_ROUTER,
  OPTION_SERVER,
  OPTION_SUBNET_MASK,
  readDhcp,
} from "./dhcp-message.ts";
import { BROADCAST_MAC, type Stack } from "./stack.ts";
import { UDP_HEADER } from "./wire.ts";

/** The port of the server (RFC 2131, 4.1). */
export const DHCP_SERVER_PORT = 67;
const DHCP_CLIENT_PORT = 68;
const MAX_REPLY = 1024;
/** How long an address that was offered is kept for who it was offered to. */
const OFFER_MS = 60_000;
/** How long an address is left alone after a guest found it in use. */
const DECLINED_MS = 600_000;
/** An owner no MAC address can be. */
const NOBODY = "";

interface Lease {
  owner: string;
  until: number;
}

/** Gives out addresses. */
export class Dhcp {
  readonly #stack: Stack;
  /** By address. */
  readonly #leases = new Map<number, Lease>();
  readonly #last: number;

  constructor(stack: Stack) {
    this.#stack = stack;
    // An address for each of 1024 guests is enough: a table that a guest can fill has to stay small.
    this.#last = Math.min(stack.config.subnet.broadcast - 1, stack.config.guest + 1023);
  }

  /** Takes a message a client has sent to the server's port. */
  receive(message: Uint8Array): void {
    const request = readDhcp(message);
    if (request === undefined || request.relay !== 0) {
      this.#stack.counters.dropped.malformed++;
      return;
    }
    const owner = keyOf(request.mac);
    switch (request.type) {
      case DHCP_DISCOVER:
        this.#discover(request, owner);
        break;
      case DHCP_REQUEST:
        this.#request(request, owner);
        break;
      case DHCP_INFORM:
        if (isHostOf(request.clientAddress, this.#stack.config.subnet)) this.#answer(request, DHCP_ACK, 0);
        break;
      case DHCP_RELEASE:
        if (this.#leases.get(request.clientAddress)?.owner === owner) this.#leases.delete(request.clientAddress);
        break;
      case DHCP_DECLINE:
        this.#decline(request, owner);
        break;
    }
  }

  /** Forgets all leases. */
  clear(): void {
    this.#leases.clear();
  }

  #discover(request: DhcpRequest, owner: string): void {
    const address = this.#find(owner, request.requested);
    if (address === 0) return; // all given away: silence, so that another server may answer
    const lease = this.#leases.get(address);
    if (lease?.owner !== owner) this.#leases.set(address, { owner, until: this.#stack.now + OFFER_MS });
    this.#answer(request, DHCP_OFFER, address);
  }

  /** RFC 2131, 4.3.2: a client that selects, one that reboots, one that renews or rebinds. */
  #request(request: DhcpRequest, owner: string): void {
    if (request.server !== 0 && request.server !== this.#stack.config.gateway) return; // it chose another server
    const wanted = request.requested !== 0 ? request.requested : request.clientAddress;
    if (!this.#inPool(wanted) || !this.#isFreeFor(wanted, owner)) {
      this.#answer(request, DHCP_NAK, 0);
      return;
    }
    for (const [address, lease] of this.#leases) {
      if (lease.owner === owner && address !== wanted) this.#leases.delete(address); // one each
    }
    this.#leases.set(wanted, { owner, until: this.#stack.now + this.#stack.config.leaseSeconds * 1000 });
    this.#answer(request, DHCP_ACK, wanted);
  }

  #decline(request: DhcpRequest, owner: string): void {
    if (this.#leases.get(request.requested)?.owner !== owner) return;
    this.#stack.counters.dhcpDeclined++;
    this.#leases.set(request.requested, { owner: NOBODY, until: this.#stack.now + DECLINED_MS });
  }

  /** The address for a client: its own, the one it would like, the first free one; 0 when there is none. */
  #find(owner: string, requested: number): number {
    for (const [address, lease] of this.#leases) if (lease.owner === owner) return address;
    if (this.#inPool(requested) && this.#isFreeFor(requested, owner)) return requested;
    for (let address = this.#stack.config.guest; address <= this.#last; address++) {
      if (this.#inPool(address) && this.#isFreeFor(address, owner)) return address;
    }
    return 0;
  }

  #inPool(address: number): boolean {
    const { guest, gateway, dns } = this.#stack.config;
    return address >= guest && address <= this.#last && address !== gateway && address !== dns;
  }

  #isFreeFor(address: number, owner: string): boolean {
    const lease = this.#leases.get(address);
    return lease === undefined || lease.owner === owner || lease.until <= this.#stack.now;
  }

  #answer(request: DhcpRequest, type: number, address: number): void {
    const stack = this.#stack;
    const { config } = stack;
    const reply = new DhcpReply(stack.payload.subarray(UDP_HEADER, UDP_HEADER + MAX_REPLY), request, type, address);
    reply.uint32(OPTION_SERVER, config.gateway);
    if (type !== DHCP_NAK) {
      if (address !== 0) reply.uint32(OPTION_LEASE_TIME, config.leaseSeconds);
      reply.uint32(OPTION_SUBNET_MASK, config.subnet.mask);
      reply.uint32(OPTION_ROUTER, config.gateway);
      reply.uint32(OPTION_DNS, config.dns);
      if (config.hostname !== undefined) reply.text(OPTION_HOSTNAME, config.hostname);
      if (config.domain !== undefined) reply.text(OPTION_DOMAIN, config.domain);
      reply.uint16(OPTION_MTU, config.mtu);
      reply.uint32(OPTION_BROADCAST, config.subnet.broadcast);
    }
    if (request.clientId !== undefined) reply.bytes(OPTION_CLIENT_ID, request.clientId);
    const length = reply.end();

    // Where to: RFC 2131, 4.1. A client without an address takes a frame to its MAC address, unless it says not.
    let to = IPV4_BROADCAST;
    let mac = BROADCAST_MAC;
    if (type !== DHCP_NAK && !request.broadcast) {
      const known = request.clientAddress !== 0 ? request.clientAddress : address;
      if (isHostOf(known, config.subnet)) {
        to = known;
        mac = request.mac;
      }
    }
    stack.counters.dhcpAnswered++;
    stack.sendUdp(mac, config.gateway, DHCP_SERVER_PORT, to, DHCP_CLIENT_PORT, length);
  }
}

function keyOf(mac: Uint8Array): string {
  return mac.join(":");
}
