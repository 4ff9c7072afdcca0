/** DNS messages, written by hand or by `dns-packet`: never by the code under test. */
import packet, { type Answer } from "dns-packet";

/** A name of labels, byte by byte; a character is a byte. */
export const name = (text: string): number[] => [
  ...text
    .split(".")
    .filter(Boolean)
    .flatMap((label) => [label.length, ...Buffer.from(label, "latin1")]),
  0,
];

export interface QueryFields {
  id?: number;
  flags?: number;
  qclass?: number;
  /** The UDP size of an OPT record. */
  edns?: number;
  version?: number;
  /** The lower half of the OPT record's TTL. */
  ednsFlags?: number;
  options?: number[];
}

/** A question, byte by byte. */
export function query(text: string, type: number, fields: QueryFields = {}): Uint8Array {
  const { id = 0xabcd, flags = 0x0100, qclass = 1, edns, version = 0, ednsFlags = 0, options = [] } = fields;
  const opt =
    edns === undefined
      ? []
      : [
          ...[0, 0, 41, edns >> 8, edns & 255, 0, version, ednsFlags >> 8, ednsFlags & 255, 0, options.length],
          ...options,
        ];
  return Uint8Array.from([
    ...[id >> 8, id & 255, flags >> 8, flags & 255, 0, 1, 0, 0, 0, 0, 0, edns === undefined ? 0 : 1],
    ...name(text),
    ...[type >> 8, type & 255, qclass >> 8, qclass & 255],
    ...opt,
  ]);
}

export interface AnswerFields {
  /** Flags beside QR, RA and the question's RD, the response code among them. */
  flags?: number;
  answers?: Answer[];
  authorities?: Answer[];
  additionals?: Answer[];
}

/** What a name server says to a query; by `dns-packet`. */
export function answerTo(asked: Uint8Array, fields: AnswerFields = {}): Uint8Array {
  const { id, questions, flags = 0 } = packet.decode(Buffer.from(asked));
  const bytes = packet.encode({
    type: "response",
    id: id ?? 0,
    flags: (flags & 0x0110) | 0x0080 | (fields.flags ?? 0),
    questions: questions ?? [],
    answers: fields.answers ?? [],
    authorities: fields.authorities ?? [],
    additionals: fields.additionals ?? [],
  });
  bytes[3] |= (fields.flags ?? 0) & 15; // what it leaves out of its own
  return Uint8Array.from(bytes);
}

/** A query read by `dns-packet`. */
export const decode = (bytes: Uint8Array): packet.DecodedPacket => packet.decode(Buffer.from(bytes));

export const A = (text: string, address: string, ttl = 300): Answer => ({ type: "A", name: text, ttl, data: address });

export const SOA = (zone: string, ttl: number, minimum: number): Answer => ({
  type: "SOA",
  name: zone,
  ttl,
  data: { mname: "ns.test", rname: "root.test", serial: 1, refresh: 2, retry: 3, expire: 4, minimum },
});

/** id, flags, and the counts. */
export const head = (answer: Uint8Array): string => Buffer.from(answer.subarray(0, 12)).toString("hex");

export const settled = async (): Promise<void> => {
  for (let i = 0; i < 12; i++) await Promise.resolve();
};
