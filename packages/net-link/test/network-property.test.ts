/** Links and switches against a plain model of them, whatever their ends do from within their own calls. */
import { propertyOptions } from "@virtio-ts/rounds";
import fc from "fast-check";
import { describe, it } from "vitest";
import { ALL_DEEDS, Script, World } from "./support/plain-network.ts";

const script = fc.array(fc.nat(), { maxLength: 100, size: "max" });

describe("links and switches", () => {
  it("carry each frame to where an 802.1D bridge would, once, byte for byte and in order, or count it as lost", () => {
    fc.assert(
      fc.property(script, (words) => new World(new Script(words)).run()),
      propertyOptions(1000),
    );
  });

  it.each(ALL_DEEDS)("do so where ends do nothing out of turn but to %s", (deed) => {
    fc.assert(
      fc.property(script, (words) => new World(new Script(words), ["answer", deed]).run()),
      propertyOptions(200),
    );
  });
});
