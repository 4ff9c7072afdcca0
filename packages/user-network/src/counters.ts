/**
 * Counters of a user-mode network: plain numbers, readable while it runs.
 * @module
 */

/** Tables of a network with a limit. */
export const TABLES = [
  "tcp",
  "udp",
  "udpSenders",
  "fragments",
  "leases",
  "neighbours",
  "arp",
  "dns",
  "dnsCache",
  "tftp",
] as const;

/** A table of a network with a limit. */
export type UserNetworkTable = (typeof TABLES)[number];

/** Counters of a table. */
export interface UserNetworkTableCounters {
  /** Entries evicted because the table was full. */
  evicted: number;
  /** Entries that ended because they were idle for too long. */
  expired: number;
}

/** Drop counters of traffic from and to guests, by reason. */
export interface UserNetworkDrops {
  /** Shorter than its headers, or than the length in a header. */
  malformed: number;
  /** Sent to a MAC address that is not the gateway's. */
  notForUs: number;
  /** Neither ARP nor IPv4. */
  etherType: number;
  /** An IP protocol other than ICMP, UDP and TCP. */
  protocol: number;
  /** The time to live expired at the gateway. */
  ttl: number;
  /** Wrong checksum. */
  checksum: number;
  /** A source address that is not a guest's. */
  spoofed: number;
  /** A destination or a name that the guest may not reach. */
  prohibited: number;
  /** A fragmented IP packet that overlaps, is too large, or was never completed. */
  fragment: number;
  /** A TCP segment that belongs to no connection, or lies outside the window. */
  tcpUnexpected: number;
  /** A UDP datagram that is too large, that answers a host which wants no answer, or that no guest asked for. */
  udp: number;
  /** A frame for the guest that found the queue full, or a frame or connection for a guest that is not there. */
  toGuest: number;
}

/** Counters of a user-mode network since its creation. */
export interface UserNetworkCounters {
  /** Frames and bytes taken from the guest, segments of a large frame counting as one. */
  framesFromGuest: number;
  bytesFromGuest: number;
  /** Frames and bytes the guest took. */
  framesToGuest: number;
  bytesToGuest: number;
  /** ARP requests answered. */
  arpAnswered: number;
  /** Echo requests answered. */
  echoAnswered: number;
  /** ICMP errors sent to the guest. */
  icmpErrors: number;
  /** DHCP messages answered. */
  dhcpAnswered: number;
  /** Addresses that guests declined because they were in use. */
  dhcpDeclined: number;
  /** DNS questions answered; those answered from the cache; questions sent to the host's servers. */
  dnsAnswered: number;
  dnsCached: number;
  dnsForwarded: number;
  /** Datagrams for the TFTP server. */
  tftpReceived: number;
  /** Datagrams sent to hosts, and received from them. */
  udpToHost: number;
  udpFromHost: number;
  /** Connections opened by guests, accepted for guests, and currently opening or open. */
  tcpOpened: number;
  tcpAccepted: number;
  tcpActive: number;
  /** Connections cut by an RST from either side. */
  tcpReset: number;
  /** TCP payload bytes from guests, and to them. */
  tcpBytesFromGuest: number;
  tcpBytesToGuest: number;
  /** Segments retransmitted because the guest did not acknowledge them. */
  tcpRetransmitted: number;
  /** Probes of a closed window of the guest. */
  tcpProbes: number;
  /** Times the guest's side was full and frames waited. */
  guestFull: number;
  /** Times the trace function threw. */
  traceThrew: number;
  /** Entries ended by tables with a limit, by table. */
  readonly tables: Readonly<Record<UserNetworkTable, UserNetworkTableCounters>>;
  /** Calls of the options' callbacks and of the host's sockets that threw or returned an invalid value. */
  faults: number;
  /** Drops by reason. */
  dropped: UserNetworkDrops;
}

/** Counters at zero. */
export function newCounters(): UserNetworkCounters {
  return {
    framesFromGuest: 0,
    bytesFromGuest: 0,
    framesToGuest: 0,
    bytesToGuest: 0,
    arpAnswered: 0,
    echoAnswered: 0,
    icmpErrors: 0,
    dhcpAnswered: 0,
    dhcpDeclined: 0,
    dnsAnswered: 0,
    dnsCached: 0,
    dnsForwarded: 0,
    tftpReceived: 0,
    udpToHost: 0,
    udpFromHost: 0,
    tcpOpened: 0,
    tcpAccepted: 0,
    tcpActive: 0,
    tcpReset: 0,
    tcpBytesFromGuest: 0,
    tcpBytesToGuest: 0,
    tcpRetransmitted: 0,
    tcpProbes: 0,
    guestFull: 0,
    traceThrew: 0,
    tables: Object.fromEntries(TABLES.map((table) => [table, { evicted: 0, expired: 0 }])) as Record<
      UserNetworkTable,
      UserNetworkTableCounters
    >,
    faults: 0,
    dropped: {
      malformed: 0,
      notForUs: 0,
      etherType: 0,
      protocol: 0,
      ttl: 0,
      checksum: 0,
      spoofed: 0,
      prohibited: 0,
      fragment: 0,
      tcpUnexpected: 0,
      udp: 0,
      toGuest: 0,
    },
  };
}
