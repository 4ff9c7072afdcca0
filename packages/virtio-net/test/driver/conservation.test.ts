/** Whatever a device says of the packets it received and sent: no buffer is lost, and none is in two hands. */
import { DEFAULT_RING_FEATURES } from "@virtio-ts/virtio-device";
import fc from "fast-check";
import { expect, it } from "vitest";
import { NO_NETBUF, PacketBurst } from "../../src/index.ts";
import { frame } from "../support/nic.ts";
import { forgeUsed } from "./support/forge.ts";
import { headed, packetOf, setupStrict } from "./support/strict.ts";
import { F } from "./support/strict-nic.ts";

const COUNT = 24;
const header = fc.record({
  flags: fc.integer({ min: 0, max: 255 }),
  gsoType: fc.constantFrom(0, 0, 1, 4, 3, 0x81, 0x61),
  gsoSize: fc.integer({ min: 0, max: 2000 }),
  csumStart: fc.integer({ min: 0, max: 200 }),
  csumOffset: fc.integer({ min: 0, max: 60 }),
  numBuffers: fc.constantFrom(0, 1, 1, 1, 2, 3, 8, 9, 0xffff),
});
const step = fc.oneof(
  fc.record({
    do: fc.constant("deliver" as const),
    header,
    length: fc.integer({ min: 0, max: 1548 }),
    count: fc.integer({ min: 1, max: 9 }),
  }),
  fc.record({ do: fc.constant("receive" as const), max: fc.integer({ min: 1, max: 12 }) }),
  fc.record({
    do: fc.constant("send" as const),
    length: fc.integer({ min: 0, max: 1530 }),
    count: fc.integer({ min: 1, max: 10 }),
  }),
  fc.record({ do: fc.constant("forward" as const) }),
  fc.record({ do: fc.constant("release" as const) }),
  fc.record({ do: fc.constantFrom("complete", "hold", "restart") }),
  fc.record({
    do: fc.constant("forge" as const),
    queue: fc.integer({ min: 0, max: 1 }),
    id: fc.integer({ min: 0, max: 9 }),
    length: fc.constantFrom(0, 72, 1548, 1549),
  }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

it.each([
  ["modern", false, DEFAULT_RING_FEATURES, [F.MRG_RXBUF, F.GUEST_CSUM, F.GUEST_TSO4, F.CSUM, F.HOST_TSO4]],
  ["packed", false, DEFAULT_RING_FEATURES | (1n << 34n), [F.MRG_RXBUF, F.GUEST_CSUM]],
  ["legacy", true, DEFAULT_RING_FEATURES, []],
] as const)("of a %s device", async (name, legacy, ringFeatures, features) => {
  const run = async (steps: Step[]): Promise<void> => {
    const s = await setupStrict({ legacy, ringFeatures, device: { features, size: 8 }, buffers: COUNT });
    const [[rxq], [txq]] = [s.rxqs, s.txqs];
    const held: number[] = [];
    const burst = new PacketBurst(16);
    for (const now of steps) {
      if (now.do === "deliver") {
        const buffer = headed({ ...now.header, size: legacy ? 10 : 12 }, frame(200));
        s.device.deliver(0, ...new Array<[Uint8Array, number]>(now.count).fill([buffer, now.length]));
      } else if (now.do === "receive") {
        rxq.rxBurst(burst, now.max);
        held.push(...burst.packets.subarray(0, burst.count));
      } else if (now.do === "send" || now.do === "forward") {
        burst.clear();
        if (now.do === "forward") while (held.length > 0 && burst.count < 16) burst.add(held.pop() ?? 0);
        else for (let i = 0; i < now.count && s.pool.available > 0; i++) burst.add(packetOf(s.pool, frame(now.length)));
        txq.txBurst(burst);
        held.push(...burst.packets.subarray(burst.next, burst.count));
      } else if (now.do === "release") {
        for (const packet of held.splice(0)) s.pool.release(packet);
      } else if (now.do === "forge") {
        if (name !== "packed") forgeUsed(s, now.queue, now.id, now.length);
      } else if (now.do === "restart") {
        await s.driver.stop();
        await s.driver.start();
      } else {
        s.device.completes = now.do === "complete";
        if (s.device.completes) s.device.complete();
      }
      const chained = held.flatMap((packet) => chain(s.pool.next, packet));
      expect(new Set(chained).size).toBe(chained.length);
      expect(chained.every((buffer) => s.pool.isAllocated(buffer))).toBe(true);
    }
    await s.driver.stop();
    for (const packet of held) s.pool.release(packet);
    expect(s.pool.available).toBe(COUNT);
    await s.driver.destroy();
    s.pool.destroy();
    expect(s.host.dma.allocated).toBe(0);
  };
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), run), { numRuns: 60 });
});

function chain(next: Int32Array, packet: number): number[] {
  const buffers = [];
  for (let buffer = packet; buffer !== NO_NETBUF; buffer = next[buffer]) buffers.push(buffer);
  return buffers;
}
