/** What tests of TCP share: connections opened by hand, one segment at a time. */
import type { MemoryTcp } from "../support/memory-host.ts";
import { ACK, type Bench, bench, type Segment, SYN, segmentOf } from "../support/test-guest.ts";
import { WORLD } from "../support/wire-test.ts";

/** MSS 1460, scale 7. */
export const SYN_OPTIONS: Uint8Array = Uint8Array.of(2, 4, 5, 180, 1, 3, 3, 7);

export interface SendFields {
  flags: number;
  sequence: number;
  acknowledged?: number;
  data?: Uint8Array;
  window?: number;
}

export interface Open {
  b: Bench;
  host: MemoryTcp;
  /** The network's sequence number after its SYN. */
  theirs: number;
  /** Sends a segment whose acknowledgement is all we have heard of unless said. */
  send(fields: SendFields): void;
}

/** A connection on a bench, from `port`, that has sent its SYN with sequence number 999: its first byte is 1000. */
export function openOn(b: Bench, port = 50_000, destination: number = WORLD): Open {
  const at = b.host.connections.length;
  b.guest.tcp({ fromPort: port, toPort: 80, sequence: 999, flags: SYN, options: SYN_OPTIONS, destination });
  b.host.run();
  const frames = b.guest.got().filter(({ protocol }) => protocol === 6);
  const answer = frames.map(segmentOf).find(({ toPort }) => toPort === port);
  if (answer === undefined) throw new Error(`the SYN of port ${port} got no answer`);
  const theirs = (answer.sequence + 1) >>> 0;
  const send: Open["send"] = (fields) =>
    b.guest.tcp({ fromPort: port, toPort: 80, acknowledged: theirs, window: 512, destination, ...fields });
  send({ flags: ACK, sequence: 1000 });
  b.host.run();
  return { b, host: b.host.connections[at], theirs, send };
}

/** A connection from port 50000 on a bench of its own. */
export function open(options: Parameters<typeof bench>[0] = {}): Open {
  return openOn(bench(options));
}

/** The segments the guest has got, and forgets. */
export function segments(b: Bench): Segment[] {
  return b.guest.got().map(segmentOf);
}
