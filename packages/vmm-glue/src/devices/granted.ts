/**
 * The resources that a device asked for, as its transport takes them: the device's registers go there, and that is its
 * interrupt. A resource that the transport cannot use is refused, so that nothing stays allocated in vain. For {@link
 * onPci} and {@link onMmio}.
 * @module
 */

import type { Resource } from "@virtio-ts/virtio-device";
import { ResourceError } from "./resource-error.ts";

type Kind = Resource["kind"];
type Of<K extends Kind> = Resource & { readonly kind: K };

/** The resources of one device, each taken once. */
export class Granted {
  readonly #left: Resource[];

  constructor(resources: readonly Resource[]) {
    // The device itself places shared memory, and returns the list of its regions.
    this.#left = resources.filter(({ kind }) => kind !== "shared-memory");
  }

  /** Takes the first resource of a kind, or `undefined`. */
  take<K extends Kind>(kind: K): Of<K> | undefined {
    const index = this.#left.findIndex((resource) => resource.kind === kind);
    return index < 0 ? undefined : (this.#left.splice(index, 1)[0] as Of<K>);
  }

  /**
   * Checks that every granted resource was taken.
   * @param where the bus that cannot use the others
   * @throws ResourceError of the kind that is left
   */
  end(where: string): void {
    const [left] = this.#left;
    if (left === undefined) return;
    throw new ResourceError(left.kind, `${where} has no use for ${left.kind} that the device asked for`);
  }
}
