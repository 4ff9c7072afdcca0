/**
 * What queues cost: every load of the testing entry. `pnpm bench queue` prints the same as rows.
 * Run with `node packages/virtio-queue/bench/queue.bench.ts` on a Node.js that strips types.
 * @module
 */

import { queueLoads } from "@virtio-ts/virtio-queue/testing";
import { bench, run } from "mitata";

for (const load of queueLoads()) bench(`${load.name} (${load.chains} chains)`, load.prepare());

await run();
