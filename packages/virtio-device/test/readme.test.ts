import { readFileSync } from "node:fs";
import { MockSplitDriver } from "@virtio-ts/virtio-queue/testing";
import { expect, it } from "vitest";
import { entropyDevice } from "./examples/entropy.ts";
import { enableQueue, FLEXIBLE, negotiate, RING_RESET, rig } from "./support/rig.ts";

const text = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");

it("the README's device is the example, and works, through queue reset and suspension as well", () => {
  expect(text("../README.md")).toContain(`\`\`\`ts\n${text("examples/entropy.ts")}\`\`\``);
  const s = rig(
    entropyDevice(() => Uint8Array.of(1, 2, 3, 4)),
    RING_RESET,
  );
  negotiate(s, FLEXIBLE);
  const fill = (driver: MockSplitDriver): number[] => {
    const head = driver.offer([{ length: 4, writable: true }]);
    s.core.notify(0);
    s.scheduler.run();
    const bytes = new Uint8Array(4);
    s.memory.read(driver.elements(head)[0].address, bytes);
    return [...bytes];
  };
  const first = new MockSplitDriver(s.memory);
  enableQueue(s, 0, first);
  s.core.writeStatus(15);
  expect(fill(first)).toEqual([1, 2, 3, 4]);
  s.core.resetQueue();
  const second = new MockSplitDriver(s.memory, { base: 0x1_0000 });
  enableQueue(s, 0, second);
  expect(fill(second)).toEqual([1, 2, 3, 4]);
  s.core.writeStatus(31);
  expect(fill(second)).toEqual([0, 0, 0, 0]);
  s.core.writeStatus(31);
  s.scheduler.run();
  expect(second.collect().length).toBe(2);
});
