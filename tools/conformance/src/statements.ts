/**
 * The normative statements of VIRTIO 1.4, by id: what the ledger counts.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** One sentence of the standard that bears MUST, SHOULD, MAY or the like; its text is in the standard. */
export interface Statement {
  /** Chapter, party, section and the running number in that section. */
  readonly id: string;
  readonly chapter: string;
  readonly party: "device" | "driver" | "both";
  /** Whether it is about the legacy interface. */
  readonly legacy: boolean;
  readonly level: string;
  /** The standard's own section heading. */
  readonly section: string;
}

/** What is committed in `data/`. */
export interface LedgerData {
  readonly statements: readonly Statement[];
  /** For each statement that this project cannot show, the reason, in one sentence. */
  readonly notApplicable: Readonly<Record<string, string>>;
  /** The ids shown so far: none of them may be lost. */
  readonly shown: readonly string[];
  /** The ids shown before each one needed a proof: none may be added. */
  readonly unproven: readonly string[];
}

/**
 * Reads the committed data.
 *
 * @param folder - the `data` folder
 */
export function readLedgerData(folder: string): LedgerData {
  return {
    statements: readJson(join(folder, "statements.json")),
    notApplicable: readJson(join(folder, "not-applicable.json")),
    shown: readJson(join(folder, "shown.json")),
    unproven: readJson(join(folder, "unproven.json")),
  };
}

function readJson<T>(file: string): T {
  return JSON.parse(readFileSync(file, "utf8"));
}
