/**
 * Local answers: the network's own names and their addresses, zones that exist on no server (RFC 6303, RFC 6761, RFC
 * 7686), and questions that are never forwarded.
 *
 * Of the reverse zones of private addresses only the network's own is answered here: a guest reaches the host's private
 * networks, so the host's servers answer for them.
 * @module
 */

import type { UserNetworkConfig } from "../config.ts";
import { inSubnet } from "../ip/addresses.ts";
import { addressRecord, asks, nameRecord, readReverse } from "./names.ts";
import type { DnsQuestion } from "./question.ts";
import { type DnsReply, ownReply } from "./reply.ts";
import {
  RCODE_BAD_VERSION,
  RCODE_FORMAT_ERROR,
  RCODE_NO_SUCH_NAME,
  RCODE_OK,
  RCODE_REFUSED,
  TYPE_A,
  TYPE_AAAA,
  TYPE_AXFR,
  TYPE_IXFR,
  TYPE_OPT,
  TYPE_PTR,
} from "./wire.ts";

const TTL = 60;
const LOCALHOST = "localhost";
const LOOPBACK = "127.0.0.1";

/** Zones that exist on no server. */
const EMPTY_ZONES: readonly string[] = [
  "invalid",
  "onion",
  // RFC 6303, 4.2: this network, loopback, link-local, documentation, broadcast.
  "0.in-addr.arpa",
  "127.in-addr.arpa",
  "254.169.in-addr.arpa",
  "2.0.192.in-addr.arpa",
  "100.51.198.in-addr.arpa",
  "113.0.203.in-addr.arpa",
  "255.255.255.255.in-addr.arpa",
  // RFC 6303, 4.3, 4.5, 4.6: unspecified, loopback, link-local, documentation.
  `${"0.".repeat(32)}ip6.arpa`,
  `1.${"0.".repeat(31)}ip6.arpa`,
  "8.e.f.ip6.arpa",
  "9.e.f.ip6.arpa",
  "a.e.f.ip6.arpa",
  "b.e.f.ip6.arpa",
  "8.b.d.0.1.0.0.2.ip6.arpa",
];

/** The answer to a question that needs no other server; `undefined` for all others. */
export function answerHere(question: DnsQuestion, config: UserNetworkConfig): DnsReply | undefined {
  const { name, type, edns } = question;
  if (edns !== undefined && edns.version > 0) return ownReply(question, RCODE_BAD_VERSION);
  if (type === TYPE_OPT) return ownReply(question, RCODE_FORMAT_ERROR);
  // Other classes do not concern us, and a zone transfer is not a single message.
  if (!question.internet || type === TYPE_AXFR || type === TYPE_IXFR) return ownReply(question, RCODE_REFUSED);

  const address = config.names.get(name) ?? (isWithin(name, LOCALHOST) ? LOOPBACK : undefined);
  if (address !== undefined)
    return ownReply(question, RCODE_OK, asks(type, TYPE_A) ? [addressRecord(address, TTL)] : []);
  const reverse = answerReverse(question, config);
  if (reverse !== undefined) return reverse;
  for (const zone of EMPTY_ZONES) {
    if (isWithin(name, zone)) return ownReply(question, name === zone ? RCODE_OK : RCODE_NO_SUCH_NAME);
  }
  // There is no IPv6: a guest would try the address in vain. A guest that validates DNSSEC gets the real answer.
  if (type === TYPE_AAAA && edns?.dnssecOk !== true) return ownReply(question, RCODE_OK);
  return undefined;
}

/** Answers for names in in-addr.arpa of configured addresses, and of the network's own: no other server knows those. */
function answerReverse(question: DnsQuestion, config: UserNetworkConfig): DnsReply | undefined {
  const found = readReverse(question.name);
  if (found === undefined) return undefined;
  const { address, octets, isWhole } = found;
  const owner = isWhole && octets === 4 ? config.owners.get(address) : undefined;
  if (owner !== undefined) {
    return ownReply(question, RCODE_OK, asks(question.type, TYPE_PTR) ? [nameRecord(owner, TTL)] : []);
  }
  if (octets * 8 < config.subnet.bits || !inSubnet(address, config.subnet)) return undefined;
  return ownReply(question, isWhole && octets < 4 ? RCODE_OK : RCODE_NO_SUCH_NAME);
}

/** Whether a name equals a zone, or lies below it. */
function isWithin(name: string, zone: string): boolean {
  return name === zone || name.endsWith(`.${zone}`);
}
