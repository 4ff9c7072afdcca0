/**
 * Network boot: the server and the file that DHCP and BOOTP tell a guest, the same for all guests or depending on what
 * the guest says of itself.
 * @module
 */

import { UserNetworkError } from "../errors.ts";
import { formatIpv4, requireIpv4 } from "../ip/addresses.ts";

/** The network boot information for a guest. */
export interface NetworkBoot {
  /** The IPv4 address of the server to boot from (`siaddr`); the gateway's by default. */
  readonly server?: string;
  /** That server's name (option 66); its address by default. 1 to 255 printable ASCII characters. */
  readonly serverName?: string;
  /**
   * The file to boot: a path, or a URL for clients that take one. It goes into option 67, and also into BOOTP's `file`
   * field if it has at most 127 characters. 1 to 255 printable ASCII characters.
   */
  readonly file?: string;
}

/** The data a guest sends about itself when it asks for an address. */
export interface BootClient {
  /** Its MAC address, like `52:54:00:12:34:56`. */
  readonly mac: string;
  /** Its architecture (option 93, RFC 4578): 0 is a PC with a BIOS, 7 an x86-64 with UEFI, 11 an ARM64 with UEFI. */
  readonly architecture: number | undefined;
  /** Its vendor class (option 60), like `PXEClient:Arch:00000:UNDI:002001`. */
  readonly vendorClass: string | undefined;
  /** Its user classes (option 77, RFC 3004): that of iPXE is `iPXE`. */
  readonly userClasses: readonly string[];
}

/** The same for all guests, or a function of the guest's data; `undefined` sends no boot information. */
export type BootOption = NetworkBoot | ((client: BootClient) => NetworkBoot | undefined);

/** Checked network boot information. */
export interface Boot {
  /** An IPv4 address. */
  readonly server: number;
  readonly serverName: string;
  readonly file: string | undefined;
}

/**
 * Checks network boot information and fills in the defaults.
 * @throws UserNetworkError `BAD_ADDRESS`, `BAD_VALUE`
 */
export function readBoot(boot: NetworkBoot, gateway: number): Boot {
  if (typeof boot !== "object" || boot === null || boot instanceof Promise) {
    throw new UserNetworkError("BAD_VALUE", `boot is of type ${typeof boot}: expected server, serverName and file`);
  }
  const server = boot.server === undefined ? gateway : requireIpv4(boot.server, "server of boot");
  return {
    server,
    serverName: requirePrintable(boot.serverName, "serverName of boot") ?? formatIpv4(server),
    file: requirePrintable(boot.file, "file of boot"),
  };
}

function requirePrintable(text: string | undefined, what: string): string | undefined {
  if (text !== undefined && !(typeof text === "string" && /^[\x20-\x7e]{1,255}$/.test(text))) {
    throw new UserNetworkError("BAD_VALUE", `${what} is ${JSON.stringify(text)}: expected 1 to 255 printable letters`);
  }
  return text;
}
