/**
 * A command's outcome is its status and everything it wrote.
 *
 * @module
 */
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { runCommand } from "../src/command.ts";

const cwd = tmpdir();

test("collects both output streams, and tells success from failure", async () => {
  const program = "console.log('out'); console.error(process.env.COLOUR); process.exit(3)";
  const result = await runCommand([process.execPath, "-e", program], { cwd, env: { COLOUR: "green" } });
  expect(result.ok).toBe(false);
  expect(result.output.split("\n").sort()).toEqual(["", "green", "out"]);
  expect(await runCommand([process.execPath, "-e", ""], { cwd })).toEqual({ ok: true, output: "" });
});

test("a program that does not exist is a failure that names it", async () => {
  const result = await runCommand(["no-such-program-here"], { cwd });
  expect(result.ok).toBe(false);
  expect(result.output).toContain("no-such-program-here");
});
