/**
 * Reports errors that devices, handlers or deferred tasks threw on the event path, where nothing may throw. For
 * machines.
 * @module
 */

/** The parts of the host that this module uses. */
interface ErrorHost {
  readonly reportError?: (cause: unknown) => void;
  readonly console?: { error(...values: unknown[]): void };
}

/** Reports an error as the host reports uncaught ones, without ending the process. */
export function reportToHost(cause: unknown): void {
  const host = globalThis as ErrorHost;
  if (host.reportError !== undefined) host.reportError(cause);
  else host.console?.error("virtio-ts: a device, handler or task threw:", cause);
}

/** Calls `onError` with an error. If `onError` throws, that error goes to the host. */
export function report(cause: unknown, onError: (cause: unknown) => void): void {
  try {
    onError(cause);
  } catch (thrown) {
    reportToHost(thrown);
  }
}
