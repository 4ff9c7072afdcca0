import { describe, expect, it } from "vitest";
import { CpioMode, directory, file, readCpio, symlink, writeCpio } from "../src/cpio.ts";

const entries = [
  directory("bin"),
  file("bin/a", "abc", 0o755),
  symlink("bin/b", "a"),
  file("empty", ""),
  { name: "console", mode: CpioMode.CHARACTER_DEVICE | 0o600, device: [5, 1] as const },
  file("höher", new Uint8Array([0, 255, 1])),
];

describe("newc archives", () => {
  it("have the header that Linux documents, for a file of three bytes", () => {
    const text = new TextDecoder().decode(writeCpio([file("a", "abc")]));
    // magic, inode 1, regular file 0644, uid, gid, one link, no time, 3 bytes, device 0:0, rdev 0:0, "a\0", no checksum
    expect(text.slice(0, 110)).toBe(
      "070701000000010000 81a4000000000000000000000001000000000000000300000000000000000000000000000000 0000000200000000".replaceAll(
        " ",
        "",
      ),
    );
    expect(text.slice(110, 112)).toBe("a\0");
    expect(text.slice(112, 116)).toBe("abc\0");
  });

  it("end in a trailer, padded to four bytes throughout", () => {
    const archive = writeCpio(entries);
    expect(archive.length % 4).toBe(0);
    expect(new TextDecoder().decode(archive.subarray(-14))).toBe("TRAILER!!!\0\0\0\0");
  });

  it("give back what was put in", () => {
    const read = readCpio(writeCpio(entries));
    expect(read.map(({ name, mode }) => [name, mode.toString(8)])).toEqual([
      ["bin", "40755"],
      ["bin/a", "100755"],
      ["bin/b", "120777"],
      ["empty", "100644"],
      ["console", "20600"],
      ["höher", "100644"],
    ]);
    expect(new TextDecoder().decode(read[1].data)).toBe("abc");
    expect(new TextDecoder().decode(read[2].data)).toBe("a");
    expect(read[4].device).toEqual([5, 1]);
    expect([...read[5].data!]).toEqual([0, 255, 1]);
  });

  it("are the same bytes for the same entries", () => {
    expect(writeCpio(entries)).toEqual(writeCpio(entries));
  });

  it("are refused when they are none", () => {
    expect(() => readCpio(new Uint8Array(200))).toThrow("no newc header at byte 0");
  });
});
