/**
 * Errors of a machine that cannot give a device its resources.
 * @module
 */

/**
 * - `ports`, `mmio`, `shared-memory`: no free range of that kind, or the requested one is taken
 * - `interrupt-line`: the line does not exist, or none is left
 * - `messages`: more vectors than the machine has left, or it has none at all
 * - `invalid`: an impossible request (a size of 0, an alignment that is not a power of two)
 */
export type ResourceErrorCode = "ports" | "mmio" | "shared-memory" | "interrupt-line" | "messages" | "invalid";

/** A request for a resource was refused; nothing was allocated. */
export class ResourceError extends Error {
  override readonly name = "ResourceError";
  /** The kind of resource. */
  readonly code: ResourceErrorCode;

  constructor(code: ResourceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * - `id-taken`: a device with that id exists
 * - `unknown-id`: no device has that id
 * - `no-pci`: the machine has no PCI bus
 * - `resources`: the machine cannot give the device its resources; see `cause`
 * - `attach`: the device could not be put on its bus; see `cause`
 */
export type DeviceManagerErrorCode = "id-taken" | "unknown-id" | "no-pci" | "resources" | "attach";

/** A device could not be added to a machine, or not be found in it. All its resources were released. */
export class DeviceManagerError extends Error {
  override readonly name = "DeviceManagerError";
  /** The kind of obstacle. */
  readonly code: DeviceManagerErrorCode;

  constructor(code: DeviceManagerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
