/** Used elements that no honest device writes. */
import type { Strict } from "./strict.ts";

/** Writes a used element straight into the split ring of queue `index`, and moves the used index by `by`. */
export function forgeUsed({ core, memory }: Strict, index: number, id: number, length: number, by = 1): void {
  const queue = core.queues[index];
  const used = queue.address(2);
  const next = memory.readU16(used + 2);
  const entry = used + 4 + 8 * (next % queue.size);
  memory.writeU32(entry, id);
  memory.writeU32(entry + 4, length);
  memory.writeU16(used + 2, (next + by) & 0xffff);
}
