import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import getReleasePlan from "@changesets/get-release-plan";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));

test("the changesets can be read, and announce every package that was never released", async () => {
  const plan = await getReleasePlan(root);
  const announced = new Set(plan.changesets.flatMap((changeset) => changeset.releases.map(({ name }) => name)));
  const unreleased = readdirSync(`${root}/packages`)
    .map((folder) => JSON.parse(readFileSync(`${root}/packages/${folder}/package.json`, "utf8")))
    .filter(({ version }) => version === "0.0.0")
    .map(({ name }) => name);
  expect(unreleased.filter((name) => !announced.has(name))).toEqual([]);
});
