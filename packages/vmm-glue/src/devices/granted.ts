/**
 * What a device was given at its own request, as the transport takes it that the device is put behind: the device's
 * registers are where it asked for them, and its interrupt is the one it asked for. What a transport has no use for is
 * refused, so that nothing is kept for nobody. For {@link onPci} and {@link onMmio}.
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
    // Shared memory is the device's own to place: it says in its list where it is.
    this.#left = resources.filter(({ kind }) => kind !== "shared-memory");
  }

  /** Takes the first resource of a kind, or `undefined`. */
  take<K extends Kind>(kind: K): Of<K> | undefined {
    const index = this.#left.findIndex((resource) => resource.kind === kind);
    return index < 0 ? undefined : (this.#left.splice(index, 1)[0] as Of<K>);
  }

  /**
   * Nothing was given that was not taken.
   * @param where what has no use for more
   * @throws ResourceError of the kind that is left
   */
  end(where: string): void {
    const [left] = this.#left;
    if (left === undefined) return;
    throw new ResourceError(left.kind, `${where} has no use for ${left.kind} that the device asked for`);
  }
}
