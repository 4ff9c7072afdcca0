/** What a programmer got wrong is said where it is done, by a typed error that names it; nothing is left half done. */
import { describe, expect, it } from "vitest";
import { connect, type NetBackend, Switch } from "../src/index.ts";

describe("a link", () => {
  it.each([
    [undefined, "undefined"],
    [null, "null"],
    [{}, "[object Object]"],
    [{ take: () => 0 }, "[object Object]"],
    ["eth0", "eth0"],
  ])("to %j, which is no backend, is an error, and its other end is free", (end, shown) => {
    const [a, b] = [new Switch().addPort(), new Switch().addPort()];
    const error = (which: string) => ({
      name: "LinkError",
      code: "BAD_END",
      message: `the ${which} end is ${shown}: expected a NetBackend, with take and attach`,
    });
    expect(() => connect(a, end as unknown as NetBackend)).toThrow(expect.objectContaining(error("second")));
    expect(() => connect(end as unknown as NetBackend, a)).toThrow(expect.objectContaining(error("first")));
    expect(connect(a, b).up).toBe(true);
  });
});
