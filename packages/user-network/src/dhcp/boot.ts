/**
 * How a guest boots from the network: what DHCP and BOOTP tell it of the next server and of the file to fetch there,
 * the same for all guests or by what a guest says of itself.
 * @module
 */

import { UserNetworkError } from "../errors.ts";
import { formatIpv4, requireIpv4 } from "../ip/addresses.ts";

/** What a guest is told about booting. */
export interface NetworkBoot {
  /** The IPv4 address of the server to boot from (`siaddr`); the gateway's unless given. */
  readonly server?: string;
  /** That server's name (option 66); its address unless given. 1 to 255 printable ASCII letters. */
  readonly serverName?: string;
  /**
   * The file to boot: a path, or a URL for those who take one. It goes into option 67, and into the `file` field of
   * BOOTP too if it has no more than 127 letters. 1 to 255 printable ASCII letters.
   */
  readonly file?: string;
}

/** What a guest says of itself when it asks for an address. */
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

/** The same for all guests, or by what a guest says of itself; `undefined` tells it nothing. */
export type BootOption = NetworkBoot | ((client: BootClient) => NetworkBoot | undefined);

/** What a guest is told about booting, read. */
export interface Boot {
  /** An IPv4 address. */
  readonly server: number;
  readonly serverName: string;
  readonly file: string | undefined;
}

/**
 * Checks what a user says about booting, and fills in what was left out.
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
