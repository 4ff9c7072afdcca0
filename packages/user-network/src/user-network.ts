/**
 * A network for guests that needs no privileges on the host: traffic of guests to the outside goes through ordinary
 * sockets, as with QEMU's `-netdev user` (whose addresses are the defaults), slirp or passt.
 *
 * Answers to the guest's frames are collected and handed over in one burst at the end of {@link UserNetwork.take}:
 * `peer.take` is called within our own `take`, but only after all its frames are processed.
 * @module
 */

import { type FrameBurst, type NetBackend, type NetPort, OFFLOAD_ALL } from "@virtio-ts/net-link";
import { type Clock, type Random, systemClock, systemRandom } from "./clock.ts";
import { type ForwardOptions, readOptions, type UserNetworkConfig, type UserNetworkOptions } from "./config.ts";
import type { UserNetworkCounters } from "./counters.ts";
import { Dhcp } from "./dhcp/dhcp.ts";
import { Tftp } from "./dhcp/tftp.ts";
import { Dns } from "./dns/dns.ts";
import { UserNetworkError } from "./errors.ts";
import { checkOverlap, type Forward, type ForwardPlan, listenError, planForward } from "./forwards.ts";
import type { HostListener, HostSockets } from "./host-sockets.ts";
import { formatIpv4 } from "./ip/addresses.ts";
import { Icmp } from "./ip/icmp.ts";
import { Ipv4 } from "./ip/ipv4.ts";
import { Arp } from "./link/arp.ts";
import { Packet } from "./link/packet.ts";
import { Stack } from "./stack.ts";
import { Tcp } from "./tcp/tcp.ts";
import { UdpForwards } from "./udp/forwards.ts";
import { Udp } from "./udp/udp.ts";
import { ETH_HEADER, ETH_TYPE, ETH_TYPE_ARP, ETH_TYPE_IPV4 } from "./wire.ts";

/** Arguments of a {@link UserNetwork}. */
export interface UserNetworkSetup {
  /** The sockets of the host. */
  readonly host: HostSockets;
  /** Options; all have defaults. */
  readonly options?: UserNetworkOptions;
  /** The clock; the platform's by default. */
  readonly clock?: Clock;
  /** The random numbers; the platform's by default. */
  readonly random?: Random;
}

/** A user-mode network, the backend for a NIC. */
export class UserNetwork implements NetBackend {
  /** All: large segments and missing checksums are fine, because the network never sends them on as frames. */
  readonly accepts: number = OFFLOAD_ALL;
  readonly mtu: number;
  readonly mac?: Uint8Array;
  /**
   * The forwards of the options, once they listen. Rejected with a {@link UserNetworkError} (`PORT_IN_USE`,
   * `LISTEN_FAILED`) if one of them can't listen. If the rejection is ignored, the network runs without that forward.
   */
  readonly ready: Promise<readonly Forward[]>;

  readonly #config: UserNetworkConfig;
  readonly #stack: Stack;
  readonly #arp: Arp;
  readonly #dhcp: Dhcp;
  readonly #dns: Dns;
  readonly #tftp: Tftp;
  readonly #udpForwards: UdpForwards;
  readonly #udp: Udp;
  readonly #tcp: Tcp;
  readonly #ipv4: Ipv4;
  readonly #packet = new Packet();
  readonly #plans = new Set<ForwardPlan>();
  readonly #listeners = new Set<HostListener>();
  #closed = false;

