/**
 * Other people's drivers of a virtio NIC, as their register accesses: each brings the card up, has a frame out and one in,
 * lets go of it, and does so again. One that wants more than the card offers gives up, in its own way.
 */

import { describe, expect, it } from "vitest";
import { FOREIGN_DRIVERS, type ForeignDriver } from "./support/foreign-drivers.ts";
import { Replay } from "./support/replay.ts";

describe.each(FOREIGN_DRIVERS)("the driver of $name, on $on", (driver) => {
  it("sends and receives, lets go, and does so again; or gives up for want of a feature", () => {
    const replay = new Replay(driver);
    if (driver.needs !== undefined) replay.play(upToFeatures(driver.open));
    if (!replay.accepted) {
      replay.play(driver.giveUp ?? "");
      expect(replay.status & 0x80).toBe(0x80);
      replay.expectLetGo();
      return;
    }
    const { open, reopen = open, status, statusAgain = status } = driver;
    for (const [words, shown] of [[open, status] as const, [reopen, statusAgain] as const]) {
      replay.play(words);
      expect(replay.status).toBe(shown);
      replay.expectTraffic();
      replay.expectTraffic();
      replay.play(driver.close);
      replay.expectLetGo();
    }
  });
});

const named = (name: string): ForeignDriver => FOREIGN_DRIVERS.find((driver) => driver.name === name)!;

describe("a driver that used the card before DRIVER_OK, as Linux does, and gives up without a reset", () => {
  it.each([
    [
      "pci legacy",
      named("Linux before 2.6.34"),
      `status=0 status|=1 status|=2 deviceFeatures? driverFeatures=offered&0x20
       select=0 size? pfn=@ select=1 size? pfn=@ fillThenKick=16`,
    ],
    [
      "mmio 1",
      named("rcore virtio-drivers, legacy"),
      `pageSize=4096 status=0 status|=1 status|=2 deviceFeatures? driverFeatures=offered&0x20
       select=0 size=16 align=4096 pfn=@ select=1 size=16 align=4096 pfn=@ fillThenKick=8`,
    ],
  ])("gets its memory back: over %s no frame goes into it any more", (_, driver, probe) => {
    const replay = new Replay(driver);
    replay.play(probe);
    replay.play("select=0 pfn=0 pfn?0 select=1 pfn=0 pfn?0 status|=128");
    expect(replay.status & 0x80).toBe(0x80);
    replay.expectLetGo();
    replay.play(driver.open);
    replay.expectTraffic();
  });
});

/** Where it looks at the features, it decides. */
function upToFeatures(open: string): string {
  const words = open.split(/\s+/);
  return words.slice(0, words.lastIndexOf("deviceFeatures?") + 1).join(" ");
}
