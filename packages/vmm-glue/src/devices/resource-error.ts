/**
 * Why a machine can't give a device what it asks for.
 * @module
 */

/**
 * - `ports`, `mmio`, `shared-memory`: no free range of that kind, or the one asked for is taken
 * - `interrupt-line`: no such line, or none is left
 * - `messages`: more vectors than the machine has, or it has none at all
 * - `invalid`: a request that can't be one (a size of 0, an alignment that is no power of two)
 */
export type ResourceErrorCode = "ports" | "mmio" | "shared-memory" | "interrupt-line" | "messages" | "invalid";

/** A request for a resource was turned down; nothing was taken. */
export class ResourceError extends Error {
  override readonly name = "ResourceError";
  /** Which kind of resource. */
  readonly code: ResourceErrorCode;

  constructor(code: ResourceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * - `id-taken`: there is a device by that id
 * - `unknown-id`: there is none
 * - `no-pci`: the machine has no PCI bus
 * - `resources`: the machine can't give it what it needs; see `cause`
 * - `attach`: it could not be put on its bus; see `cause`
 */
export type DeviceManagerErrorCode = "id-taken" | "unknown-id" | "no-pci" | "resources" | "attach";

/** A device could not be added to a machine, or not be found in it. Whatever was taken for it was given back. */
export class DeviceManagerError extends Error {
  override readonly name = "DeviceManagerError";
  /** What kind of obstacle. */
  readonly code: DeviceManagerErrorCode;

  constructor(code: DeviceManagerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
