/** Features of the network device by name, and what they need (5.1.3). */
import { feature } from "@virtio-ts/virtio-bindings";
import { expect, it } from "vitest";
import * as layout from "../src/layout/index.ts";

it("every feature with a name has the standard's number", () => {
  expect(layout.NET_FEATURE_NAMES).toEqual({
    0: "CSUM",
    1: "GUEST_CSUM",
    2: "CTRL_GUEST_OFFLOADS",
    3: "MTU",
    5: "MAC",
    7: "GUEST_TSO4",
    8: "GUEST_TSO6",
    9: "GUEST_ECN",
    10: "GUEST_UFO",
    11: "HOST_TSO4",
    12: "HOST_TSO6",
    13: "HOST_ECN",
    14: "HOST_UFO",
    15: "MRG_RXBUF",
    16: "STATUS",
    17: "CTRL_VQ",
    18: "CTRL_RX",
    19: "CTRL_VLAN",
    21: "GUEST_ANNOUNCE",
    22: "MQ",
    23: "CTRL_MAC_ADDR",
    57: "HASH_REPORT",
    63: "SPEED_DUPLEX",
  });
});

it.each([
  ["GUEST_UFO needs GUEST_CSUM", 10, 1],
  ["HOST_UFO needs CSUM", 14, 0],
  ["CTRL_VLAN needs CTRL_VQ", 19, 17],
])("%s (5.1.3.1)", (_, bit, needed) => {
  expect(layout.consistentFeatures(feature(bit))).toBe(0n);
  expect(layout.consistentFeatures(feature(bit, needed))).toBe(feature(bit, needed));
});
