/**
 * `pnpm release`: publishes what the changesets announce.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Column, formatTable, workspaceRoot } from "@virtio-ts/terminal";
import { withReleaseCopy } from "./copy.ts";
import { emptyFacts, type OwnerFacts, readFacts } from "./facts.ts";
import { type PackedPackage, packAll } from "./pack.ts";
import { publishAll } from "./publish.ts";
import { pnpm, run } from "./run.ts";

const usage = `usage: pnpm release [--dry-run] [--json] [--help]

Publishes every package whose version the registry does not have. Works on a copy of the last commit, in which the
changesets become versions and changelogs and the owner's facts (repository, homepage, bugs and author of the root's
package.json) are put into every manifest. Then adds the commit with the versions, and a tag for each, to this branch.

  --dry-run  publishes nothing and changes nothing; shows what would be published
  --json     the packages as JSON
`;

const options = {
  help: { type: "boolean" },
  json: { type: "boolean" },
  "dry-run": { type: "boolean" },
} as const;

const columns: readonly Column[] = [
  { title: "package" },
  { title: "version" },
  { title: "files", align: "right" },
  { title: "kB", align: "right" },
];

async function main(): Promise<void> {
  const { values } = parseArgs({ options });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const root = workspaceRoot();
  const facts = readFacts(root);
  const dryRun = values["dry-run"] === true;
  if (!dryRun) await refuse(root, facts);
  const packages = await withReleaseCopy(root, facts, async (copy) => {
    const packed = await packAll(copy, join(copy, ".cache"));
    if (!dryRun) {
      await publishAll(copy);
      await bringHome(root, copy);
    }
    return packed;
  });
  print(packages, values.json === true);
  const empty = emptyFacts(facts);
  if (empty.length > 0) console.error(`\nnot to be published yet: ${ask(empty)}`);
}

/** @throws Error if something is missing without which nothing may be published */
async function refuse(root: string, facts: OwnerFacts): Promise<void> {
  const empty = emptyFacts(facts);
  if (empty.length > 0) throw new Error(`nothing is published: ${ask(empty)}`);
  if ((await run(root, ["git", "status", "--porcelain"])) !== "") {
    throw new Error("nothing is published: commit what is changed here, for a release is made of the last commit");
  }
}

function ask(empty: readonly string[]): string {
  return `package.json has no ${empty.join(", ")}; fill in what is empty there`;
}

/** Commits the versions, if there are new ones, and adds the commit and the tags to the repository. */
async function bringHome(root: string, copy: string): Promise<void> {
  const changed = await run(copy, ["git", "diff", "--cached", "--name-only"]);
  if (changed !== "") await run(copy, ["git", "commit", "--quiet", "-m", "Release what the changesets announce"]);
  await pnpm(copy, "exec", "changeset", "tag");
  await run(root, ["git", "fetch", "--quiet", "--tags", copy, "HEAD"]);
  await run(root, ["git", "merge", "--quiet", "--ff-only", "FETCH_HEAD"]);
}

function print(packages: readonly PackedPackage[], json: boolean): void {
  if (json) {
    console.log(JSON.stringify({ packages: packages.map(({ archive, ...shown }) => shown) }));
    return;
  }
  const rows = packages.map(({ name, version, files, bytes }) => [
    name,
    version,
    String(files),
    (bytes / 1000).toFixed(1),
  ]);
  console.log(formatTable(columns, rows));
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
