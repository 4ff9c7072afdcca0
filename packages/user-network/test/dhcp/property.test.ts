/**
 * Whatever clients do, DHCP's promises hold, kept in a ledger that knows nothing of the server: an address leased is
 * nobody else's until its time is over or its owner gives it up; an address offered is kept a minute for whom it was
 * offered; the gateway, the name server and what somebody declined are given to nobody.
 */
import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { expect, test } from "vitest";
import { bench } from "../support/test-guest.ts";
import { GATEWAY_MAC, udpFrame } from "../support/wire-test.ts";

const LEASE_MS = 100_000;
const NET = 0x0a000200;
/** A pool of 10.0.2.4 to 10.0.2.14 with the gateway and the name server amid: nine addresses for four clients. */
const OPTIONS = {
  ...{ subnet: "10.0.2.0/28", guest: "10.0.2.4", gateway: "10.0.2.6", dns: "10.0.2.9", leaseSeconds: LEASE_MS / 1000 },
  gatewayMac: GATEWAY_MAC,
};
const POOL = [4, 5, 7, 8, 10, 11, 12, 13, 14];

interface Claim {
  client: number;
  kind: "offered" | "leased" | "declined";
  until: number;
}

function message(
  client: number,
  type: number | undefined,
  ciaddr: number,
  requested: number,
  server: number,
): Uint8Array {
  const bytes = new Uint8Array(300);
  const view = new DataView(bytes.buffer);
  bytes.set([1, 1, 6, 0]);
  view.setUint32(12, ciaddr === 0 ? 0 : NET + ciaddr);
  bytes.set([2, 0, 0, 0, 0, client], 28);
  view.setUint32(236, 0x6382_5363);
  const options: number[] = [];
  if (type !== undefined) options.push(53, 1, type);
  if (requested !== 0) options.push(50, 4, 10, 0, 2, requested);
  if (server !== 0) options.push(54, 4, 10, 0, 2, server);
  bytes.set([...options, 255], 240);
  return udpFrame(68, 67, bytes, { source: 0, destination: 0xffff_ffff });
}

const client = fc.nat(3);
const address = fc.constantFrom(0, 3, 4, 4, 5, 5, 6, 7, 9, 14, 15);
const step = fc.oneof(
  fc.record({ do: fc.constant("discover" as const), client, address }),
  fc.record({ do: fc.constant("request" as const), client, address, server: fc.constantFrom(0, 6, 6, 7) }),
  fc.record({ do: fc.constant("renew" as const), client, address }),
  fc.record({ do: fc.constant("release" as const), client, address }),
  fc.record({ do: fc.constant("decline" as const), client, address }),
  fc.record({ do: fc.constant("bootp" as const), client }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(0, 1, 59_999, 60_000, 99_999, LEASE_MS, 600_000) }),
);

test("an address has one owner at a time", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { guest, clock, network } = bench(OPTIONS);
      const ledger = new Map<number, Claim>();
      const claimOf = (at: number): Claim | undefined => {
        const claim = ledger.get(at);
        return claim === undefined || claim.until <= clock.time ? undefined : claim;
      };
      /** The answer's type (undefined of BOOTP) and address; undefined for silence. */
      const send = (frame: Uint8Array): { type: number | undefined; address: number } | undefined => {
        guest.send(frame);
        const [answer] = guest.got();
        if (answer === undefined) return undefined;
        const given = answer.view.getUint32(42 + 16);
        const type = answer.view.getUint8(42 + 240) === 53 ? answer.view.getUint8(42 + 242) : undefined;
        return { type, address: given === 0 ? 0 : given - NET };
      };
      const give = (to: number, at: number, kind: "offered" | "leased"): void => {
        expect(POOL).toContain(at);
        const claim = claimOf(at);
        expect(claim?.client ?? to).toBe(to);
        for (const [other, { client, kind }] of ledger) {
          if (client === to && other !== at && kind !== "declined") ledger.delete(other); // one each
        }
        if (kind === "offered" && claim?.kind === "leased") return; // it has it already
        ledger.set(at, { client: to, kind, until: clock.time + (kind === "leased" ? LEASE_MS : 60_000) });
      };
      for (const next of steps) {
        switch (next.do) {
          case "wait":
            clock.advance(next.ms);
            break;
          case "discover": {
            const offer = send(message(next.client, 1, 0, next.address, 0));
            expect(offer?.type).toBe(2); // there are more addresses than clients, unless they were declined
            give(next.client, offer!.address, "offered");
            break;
          }
          case "bootp": {
            const answer = send(message(next.client, undefined, 0, 0, 0));
            expect(answer?.type).toBeUndefined();
            give(next.client, answer!.address, "leased");
            break;
          }
          case "request":
          case "renew": {
            const isRenewal = next.do === "renew";
            const server = next.do === "request" ? next.server : 0;
            const answer = send(
              message(next.client, 3, isRenewal ? next.address : 0, isRenewal ? 0 : next.address, server),
            );
            if (server === 7) {
              expect(answer).toBeUndefined();
              break;
            }
            const owner = claimOf(next.address)?.client ?? next.client;
            const isDeclined = claimOf(next.address)?.kind === "declined";
            const may = POOL.includes(next.address) && owner === next.client && !isDeclined;
            expect(answer).toEqual({ type: may ? 5 : 6, address: may ? next.address : 0 });
            if (may) give(next.client, next.address, "leased");
            break;
          }
          case "release":
          case "decline": {
            const isRelease = next.do === "release";
            const at = next.address;
            const frame = message(next.client, isRelease ? 7 : 4, isRelease ? at : 0, isRelease ? 0 : at, 6);
            expect(send(frame)).toBeUndefined();
            const claim = claimOf(at);
            if (claim === undefined || claim.client !== next.client || claim.kind === "declined") break;
            if (isRelease) ledger.delete(at);
            else ledger.set(at, { client: -1, kind: "declined", until: clock.time + 600_000 });
          }
        }
      }
      clock.advance(600_000);
      expect(clock.pending).toBe(0);
      network.close();
    }),
    propertyOptions(200),
  );
});
