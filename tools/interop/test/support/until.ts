import type { DriverHost } from "@virtio-ts/virtio-driver";

/** Lets devices have their turn until something is so; how long that may take is the test's own limit to say. */
export async function until(host: DriverHost, done: () => boolean): Promise<void> {
  while (!done()) await host.clock.sleep(0);
}
