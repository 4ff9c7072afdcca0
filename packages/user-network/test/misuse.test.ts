/** What a programmer got wrong is said where it is done, by a typed error that names it; nothing is left half done. */
import { describe, expect, it } from "vitest";
import { UserNetwork, type UserNetworkSetup } from "../src/index.ts";

describe("a user-mode network", () => {
  it.each([
    [undefined, "setup is undefined: expected the machine's sockets, as { host: nodeHostSockets() }"],
    [null, "setup is null: expected the machine's sockets, as { host: nodeHostSockets() }"],
    [{}, "setup.host is undefined: expected the machine's sockets, as { host: nodeHostSockets() }"],
    [{ host: null }, "setup.host is null: expected the machine's sockets, as { host: nodeHostSockets() }"],
  ])("made of %j is an error that names what is missing", (setup, message) => {
    const error = { name: "UserNetworkError", code: "BAD_VALUE", message };
    expect(() => new UserNetwork(setup as unknown as UserNetworkSetup)).toThrow(expect.objectContaining(error));
  });

  it.each([
    ["guestMac", "52:54:00:12:34:56", 'guestMac is "52:54:00:12:34:56"'],
    ["guestMac", "425400", 'guestMac is "425400"'],
    ["gatewayMac", [82, 84, 0, 18, 52, 86], "gatewayMac is [82,84,0,18,52,86]"],
    ["gatewayMac", null, "gatewayMac is null"],
    ["guestMac", new Uint8Array(5), "guestMac is 00:00:00:00:00"],
  ])("has no %s %j", (name, mac, given) => {
    const error = {
      name: "UserNetworkError",
      code: "BAD_ADDRESS",
      message: `${given}: expected a Uint8Array of 6 bytes, the first of them even (unicast)`,
    };
    const setup = { host: {}, options: { [name]: mac } } as unknown as UserNetworkSetup;
    expect(() => new UserNetwork(setup)).toThrow(expect.objectContaining(error));
  });
});
