import { expect, test } from "vitest";
import { failuresThatProve } from "../src/prove.ts";

test("a failed test proves the statement whose id it bears, and no other", () => {
  const tests = [
    { name: "one [net.device.x.1]", error: "AssertionError: expected 1 to be 2" },
    { name: "eleven [net.device.x.11]", error: "AssertionError: expected 1 to be 2" },
    { name: "passes [net.device.x.1]", error: null },
  ];
  expect(failuresThatProve(tests, "net.device.x.1")).toEqual(["one [net.device.x.1]"]);
});

test("a source with a name that is not there proves nothing, one that throws does", () => {
  const proven = (error: string) => failuresThatProve([{ name: "[a.device.b.1]", error }], "a.device.b.1");
  expect(proven("ReferenceError: x is not defined")).toEqual([]);
  expect(proven("SyntaxError: Unexpected token")).toEqual([]);
  expect(proven("DriverError: refused")).toEqual(["[a.device.b.1]"]);
});
