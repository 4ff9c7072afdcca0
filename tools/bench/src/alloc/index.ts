/**
 * `pnpm bench alloc`: by how much the heap grows while 20,000 frames go through queue, device and transport in steady
 * state, beside the smallest object for each frame. Reading the heap takes some hundred bytes itself, and V8's compiler
 * some thousand now and then: so an object for every hundredth frame is the limit, and there are several tries.
 *
 * @module
 */
import { type Bench, measureRows } from "../bench.ts";
import { leastOf, numberFrom } from "../in-process.ts";

const SAMPLE = new URL("sample-main.js", import.meta.url);
/** Bytes of the smallest object there is, for each frame of two runs of 10,000. */
const OBJECTS = 2 * 10_000 * 16;
const LIMIT = 0.01;

/** The benchmark. */
export const allocBench: Bench = {
  name: "alloc",
  description: "bytes of heap that 20,000 frames take in queue, device and transport",
  run(progress, only) {
    const plans = [60, 1514, 65_549].flatMap((frameBytes) =>
      ["transmit", "receive"].map((way) => {
        const args = [way, String(frameBytes), String(LIMIT * OBJECTS)];
        return {
          name: `${way} ${frameBytes} bytes`,
          unit: "bytes",
          peerName: "an object a frame",
          atMost: LIMIT,
          measure: () => leastOf({ ours: () => numberFrom(SAMPLE, args), peer: async () => OBJECTS }),
        };
      }),
    );
    return measureRows(plans, progress, only);
  },
};
