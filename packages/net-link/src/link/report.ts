/**
 * Reports errors of called code that is not ours: backends, sinks, callbacks. Such an error never reaches the caller
 * that happened to send a frame.
 * @module
 */

/** Called with each error of code that is not ours. */
export type OnError = (cause: unknown) => void;

interface ErrorHost {
  readonly reportError?: OnError;
  readonly console?: { error(...values: unknown[]): void };
}

/** Shows an error where the host shows uncaught ones, without ending the process. */
export function reportToHost(cause: unknown): void {
  const host = globalThis as unknown as ErrorHost;
  if (host.reportError !== undefined) host.reportError(cause);
  else host.console?.error("virtio-ts: a network backend threw:", cause);
}

/** Calls code that is not ours. Reports its error, thrown or as a rejected promise, and any error of `onError`. */
export function attempt(call: () => unknown, onError: OnError): void {
  try {
    watch(call(), onError);
  } catch (cause) {
    report(cause, onError);
  }
}

/** Reports an error. If `onError` throws, that error goes to the host. */
export function report(cause: unknown, onError: OnError): void {
  try {
    watch(onError(cause) as unknown, reportToHost);
  } catch (second) {
    reportToHost(second);
  }
}

/** Reports the rejection of a result that is a promise: a callback may be an asynchronous function. */
export function watch(answer: unknown, onError: OnError): void {
  if (answer instanceof Promise) answer.catch((cause: unknown) => report(cause, onError));
}
