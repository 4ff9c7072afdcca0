import { expect, test } from "vitest";
import { failuresThatProve } from "../src/prove.ts";

const failed = (name: string, error: string) => ({ file: "a.test.ts", name, outcome: "failed", error }) as const;

test("a failed test proves the statement whose id it bears, and no other", () => {
  const outcomes = [
    failed("one [net.device.x.1]", "AssertionError: expected 1 to be 2"),
    failed("eleven [net.device.x.11]", "AssertionError: expected 1 to be 2"),
    { file: "a.test.ts", name: "passes [net.device.x.1]", outcome: "passed" } as const,
  ];
  expect(failuresThatProve(outcomes, "net.device.x.1")).toEqual(["one [net.device.x.1]"]);
});

test("a source with a name that is not there proves nothing, one that throws does", () => {
  expect(failuresThatProve([failed("[a.device.b.1]", "ReferenceError: x is not defined")], "a.device.b.1")).toEqual([]);
  expect(failuresThatProve([failed("[a.device.b.1]", "SyntaxError: Unexpected token")], "a.device.b.1")).toEqual([]);
  expect(failuresThatProve([failed("[a.device.b.1]", "DriverError: refused")], "a.device.b.1")).toHaveLength(1);
});
