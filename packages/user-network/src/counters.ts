/**
 * What a user-mode network counts: plain numbers, to look at while it runs.
 * @module
 */

/** Tables of a network that have a limit. */
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

/** A table of a network that has a limit. */
export type UserNetworkTable = (typeof TABLES)[number];

/** What a table counts. */
export interface UserNetworkTableCounters {
  /** Entries that gave way to others, for the table was full. */
  evicted: number;
  /** Entries that nobody used for too long. */
  expired: number;
}

/** Reasons to drop what a guest sent, or what was meant for it. */
export interface UserNetworkDrops {
  /** Shorter than its headers, or than a header says. */
  malformed: number;
  /** Sent to a MAC address that is not the gateway's. */
  notForUs: number;
  /** Neither ARP nor IPv4. */
  etherType: number;
  /** An IP protocol other than ICMP, UDP and TCP. */
  protocol: number;
  /** Its time to live would have ended on the way. */
  ttl: number;
  /** A checksum was wrong. */
  checksum: number;
  /** A source address that is not a guest's. */
  spoofed: number;
  /** A destination no guest may reach, a name none may ask for. */
  prohibited: number;
  /** An IP fragment that overlaps, is too much, or never got whole. */
  fragment: number;
  /** A TCP segment that fits no connection, or lies outside the window. */
  tcpUnexpected: number;
  /** A UDP datagram above the limit of flows, or from someone who was not asked. */
  udp: number;
  /** A frame for the guest that waited in a full queue, or a frame or a connection that had no guest to go to. */
  toGuest: number;
}

/** What a user-mode network counts, since it was made. */
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
  /** Addresses that guests declined, for someone else had them. */
  dhcpDeclined: number;
  /** DNS questions answered; of those, answered by what was still known; questions put to the host's servers. */
  dnsAnswered: number;
  dnsCached: number;
  dnsForwarded: number;
  /** Datagrams for the TFTP server. */
  tftpReceived: number;
  /** Datagrams sent to hosts, and brought back. */
  udpToHost: number;
  udpFromHost: number;
  /** Connections asked for by guests, accepted for them, and now being opened or standing. */
  tcpOpened: number;
  tcpAccepted: number;
  tcpActive: number;
  /** Connections that were cut by an RST, of whichever side. */
  tcpReset: number;
  /** Payload bytes of TCP from guests, and to them. */
  tcpBytesFromGuest: number;
  tcpBytesToGuest: number;
  /** Segments sent again, for the guest did not acknowledge them. */
  tcpRetransmitted: number;
  /** Probes of a window the guest had closed. */
  tcpProbes: number;
  /** Times the guest's side was full, and frames waited. */
  guestFull: number;
  /** Times the trace function threw. */
  traceThrew: number;
  /** Entries that tables with a limit have ended, by table. */
  readonly tables: Readonly<Record<UserNetworkTable, UserNetworkTableCounters>>;
  /** Calls of the options' callbacks and of the host's sockets that threw, or answered what they must not. */
  faults: number;
  /** What was dropped, by reason. */
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