  /** @throws UserNetworkError for invalid options: `BAD_SUBNET`, `BAD_ADDRESS`, `BAD_VALUE`, `OVERLAPPING_FORWARDS` */
  constructor(setup: UserNetworkSetup) {
    if (typeof setup?.host !== "object" || setup.host === null) {
      const what = setup === undefined || setup === null ? "setup" : "setup.host";
      const given = String(what === "setup" ? setup : setup.host);
      throw new UserNetworkError(
        "BAD_VALUE",
        `${what} is ${given}: expected the machine's sockets, as { host: nodeHostSockets() }`,
      );
    }
    const options = setup.options ?? {};
    const config = readOptions(options);
    this.#config = config;
    this.mtu = config.mtu;
    if (config.guestMac !== undefined) this.mac = config.guestMac;
    const stack = new Stack(
      config,
      setup.host,
      setup.clock ?? systemClock,
      setup.random ?? systemRandom(),
      (egress) => this.#tcp.fill(egress),
      () => this.#tcp.toHosts(),
    );
    this.#stack = stack;
    this.#arp = new Arp(stack, () => this.#tcp.learned());
    const icmp = new Icmp(stack);
    const dns = new Dns(stack);
    this.#dns = dns;
    this.#dhcp = new Dhcp(stack);
    this.#udpForwards = new UdpForwards(stack, this.#arp);
    this.#tftp = new Tftp(stack, config.tftp);
    this.#udp = new Udp(stack, icmp, this.#arp, this.#dhcp, dns, this.#tftp, this.#udpForwards);
    this.#tcp = new Tcp(stack, icmp, dns, (guest) => this.#arp.ask(guest));
    this.#ipv4 = new Ipv4(stack, this.#arp, icmp, this.#udp, this.#tcp);

    const plans = (options.forwards ?? []).map((forward) => this.#plan(forward));
    this.ready = Promise.all(plans.map((plan) => this.#listen(plan)));
    this.ready.catch(() => {}); // an unobserved rejection must not end the process
  }

  /** Live counters, plain numbers. */
  get counters(): Readonly<UserNetworkCounters> {
    return this.#stack.counters;
  }

  /**
   * Adds a forward.
   * @throws UserNetworkError `BAD_ADDRESS`, `BAD_VALUE`, `OVERLAPPING_FORWARDS`, `PORT_IN_USE`, `LISTEN_FAILED`,
   * `CLOSED`
   */
  async forward(options: ForwardOptions): Promise<Forward> {
    return this.#listen(this.#plan(options));
  }

  attach(peer: NetPort): void {
    if (this.#closed) return;
    if (this.#stack.egress.peer !== undefined) this.detach(); // state of another link must not carry over
    this.#stack.egress.peer = peer;
  }

  /** The guest is gone: cuts its connections and drops its leases. Forwards keep listening for the next guest. */
  detach(): void {
    const { egress, neighbours } = this.#stack;
    this.#tcp.clear();
    this.#arp.clear();
    this.#udp.clear();
    this.#udpForwards.clear();
    this.#dhcp.clear();
    this.#dns.clear();
    this.#tftp.clear();
    this.#ipv4.clear();
    neighbours.clear();
    egress.detach();
  }

  /** Closes the network for good: no listener, no socket and no timer is left. */
  close(): void {
    this.#closed = true;
    this.detach();
    for (const listener of this.#listeners) listener.close();
    this.#listeners.clear();
    this.#plans.clear();
    this.#stack.timers.close();
  }

  /** Always takes all frames: TCP's windows limit what guests send, and other traffic may get lost. */
  take(burst: FrameBurst, first: number): number {
    const stack = this.#stack;
    const { counters } = stack;
    if (this.#closed || stack.egress.peer === undefined) return burst.count;
    stack.event(() => {
      for (let i = first; i < burst.count; i++) {
        counters.framesFromGuest++;
        counters.bytesFromGuest += burst.lengths[i];
        this.#packet.load(burst, i);
        this.#receive(this.#packet);
      }
      this.#packet.unload();
    });
    return burst.count;
  }

  resume(): void {
    const { egress } = this.#stack;
    this.#stack.event(() => egress.resume());
  }

  #receive(packet: Packet): void {
    const { dropped } = this.#stack.counters;
    if (packet.headLength < ETH_HEADER) {
      dropped.malformed++;
      return;
    }
    if (!this.#isForUs(packet.head)) {
      dropped.notForUs++;
      return;
    }
    const type = packet.view.getUint16(ETH_TYPE);
    if (type === ETH_TYPE_IPV4) this.#ipv4.receive(packet);
    else if (type === ETH_TYPE_ARP) this.#arp.receive(packet);
    else dropped.etherType++;
  }

  /** Whether a frame is sent to the gateway, or to a group it may be in. */
  #isForUs(head: Uint8Array): boolean {
    if ((head[0] & 1) !== 0) return true;
    const mac = this.#config.gatewayMac;
    for (let i = 0; i < 6; i++) if (head[i] !== mac[i]) return false;
    return true;
  }

  #plan(options: ForwardOptions): ForwardPlan {
    if (this.#closed) throw closedError();
    const plan = planForward(this.#config, options);
    checkOverlap(plan, this.#plans);
    this.#plans.add(plan);
    return plan;
  }

  async #listen(plan: ForwardPlan): Promise<Forward> {
    const { protocol, hostAddress, hostPort, guestPort } = plan;
    const guest = (): number => plan.guest ?? this.#theGuest();
    let listener: HostListener;
    try {
      const half = protocol === "tcp" ? this.#tcp : this.#udpForwards;
      listener = await half.listen(hostAddress, hostPort, guest, guestPort);
    } catch (cause) {
      this.#plans.delete(plan);
      throw listenError(plan, cause);
    }
    if (this.#closed) {
      listener.close();
      throw closedError();
    }
    this.#listeners.add(listener);
    return {
      protocol,
      hostAddress: listener.address,
      hostPort: listener.port,
      get guestAddress() {
        return formatIpv4(guest());
      },
      guestPort,
      close: () => {
        if (!this.#listeners.delete(listener)) return;
        this.#plans.delete(plan);
        listener.close();
      },
    };
  }

  /** The guest's address, for forwards without one. */
  #theGuest(): number {
    const { config, neighbours } = this.#stack;
    if (neighbours.find(config.guest) !== undefined) return config.guest;
    return this.#dhcp.leases.first ?? neighbours.only ?? config.guest;
  }
}

function closedError(): UserNetworkError {
  return new UserNetworkError("CLOSED", "the network is closed: expected one that is open");
}
