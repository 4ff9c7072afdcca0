/**
 * Progress under abuse: whatever a guest has done, an honest connection, an honest name and an honest datagram get
 * through within a second of the clock; and when the last socket has ended and time has passed, nothing is left: no
 * socket of the host, no entry of a table (each keeps a timer), no timer.
 */
import { rounds, seed } from "@virtio-ts/rounds";
import { describe, expect, test } from "vitest";
import { query, settled } from "./dns/messages.ts";
import { ABUSES, Attack, HONEST_HOST, HONEST_NAME } from "./support/abuse.ts";
import { ACK, FIN, SYN } from "./support/test-guest.ts";
import { DNS, ipv4Frame, tcpFrame, udpFrame } from "./support/wire-test.ts";

const HOST_TEXT = "1.1.1.1";
const PING = Uint8Array.from(Buffer.from("ping"));
const PONG = Uint8Array.from(Buffer.from("pong"));

/** Lets a second pass, in small steps, until something is so. */
async function withinASecond(a: Attack, what: string, isSo: () => boolean): Promise<void> {
  for (let ms = 0; ms <= 1000; ms += 50) {
    a.host.run();
    await settled();
    if (isSo()) return;
    a.clock.advance(50);
  }
  throw new Error(`not within a second: ${what}`);
}

async function honestConnection(a: Attack): Promise<void> {
  const fromPort = a.freshPort();
  const ends = { destination: HONEST_HOST, fromPort, toPort: 7 };
  const mine = (flags: number) => a.seen.find((s) => s.protocol === 6 && s.toPort === fromPort && s.flags & flags);
  a.seen = [];
  a.send(tcpFrame({ ...ends, sequence: 100, flags: SYN }));
  await withinASecond(a, "a SYN is answered", () => mine(SYN) !== undefined);
  const acknowledged = ((mine(SYN)?.sequence ?? 0) + 1) >>> 0;
  const tcp = a.host.connections.findLast(({ address, over }) => address === HOST_TEXT && !over);
  expect(tcp).toBeDefined();
  a.send(tcpFrame({ ...ends, sequence: 101, acknowledged, flags: ACK, data: PING }));
  await withinASecond(a, "a host gets what was sent", () => tcp!.receivedLength === 4);
  a.seen = [];
  tcp!.send(PONG);
  tcp!.finish();
  tcp!.read(2);
  await withinASecond(a, "a guest gets what was sent, and the end", () => mine(FIN) !== undefined);
  const text = a.seen
    .filter((s) => s.protocol === 6 && s.toPort === fromPort)
    .map(({ bytes }) => Buffer.from(bytes.subarray(54)).toString())
    .join("");
  expect(text).toBe("pong");
  a.send(tcpFrame({ ...ends, sequence: 105, acknowledged: acknowledged + 5, flags: FIN | ACK }));
  await withinASecond(a, "both have ended", () => tcp!.over);
}

async function honestName(a: Attack): Promise<void> {
  const port = a.freshPort();
  a.seen = [];
  a.send(udpFrame(port, 53, query(HONEST_NAME, 1), { destination: DNS }));
  await withinASecond(a, "a name is answered", () => {
    const answer = a.seen.find((s) => s.protocol === 17 && s.source === DNS && s.toPort === port);
    return answer !== undefined && [192, 0, 2, 77].every((byte, i) => answer.bytes.at(i - 4) === byte);
  });
}

/** In two fragments, for there is a table of those too. */
async function honestDatagram(a: Attack): Promise<void> {
  const port = a.freshPort();
  const ping = Uint8Array.of(port >> 8, port & 255, 1, 2); // its flow may be one that abuse has begun
  const datagram = udpFrame(port, 7, ping, { destination: HONEST_HOST }).subarray(34);
  for (const [from, fragment] of [
    [0, 0x2000],
    [8, 1],
  ]) {
    const fields = { destination: HONEST_HOST, id: 0xbeef, fragment };
    a.send(ipv4Frame(datagram.slice(from, from === 0 ? 8 : undefined), fields));
  }
  const socket = a.host.sockets.find(({ sent }) => Buffer.from(sent.at(-1)?.bytes ?? []).equals(ping));
  expect(socket?.sent.at(-1)).toMatchObject({ address: HOST_TEXT, port: 7 });
  a.seen = [];
  socket?.handlers.message(PONG, HOST_TEXT, 7);
  await withinASecond(a, "a datagram is answered", () =>
    a.seen.some((s) => s.protocol === 17 && s.source === HONEST_HOST && s.toPort === port),
  );
}

async function honestEnds(a: Attack): Promise<void> {
  a.isStuck = false;
  a.network.resume();
  await honestConnection(a);
  await honestName(a);
  await honestDatagram(a);
  a.prune();
}

/** All that the host still holds ends, and time passes. */
async function afterwards(a: Attack): Promise<void> {
  a.isStuck = false;
  a.network.resume();
  for (const tcp of a.host.connections) tcp.fail("reset");
  a.host.run();
  await settled();
  a.seen = [];
  a.clock.advance(2 * 86_400_000);
  a.host.run();
  expect(a.host.connections.filter(({ over }) => !over).length).toBe(0);
  expect(a.host.sockets.filter(({ closed }) => !closed).length).toBe(0);
  expect(a.network.counters.tcpActive).toBe(0);
  expect(a.network.counters.faults).toBe(0);
  expect(a.clock.pending).toBe(0);
}

/** Small tables are full soon; those of every day need a thousand. */
const SMALL = { tcpConnections: 8, tcpBacklog: 4, udpFlows: 4, dnsPending: 4, fragmentedPackets: 2 };

describe("whatever a guest has done, the honest get through, and in the end nothing is left", () => {
  test.each(Object.entries(ABUSES))("%s", async (_name, abuse) => {
    for (const limits of [SMALL, {}]) {
      const a = new Attack(1, { limits });
      for (let i = 0; i < (limits === SMALL ? 300 : 1300); i++) abuse(a);
      await honestEnds(a);
      await afterwards(a);
      a.network.close();
    }
  });

  test("any mix of it", async () => {
    const first = seed();
    const names = Object.keys(ABUSES);
    const operations = rounds(4000);
    for (let done = 0, game = first; done < operations; game++) {
      const a = new Attack(game, { limits: game % 2 === 0 ? SMALL : {} });
      let last = "";
      try {
        for (let turn = 0; turn < 20; turn++) {
          for (let n = 10 + a.below(190); n > 0; ) {
            last = names[a.below(names.length)];
            for (let burst = 1 + a.below(30); burst > 0 && n > 0; burst--, n--, done++) ABUSES[last](a);
            a.host.run();
            if (a.below(4) === 0) a.clock.advance(a.below(a.below(10) === 0 ? 100_000 : 300));
          }
          await honestEnds(a);
        }
        await afterwards(a);
      } catch (cause) {
        throw new Error(`VIRTIO_TS_SEED=${game} plays it again; the last abuse was ${last}`, { cause });
      }
      a.network.close();
    }
  });
});
