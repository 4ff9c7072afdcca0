/**
 * `pnpm example:qemu`: the example as a program.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { DriverError } from "@virtio-ts/virtio-driver";
import { entropyFromQemu } from "./qemu-entropy.ts";

const LIMIT = 1 << 20;
const HELP = `Reads random numbers from the virtio-rng of a QEMU without a guest, by our driver library.

usage: pnpm example:qemu [--bytes N] [--json]

  --bytes N  how many to ask for, 1 to ${LIMIT}; 32 by default
  --json     {"bytes":N,"hex":"..."} instead of text
  --help     this text

Needs qemu-system-x86_64 on Linux (Debian: apt-get install qemu-system-x86).
`;

async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      bytes: { type: "string", default: "32" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const length = Number(values.bytes);
  if (!Number.isInteger(length) || length < 1 || length > LIMIT) {
    process.stderr.write(`--bytes ${values.bytes}: expected a number from 1 to ${LIMIT}\n`);
    return 2;
  }
  const bytes = await entropyFromQemu(length);
  const hex = Buffer.from(bytes).toString("hex");
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ bytes: bytes.length, hex })}\n`
      : `${bytes.length} bytes from virtio-rng: ${hex}\n`,
  );
  return 0;
}

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (cause: unknown) => {
    const why = cause instanceof DriverError ? `${cause.code}: ${cause.message}` : String(cause);
    process.stderr.write(`${why}\n`);
    process.exitCode = 1;
  },
);
