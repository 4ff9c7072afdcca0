import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeDirectoryAtomically, pruneFiles, writeFileAtomically } from "../src/cache.ts";
import { readSnapshot, snapshotPath, writeSnapshot } from "../src/snapshot.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "virtio-ts-test-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const exists = async (path: string): Promise<boolean> => (await readdir(path).catch(() => undefined)) !== undefined;

describe("a folder of the cache", () => {
  it("is not there while it is being filled", async () => {
    const path = join(directory, "final");
    await makeDirectoryAtomically(
      path,
      async (unfinished) => {
        await writeFile(join(unfinished, "a"), "1");
        expect(await exists(path)).toBe(false);
      },
      exists,
    );
    expect(await readFile(join(path, "a"), "utf8")).toBe("1");
    expect(await readdir(directory)).toEqual(["final"]);
  });

  it("is not there, nor any rest of it, when filling fails", async () => {
    const fill = async (unfinished: string): Promise<void> => {
      await writeFile(join(unfinished, "a"), "1");
      throw new Error("disk full");
    };
    await expect(makeDirectoryAtomically(join(directory, "final"), fill, exists)).rejects.toThrow("disk full");
    expect(await readdir(directory)).toEqual([]);
  });

  it("is whole and from one of them when several processes make it at once", async () => {
    const path = join(directory, "final");
    const make = (who: string): Promise<void> =>
      makeDirectoryAtomically(
        path,
        async (unfinished) => {
          for (const name of ["a", "b"]) await writeFile(join(unfinished, name), who);
        },
        exists,
      );
    await Promise.all(["1", "2", "3", "4"].map(make));
    expect(await readFile(join(path, "a"), "utf8")).toBe(await readFile(join(path, "b"), "utf8"));
    expect(await readdir(directory)).toEqual(["final"]);
  });

  it("takes the place of one that is not usable", async () => {
    const path = join(directory, "final");
    await mkdir(path);
    await writeFile(join(path, "half"), "");
    await makeDirectoryAtomically(
      path,
      (unfinished) => writeFile(join(unfinished, "a"), "1"),
      async () => false,
    );
    expect(await readdir(path)).toEqual(["a"]);
    expect(await readdir(directory)).toEqual(["final"]);
  });

  it("is made without the leftovers of killed processes", async () => {
    const leftover = join(directory, "tmp-1-abc");
    await mkdir(leftover);
    const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 3600;
    await utimes(leftover, twoDaysAgo, twoDaysAgo);
    await mkdir(join(directory, "tmp-2-def"));
    await makeDirectoryAtomically(join(directory, "final"), async () => {}, exists);
    expect((await readdir(directory)).sort()).toEqual(["final", "tmp-2-def"]);
  });
});

describe("a file of the cache", () => {
  it("is written in one go and leaves nothing else", async () => {
    await writeFileAtomically(join(directory, "new", "file"), Buffer.from("ab"), Buffer.from("c"));
    expect(await readFile(join(directory, "new", "file"), "utf8")).toBe("abc");
    expect(await readdir(join(directory, "new"))).toEqual(["file"]);
  });

  it("goes when it was not used for longest", async () => {
    for (const [name, time] of [
      ["old.s", 1000],
      ["older.s", 500],
      ["new.s", 2000],
      ["other", 1],
    ] as const) {
      await writeFile(join(directory, name), "");
      await utimes(join(directory, name), time, time);
    }
    await pruneFiles(directory, ".s", 2);
    expect((await readdir(directory)).sort()).toEqual(["new.s", "old.s", "other"]);
  });
});

describe("a snapshot", () => {
  const state = Uint8Array.from({ length: 5000 }, (_, index) => index & 0xff).buffer;

  it("comes back as it was", async () => {
    const path = snapshotPath(directory, { memory: 1 });
    // More of it than would go into a sector.
    const devices = { nics: Array.from({ length: 1000 }, (_, index) => index) };
    await writeSnapshot(path, { state, kernelVersion: "6.1.0", devices });
    const read = await readSnapshot(path);
    expect([read!.kernelVersion, read!.devices]).toEqual(["6.1.0", devices]);
    expect(new Uint8Array(read!.state)).toEqual(new Uint8Array(state));
  });

  it("has another name for another configuration", () => {
    expect(snapshotPath(directory, { memory: 1 })).not.toBe(snapshotPath(directory, { memory: 2 }));
    expect(snapshotPath(directory, { memory: 1 })).toBe(snapshotPath(directory, { memory: 1 }));
  });

  it("is not there when it is missing, cut short or something else", async () => {
    const path = snapshotPath(directory, {});
    expect(await readSnapshot(path)).toBeUndefined();
    await writeSnapshot(path, { state, kernelVersion: "6.1.0" });
    const whole = await readFile(path);
    for (const bytes of [whole.subarray(0, -1), whole.subarray(0, 10), Buffer.alloc(0), Buffer.alloc(6000)]) {
      await writeFile(path, bytes);
      expect(await readSnapshot(path)).toBeUndefined();
    }
  });
});
