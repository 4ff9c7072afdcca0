/**
 * How a question to the host is withdrawn: the platform's own `AbortSignal`, which `fetch` and Node's sockets take.
 * It is a global of browsers and of Node alike; the little of it that is needed here is declared once.
 * @module
 */

/** The platform's `AbortSignal`. */
export type CancelSignal = typeof globalThis extends { AbortSignal: { prototype: infer Signal } }
  ? Signal
  : {
      /** Whether it was withdrawn. */
      readonly aborted: boolean;
      addEventListener(type: "abort", listener: () => void): void;
      removeEventListener(type: "abort", listener: () => void): void;
    };

/** Withdraws. */
export interface Canceller {
  readonly signal: CancelSignal;
  abort(): void;
}

const platform = globalThis as unknown as { readonly AbortController: new () => Canceller };

/** Something to withdraw a question by. */
export function canceller(): Canceller {
  return new platform.AbortController();
}
