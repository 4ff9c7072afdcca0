/**
 * The results of IPC: 0, or one of L4Re's error numbers, negated. For both halves.
 * @module
 */

/** Success. */
export const L4_EOK = 0;
/** The device's status does not allow the operation. */
export const L4_EIO = -5;
/** No memory left. */
export const L4_ENOMEM = -12;
/** The object that the argument names is in use. */
export const L4_EBUSY = -16;
/** An argument is invalid. */
export const L4_EINVAL = -22;
/** An index or an offset in a dataspace is out of range. */
export const L4_ERANGE = -34;
/** An operation the device does not know. */
export const L4_ENOSYS = -38;

/** Why the device refused. */
export type L4Error =
  | typeof L4_EIO
  | typeof L4_ENOMEM
  | typeof L4_EBUSY
  | typeof L4_EINVAL
  | typeof L4_ERANGE
  | typeof L4_ENOSYS;
/** The result of an operation. */
export type L4Result = typeof L4_EOK | L4Error;

const NAMES: Readonly<Record<L4Result, string>> = {
  [L4_EOK]: "L4_EOK",
  [L4_EIO]: "-L4_EIO",
  [L4_ENOMEM]: "-L4_ENOMEM",
  [L4_EBUSY]: "-L4_EBUSY",
  [L4_EINVAL]: "-L4_EINVAL",
  [L4_ERANGE]: "-L4_ERANGE",
  [L4_ENOSYS]: "-L4_ENOSYS",
};

/** Whether a value is a result of an operation. */
export function isL4Result(value: unknown): value is L4Result {
  return typeof value === "number" && Object.hasOwn(NAMES, value);
}

/** The result's name, for messages. */
export function l4ResultName(result: L4Result): string {
  return NAMES[result];
}

/**
 * Why one half cannot be made:
 * - `option`: the device or a required option is missing
 * - `page`: the config page has too few bytes, or is not aligned
 * - `config-size`: the device's configuration does not fit the config page
 * - `events`: a number of IRQ objects below 1 or above 65536
 */
export type L4VirtioErrorCode = "option" | "page" | "config-size" | "events";

/** One half of the transport cannot be made; the message names the value. */
export class L4VirtioError extends Error {
  override readonly name = "L4VirtioError";
  /** Which rule was broken. */
  readonly code: L4VirtioErrorCode;

  constructor(code: L4VirtioErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
