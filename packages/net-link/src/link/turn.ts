/**
 * How much frames may set in motion before the rest of the program gets its turn. Every end may answer from within
 * `take`, and ends that answer each other, or links that form a loop, would go on for ever: so what follows from one
 * call is bounded, and what is left is done in a later turn of the event loop.
 * @module
 */

/** Frames handed over in a turn, about a millisecond or two of work. */
const FRAMES = 16_384;
/** Frames handed over from within the handing over of others, and so on: deeper, a call stack might not hold. */
const DEPTH = 64;

interface Platform {
  readonly setImmediate?: (task: () => void) => unknown;
  readonly setTimeout: (task: () => void, ms: number) => unknown;
}

let depth = 0;
let left = 0;

/** Begins a piece of work; the outermost begins a turn. Each needs its {@link leaveTurn}. */
export function enterTurn(): void {
  if (depth++ === 0) left = FRAMES;
}

/** Ends what the last {@link enterTurn} began. */
export function leaveTurn(): void {
  depth--;
}

/** Frames are handed over. */
export function spendTurn(frames: number): void {
  left -= frames;
}

/** Whether more is to wait for a later turn ({@link inLaterTurn}). Never at the outermost, or nothing would go on. */
export function turnIsSpent(): boolean {
  return depth > 0 && (left <= 0 || depth >= DEPTH);
}

/** Runs a task, which must not throw, in a later turn of the event loop: others come first. */
export function inLaterTurn(task: () => void): void {
  const { setImmediate, setTimeout } = globalThis as unknown as Platform;
  if (setImmediate !== undefined) setImmediate(task);
  else setTimeout(task, 0);
}
