/**
 * A DHCP server (RFC 2131) for the guests of one network: one address per MAC address. It also answers BOOTP (RFC 951,
 * RFC 1534): a BOOTP guest keeps its address for the length of a lease, and longer while it is heard.
 * @module
 */

import { formatIpv4, IPV4_BROADCAST, isHostOf } from "../ip/addresses.ts";
import { BROADCAST_MAC, type Stack } from "../stack.ts";
import { UDP_HEADER } from "../wire.ts";
import { type Boot, readBoot } from "./boot.ts";
import { formatMac, Leases } from "./leases.ts";
import {
  BOOTP,
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
  OPTION_BOOT_FILE,
  OPTION_BOOT_SERVER,
  OPTION_BROADCAST,
  OPTION_CLIENT_ID,
  OPTION_DNS,
  OPTION_DOMAIN,
  OPTION_HOSTNAME,
  OPTION_LEASE_TIME,
  OPTION_MESSAGE,
  OPTION_MTU,
  OPTION_ROUTER,
  OPTION_SERVER,
  OPTION_SUBNET_MASK,
  readDhcp,
} from "./message.ts";

/** The port of the server (RFC 2131, 4.1). */
export const DHCP_SERVER_PORT = 67;
const DHCP_CLIENT_PORT = 68;
const MAX_REPLY = 1024;

/** The DHCP server of one network. */
export class Dhcp {
  readonly leases: Leases;
  readonly #stack: Stack;

  constructor(stack: Stack) {
    this.#stack = stack;
    this.leases = new Leases(stack);
  }

  /** Takes a message that a client sent to the server's port. */
  receive(message: Uint8Array): void {
    const { config, counters } = this.#stack;
    const request = readDhcp(message);
    if (request === undefined || request.relay !== 0) {
      counters.dropped.malformed++;
      return;
    }
    const owner = formatMac(request.mac);
    switch (request.type) {
      case BOOTP:
        this.#bootp(request, owner);
        break;
      case DHCP_DISCOVER: {
        const address = this.leases.offer(owner, request.requested);
        if (address !== 0) this.#answer(request, DHCP_OFFER, address); // else no answer: another server may have one
        break;
      }
      case DHCP_REQUEST:
        this.#request(request, owner);
        break;
      case DHCP_INFORM:
        if (isHostOf(request.clientAddress, config.subnet)) this.#answer(request, DHCP_ACK, 0);
        break;
      case DHCP_RELEASE:
        this.leases.release(owner, request.clientAddress);
        break;
      case DHCP_DECLINE:
        if (this.leases.decline(owner, request.requested)) counters.dhcpDeclined++;
        break;
    }
  }

  /** Forgets all leases. */
  clear(): void {
    this.leases.clear();
  }

  /** A client that knows its address asks only for the rest (RFC 951, 3). */
  #bootp(request: DhcpRequest, owner: string): void {
    if (request.clientAddress !== 0) {
      if (isHostOf(request.clientAddress, this.#stack.config.subnet)) this.#answer(request, BOOTP, 0);
      return;
    }
    const address = this.leases.offer(owner, 0);
    if (address !== 0 && this.leases.take(owner, address)) this.#answer(request, BOOTP, address);
  }

  /** RFC 2131, 4.3.2: a client that selects, reboots, renews or rebinds. */
  #request(request: DhcpRequest, owner: string): void {
    if (request.server !== 0 && request.server !== this.#stack.config.gateway) return; // it chose another server
    const wanted = request.requested !== 0 ? request.requested : request.clientAddress;
    if (this.leases.take(owner, wanted)) this.#answer(request, DHCP_ACK, wanted);
    else this.#answer(request, DHCP_NAK, 0, `${formatIpv4(wanted)} is not free here`);
  }

  #answer(request: DhcpRequest, type: number, address: number, message?: string): void {
    const stack = this.#stack;
    const { config } = stack;
    const reply = new DhcpReply(stack.payload.subarray(UDP_HEADER, UDP_HEADER + MAX_REPLY), request, type, address);
    if (type !== BOOTP) reply.uint32(OPTION_SERVER, config.gateway);
    if (message !== undefined) reply.text(OPTION_MESSAGE, message);
    if (request.clientId !== undefined) reply.bytes(OPTION_CLIENT_ID, request.clientId); // RFC 6842
    if (type !== DHCP_NAK) this.#configure(request, reply, address !== 0 && type !== BOOTP);
    const length = reply.end();

    // The destination: RFC 2131, 4.1. A client without an address accepts a frame to its MAC address unless it sets the
    // broadcast flag.
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

  /** Adds the guest's configuration, the most important options first: those that do not fit are left out. */
  #configure(request: DhcpRequest, reply: DhcpReply, isLeased: boolean): void {
    const { config } = this.#stack;
    const boot = this.#bootOf(request);
    reply.boot(boot?.server ?? config.gateway, boot?.serverName ?? "", boot?.file ?? "");
    if (isLeased) reply.uint32(OPTION_LEASE_TIME, config.leaseSeconds);
    reply.uint32(OPTION_SUBNET_MASK, config.subnet.mask);
    reply.uint32(OPTION_ROUTER, config.gateway);
    reply.uint32(OPTION_DNS, config.dns);
    if (boot !== undefined && request.type !== BOOTP) {
      reply.text(OPTION_BOOT_SERVER, boot.serverName);
      if (boot.file !== undefined) reply.text(OPTION_BOOT_FILE, boot.file);
    }
    reply.uint16(OPTION_MTU, config.mtu);
    reply.uint32(OPTION_BROADCAST, config.subnet.broadcast);
    if (config.hostname !== undefined) reply.text(OPTION_HOSTNAME, config.hostname);
    if (config.domain !== undefined) reply.text(OPTION_DOMAIN, config.domain);
  }

  /** The boot information for a guest; none if the user's function fails. */
  #bootOf({ mac, architecture, vendorClass, userClasses }: DhcpRequest): Boot | undefined {
    const { boot, gateway } = this.#stack.config;
    if (typeof boot !== "function") return boot;
    try {
      const answer = boot({ mac: formatMac(mac), architecture, vendorClass, userClasses });
      return answer === undefined ? undefined : readBoot(answer, gateway);
    } catch (cause) {
      this.#stack.report("CALLBACK_FAILED", "boot threw, or answered what can't be", cause);
      return undefined;
    }
  }
}
