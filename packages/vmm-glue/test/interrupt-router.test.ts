import { describe, expect, it } from "vitest";
import { InterruptRouter, LineLog } from "../src/index.ts";
import { codeOf } from "./support/block.ts";

describe("an interrupt line that several sources share", () => {
  it("is up while one of them holds it up", () => {
    const log = new LineLog();
    const router = new InterruptRouter(log);
    const changes: string[] = [];
    log.onChange = (line, level) => changes.push(`${line} ${level}`);
    const a = router.connect(11);
    const b = router.connect(11);
    a.raise();
    b.raise();
    a.lower();
    expect(log.isUp(11)).toBe(true);
    expect(router.isRaised(11)).toBe(true);
    b.lower();
    expect(changes).toEqual(["11 true", "11 false"]);
    expect(log.risen(11)).toBe(1);
  });

  it("counts a source that raises twice once", () => {
    const log = new LineLog();
    const source = new InterruptRouter(log).connect(5);
    source.raise();
    source.raise();
    source.lower();
    source.lower();
    expect([log.isUp(5), log.risen(5)]).toEqual([false, 1]);
  });

  it("stays up for who raised it, whoever else lowers it or goes", () => {
    const log = new LineLog();
    const router = new InterruptRouter(log);
    const [a, b] = [router.connect(11), router.connect(11)];
    a.raise();
    b.lower();
    expect([log.isUp(11), router.isRaised(11)]).toEqual([true, true]);
    b.raise();
    b.lower();
    b.lower();
    b.disconnect();
    b.disconnect();
    expect([log.isUp(11), log.risen(11)]).toEqual([true, 1]);
    a.lower();
    expect([log.isUp(11), router.isRaised(11)]).toEqual([false, false]);
  });

  it("is let go by a source that is disconnected, for good", () => {
    const log = new LineLog();
    const source = new InterruptRouter(log).connect(5);
    source.raise();
    source.disconnect();
    expect(log.isUp(5)).toBe(false);
    source.raise();
    expect([log.isUp(5), source.raised]).toEqual([false, false]);
  });

  it("is refused where there is none, with a typed error", () => {
    const router = new InterruptRouter(new LineLog(), 16);
    for (const line of [-1, 16, 1.5, Number.NaN]) expect(codeOf(() => router.connect(line))).toBe("no-line");
  });
});
