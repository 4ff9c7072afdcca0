/** A machine as its guest sees it, and what its controllers remember. */
import { describe, expect, it } from "vitest";
import { Machine, MessageLog } from "../src/index.ts";

describe("a machine's memory", () => {
  it("is RAM from 0 on, little endian, in every width", () => {
    const machine = new Machine({ memory: 4096 });
    machine.memory.fill(0, 8, 0xee);
    machine.write(0, 4, 0x8877_6655);
    machine.write(4, 2, 0xbbaa);
    machine.write(6, 1, 0xcc);
    expect([...machine.memory.regions[0].u8.subarray(0, 8)]).toEqual([0x55, 0x66, 0x77, 0x88, 0xaa, 0xbb, 0xcc, 0xee]);
    expect([machine.read(0, 4), machine.read(3, 2), machine.read(6, 1)]).toEqual([0x8877_6655, 0xaa88, 0xcc]);
  });
});

describe("a machine that was told nothing", () => {
  it("has 64 MiB of RAM", () => {
    expect(new Machine().memory.regions.map(({ start, size }) => [start, size])).toEqual([[0, 0x400_0000]]);
  });
});

describe("a log of messages", () => {
  it("counts those with each data, and knows the last", () => {
    const log = new MessageLog();
    for (const data of [1, 2, 1]) log.send(0xfee0_1000 + data, data);
    expect([log.total, log.count(1), log.count(2), log.count(3), log.lastAddress, log.lastData]).toEqual([
      3, 2, 1, 0, 0xfee0_1001, 1,
    ]);
  });
});
