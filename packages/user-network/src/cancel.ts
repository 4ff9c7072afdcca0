/**
 * Cancels questions to the host with the platform's own `AbortSignal`, which `fetch` and Node's sockets take. It is a
 * global in browsers and in Node; the part needed here is declared once.
 * @module
 */

/** The platform's `AbortSignal`. */
export type CancelSignal = typeof globalThis extends { AbortSignal: { prototype: infer Signal } }
  ? Signal
  : {
      /** Whether the question was cancelled. */
      readonly aborted: boolean;
      addEventListener(type: "abort", listener: () => void): void;
      removeEventListener(type: "abort", listener: () => void): void;
    };

/** Cancels a question: the platform's `AbortController`. */
export interface Canceller {
  readonly signal: CancelSignal;
  abort(): void;
}

const platform = globalThis as unknown as { readonly AbortController: new () => Canceller };

/** Makes a canceller for one question. */
export function canceller(): Canceller {
  return new platform.AbortController();
}
