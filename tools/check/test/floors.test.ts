/**
 * Each rule of the house, broken once: the message names the file, the line, the import and the rule.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { checkFloors } from "../src/floors/check-floors.ts";
import { buildHouse, type Room } from "./house.ts";

function problemsOf(rooms: Readonly<Record<string, Room>>): readonly string[] {
  return checkFloors(buildHouse(rooms)).problems;
}

test("a house that keeps the rules has no problems, and every source file is read", () => {
  const root = buildHouse({
    memory: { floor: 0, files: { "src/index.ts": "export const size = 1;\n" } },
    queue: {
      floor: 1,
      dependencies: ["memory"],
      files: {
        "src/index.ts": 'export * from "./device/queue.ts";\n',
        "src/device/queue.ts": 'import { size } from "@virtio-ts/memory";\nimport "../layout/ring.ts";\nsize;\n',
        "src/layout/ring.ts": "export {};\n",
      },
    },
  });
  expect(checkFloors(root)).toEqual({ files: 4, problems: [] });
});

describe("floor", () => {
  test("a package does not import from a floor above its own", () => {
    const problems = problemsOf({
      memory: { floor: 0, dependencies: ["queue"], files: { "src/a.ts": '\nimport "@virtio-ts/queue";\n' } },
      queue: { floor: 1 },
    });
    expect(problems).toEqual([
      'packages/memory/src/a.ts:2: import "@virtio-ts/queue" — rule floor: @virtio-ts/queue is on floor 1, ' +
        "@virtio-ts/memory on floor 0; a package imports only from floors below its own",
    ]);
  });

  test.each([
    ["a re-export", 'export { size } from "@virtio-ts/peer/device";'],
    ["a star re-export", 'export * from "@virtio-ts/peer";'],
    ["a type import", 'import type { Size } from "@virtio-ts/peer";'],
    ["an import type", 'export type Size = import("@virtio-ts/peer").Size;'],
    ["a dynamic import", 'export const peer = () => import("@virtio-ts/peer");'],
  ])("%s from the same floor counts", (_, text) => {
    const [problem] = problemsOf({
      one: { floor: 3, dependencies: ["peer"], files: { "src/a.ts": text } },
      peer: { floor: 3 },
    });
    expect(problem).toContain("packages/one/src/a.ts:1");
    expect(problem).toContain("rule floor: @virtio-ts/peer is on floor 3");
  });

  test("an import in a comment or a string does not count", () => {
    const text = '// import "@virtio-ts/peer"\nexport const text = `import "@virtio-ts/peer"`;\n';
    expect(problemsOf({ one: { floor: 0, files: { "src/a.ts": text } }, peer: { floor: 3 } })).toEqual([]);
  });

  test("a package without a floor is told to declare one", () => {
    expect(problemsOf({ one: {} })).toEqual([
      'packages/one/package.json: no floor — rule floor: declare it as "virtio-ts": { "floor": n }',
    ]);
  });
});

test("declared: an import of a package that is not in the dependencies", () => {
  expect(problemsOf({ one: { floor: 0, files: { "src/a.ts": 'import "@scope/lib/part";' } } })).toEqual([
    'packages/one/src/a.ts:1: import "@scope/lib/part" — rule declared: @scope/lib is not in the dependencies of ' +
      "@virtio-ts/one",
  ]);
});

test("inside: a relative import that leaves the sources", () => {
  const [problem] = problemsOf({ one: { floor: 0, files: { "src/a/b.ts": 'import "../../../two/src/index.ts";' } } });
  expect(problem).toContain('packages/one/src/a/b.ts:1: import "../../../two/src/index.ts" — rule inside');
});

describe("halves", () => {
  test.each([
    ["src/device/a.ts", "../driver/b.ts", "src/device never imports src/driver"],
    ["src/driver/a.ts", "../device/index.ts", "src/driver never imports src/device"],
    ["src/driver.ts", "./device/index.ts", "src/driver never imports src/device"],
    ["src/layout/a.ts", "../device/b.ts", "src/layout never imports src/device"],
  ])("%s does not import %s", (file, specifier, reason) => {
    const [problem] = problemsOf({ one: { floor: 0, files: { [file]: `import "${specifier}";` } } });
    expect(problem).toContain(`packages/one/${file}:1: import "${specifier}" — rule halves: ${reason}`);
  });
});

describe("browser", () => {
  const backends: Room = {
    floor: 0,
    node: ["src/node"],
    entries: { ".": "src/index.ts", "./node": "src/node/index.ts" },
  };

  test.each(["node:fs", "fs", "./node/tap.ts"])("sources for browsers do not import %s", (specifier) => {
    const [problem] = problemsOf({ one: { ...backends, files: { "src/a.ts": `import "${specifier}";` } } });
    expect(problem).toContain(`packages/one/src/a.ts:1: import "${specifier}" — rule browser`);
  });

  test("nor the Node entry of another package", () => {
    const [problem] = problemsOf({
      backends,
      nic: { floor: 1, dependencies: ["backends"], files: { "src/a.ts": 'import "@virtio-ts/backends/node";' } },
    });
    expect(problem).toContain('import "@virtio-ts/backends/node" — rule browser');
  });

  test("a folder that is declared for Node may", () => {
    expect(problemsOf({ one: { ...backends, files: { "src/node/tap.ts": 'import "node:fs";' } } })).toEqual([]);
  });
});

describe("references", () => {
  test("a dependency that the compiler is not told about", () => {
    expect(problemsOf({ one: { floor: 0 }, two: { floor: 1, dependencies: ["one"], references: [] } })).toEqual([
      "packages/two/tsconfig.json: no reference to packages/one, which is a dependency — rule references",
    ]);
  });

  test("a reference to what is not a dependency", () => {
    expect(problemsOf({ one: { floor: 0 }, two: { floor: 1, references: ["one"] } })).toEqual([
      "packages/two/tsconfig.json: @virtio-ts/one is referenced but not a dependency — rule references",
    ]);
  });
});

test("the floors of this repository hold", () => {
  expect(checkFloors(new URL("../../..", import.meta.url).pathname).problems).toEqual([]);
});
