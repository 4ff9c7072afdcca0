/** Prints "mapped 123": what is written into the mapping of a file is in the file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MappedFile } from "@virtio-ts/host-linux";

const folder = mkdtempSync(join(tmpdir(), "mapped-"));
const path = join(folder, "memory");
writeFileSync(path, new Uint8Array(4096));
const { bytes } = new MappedFile(path, 4096);
bytes.set([1, 2, 3]);
console.log(`mapped ${readFileSync(path).subarray(0, 3).join("")}`);
rmSync(folder, { recursive: true });
