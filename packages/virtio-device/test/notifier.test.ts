import { describe, expect, it } from "vitest";
import { LegacyInterrupt } from "../src/index.ts";

function line() {
  const log: string[] = [];
  return { log, interrupt: new LegacyInterrupt({ raise: () => log.push("raise"), lower: () => log.push("lower") }) };
}

describe("interrupt status and its line", () => {
  it("used buffers set bit 0, configuration changes bit 1, and raise the line", () => {
    const { interrupt, log } = line();
    interrupt.queue().notify();
    expect(interrupt.status).toBe(1);
    interrupt.config.notify();
    expect(interrupt.status).toBe(3);
    expect(log).toEqual(["raise", "raise"]);
  });

  it("the line falls with the last bit acknowledged", () => {
    const { interrupt, log } = line();
    interrupt.set(3);
    interrupt.acknowledge(1);
    expect(log).toEqual(["raise"]);
    interrupt.acknowledge(2);
    expect(log).toEqual(["raise", "lower"]);
  });

  it("a read clears", () => {
    const { interrupt } = line();
    interrupt.set(2);
    expect(interrupt.readToClear()).toBe(2);
    expect(interrupt.readToClear()).toBe(0);
  });
});
