/**
 * Points copies of a machine's package sources at another release, for machines whose own release has no i386 kernel
 * any more, or that ask for their own architecture only. Mirrors, keyrings and proxies stay the machine's own.
 *
 * @module
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

/**
 * Writes changed copies of source files into `directory`.
 *
 * @param list the machine's `sources.list`, which need not exist
 * @param parts the machine's `sources.list.d`, which need not exist
 * @returns whether anything was changed; false says that another look is of no use
 */
export async function copySourcesForRelease(
  list: string,
  parts: string,
  directory: string,
  release: string,
): Promise<boolean> {
  await mkdir(directory, { recursive: true });
  const names = await readdir(parts).catch((): string[] => []);
  // apt reads no other files, for example *.list.disabled
  const paths = names.filter((name) => /\.(list|sources)$/.test(name)).map((name) => join(parts, name));
  let changed = false;
  for (const path of [list, ...paths]) {
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text === undefined) continue;
    const other = path.endsWith(".sources") ? deb822ForRelease(text, release) : listForRelease(text, release);
    changed ||= other !== text;
    await writeFile(join(directory, path === list ? "machine.list" : basename(path)), other);
  }
  return changed;
}

/** The one-line format: `deb [arch=amd64 signed-by=/path] <uri> <suite> <component>...` */
export function listForRelease(text: string, release: string): string {
  return text.replace(/^(\s*deb\s+)(?:\[([^\]]*)\]\s+)?(\S+\s+)(\S+)/gm, (_line, type, options, uri, suite) => {
    const kept = (options ?? "").split(/\s+/).filter((option: string) => option && !option.startsWith("arch"));
    return `${type}${kept.length > 0 ? `[${kept.join(" ")}] ` : ""}${uri}${suiteOf(suite, release)}`;
  });
}

/** The format of `.sources` files: paragraphs of fields. */
export function deb822ForRelease(text: string, release: string): string {
  return text
    .replace(/^Architectures:.*\n/gim, "")
    .replace(/^(Suites:)(.*)$/gim, (_line, field: string, suites: string) => {
      return field + suites.replace(/\S+/g, (suite) => suiteOf(suite, release));
    });
}

/** `trixie-updates` becomes `bookworm-updates`; a suite that is a path (`./`) stays. */
function suiteOf(suite: string, release: string): string {
  if (suite.endsWith("/") && !suite.endsWith("/updates")) return suite;
  return release + (/-(security|updates|proposed-updates|backports)$/.exec(suite)?.[0] ?? "");
}
