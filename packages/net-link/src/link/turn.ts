/**
 * Bounds the work that frames cause in one turn of the event loop. An end may answer from within `take`; ends that
 * answer each other, and links that form a loop, would run forever. So the work that follows from one call is bounded,
 * and the rest is done in a later turn.
 * @module
 */

/** Frames handed over per turn, one or two milliseconds of work. */
const FRAMES = 16_384;
/** Maximum nesting of handovers: deeper ones might overflow the call stack. */
const DEPTH = 64;

interface Platform {
  readonly setImmediate?: (task: () => void) => unknown;
  readonly setTimeout: (task: () => void, ms: number) => unknown;
}

let depth = 0;
let left = 0;

/** Begins a piece of work; the outermost call begins a turn. Each call needs a {@link leaveTurn}. */
export function enterTurn(): void {
  if (depth++ === 0) left = FRAMES;
}

/** Ends the piece of work that the last {@link enterTurn} began. */
export function leaveTurn(): void {
  depth--;
}

/** Counts frames that are handed over. */
export function spendTurn(frames: number): void {
  left -= frames;
}

/**
 * Whether further frames must wait for a later turn ({@link inLaterTurn}). Never true outside a turn, or nothing would
 * continue.
 */
export function turnIsSpent(): boolean {
  return depth > 0 && (left <= 0 || depth >= DEPTH);
}

/** Runs a task, which must not throw, in a later turn of the event loop, after other tasks. */
export function inLaterTurn(task: () => void): void {
  const { setImmediate, setTimeout } = globalThis as unknown as Platform;
  if (setImmediate !== undefined) setImmediate(task);
  else setTimeout(task, 0);
}
