/**
 * What becomes of errors in code that is called but not ours: backends, sinks, callbacks. Such an error is reported,
 * never passed on to whoever happened to send a frame.
 * @module
 */

/** Told of an error in code that was called. */
export type OnError = (cause: unknown) => void;

interface ErrorHost {
  readonly reportError?: OnError;
  readonly console?: { error(...values: unknown[]): void };
}

/** Shows an error where the host shows uncaught ones, without ending anything. */
export function reportToHost(cause: unknown): void {
  const host = globalThis as unknown as ErrorHost;
  if (host.reportError !== undefined) host.reportError(cause);
  else host.console?.error("virtio-ts: a network backend threw:", cause);
}

/** Calls code that is not ours. What it throws, at once or as a promise, is reported; so is what `onError` throws. */
export function attempt(call: () => unknown, onError: OnError): void {
  try {
    watch(call(), onError);
  } catch (cause) {
    report(cause, onError);
  }
}

/** Reports an error; what the reporter throws goes to the host. */
export function report(cause: unknown, onError: OnError): void {
  try {
    watch(onError(cause) as unknown, reportToHost);
  } catch (second) {
    reportToHost(second);
  }
}

/** An answer that should be none may be a promise, of an asynchronous function: reports it if it is rejected. */
export function watch(answer: unknown, onError: OnError): void {
  if (answer instanceof Promise) answer.catch((cause: unknown) => report(cause, onError));
}
