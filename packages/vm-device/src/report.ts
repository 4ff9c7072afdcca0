/**
 * Where an error goes that nobody asked to be told of: what a device, a handler or a deferred task threw on the event
 * path, where nothing may throw. For machines.
 * @module
 */

/** What of the host is used. */
interface ErrorHost {
  readonly reportError?: (cause: unknown) => void;
  readonly console?: { error(...values: unknown[]): void };
}

/** Shows an error where the host shows uncaught ones, without ending it. */
export function reportToHost(cause: unknown): void {
  const host = globalThis as ErrorHost;
  if (host.reportError !== undefined) host.reportError(cause);
  else host.console?.error("virtio-ts: a device, handler or task threw:", cause);
}

/** Tells of an error; what the one who is told throws goes to the host. */
export function report(cause: unknown, onError: (cause: unknown) => void): void {
  try {
    onError(cause);
  } catch (thrown) {
    reportToHost(thrown);
  }
}
