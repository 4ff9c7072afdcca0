/** DHCP (RFC 2131) by what real clients send, byte by byte. */
import { describe, expect, test } from "vitest";
import { bench, type TestGuest } from "./test-guest.ts";
import { GUEST_MAC, udpFrame } from "./wire-test.ts";

const hex = (text: string): Uint8Array =>
  Uint8Array.from(text.replace(/\s+/g, "").match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
const zeros = (n: number): string => "00".repeat(n);

/** BOOTREQUEST, Ethernet, xid 12345678, from 52:54:00:12:34:56. */
const header = (flags: string, ciaddr: string): string =>
  `01 01 06 00 12345678 0000 ${flags} ${ciaddr} ${zeros(12)} 525400123456 ${zeros(10 + 64 + 128)} 63825363`;

/** busybox udhcpc 1.35: client id, requested options, vendor class, padded to 300 bytes. */
const UDHCPC_DISCOVER = hex(
  `${header("0000", "00000000")} 35 01 01  3d 07 01 525400123456  39 02 0240  37 07 01 03 06 0c 0f 1c 2a
   3c 0c 756468637020312e33352e30 ff ${zeros(16)}`,
);
const UDHCPC_REQUEST = hex(
  `${header("0000", "00000000")} 35 01 03  3d 07 01 525400123456  32 04 0a00020f  36 04 0a000202  39 02 0240
   37 07 01 03 06 0c 0f 1c 2a ff ${zeros(16)}`,
);
/** systemd-networkd 252: a DUID as client id, rapid commit, host name; it reads MTU and domain. */
const NETWORKD_DISCOVER = hex(
  `${header("0000", "00000000")} 35 01 01  3d 13 ff 00123456 0002 0000ab11 0102030405060708
   37 0a 01 03 0c 0f 06 21 79 2a 78 1a  39 02 05dc  0c 05 6775657374 50 00 ff`,
);

function ask(guest: TestGuest, message: Uint8Array, fields: { source?: number; destination?: number } = {}): void {
  guest.send(
    udpFrame(68, 67, message, {
      source: 0,
      destination: 0xffff_ffff,
      toMac: new Uint8Array(6).fill(0xff),
      ...fields,
    }),
  );
}

interface Reply {
  type: number;
  address: number;
  ipDestination: number;
  toMac: number[];
  options: Map<number, number[]>;
  message: Uint8Array;
}

function reply(guest: TestGuest): Reply {
  const { payload, destination, bytes } = guest.one();
  expect([payload[0], payload[1], payload[2], payload[3]]).toEqual([0, 67, 0, 68]);
  const message = payload.slice(8);
  expect(message.length).toBeGreaterThanOrEqual(300);
  expect([...message.subarray(0, 8)]).toEqual([2, 1, 6, 0, 0x12, 0x34, 0x56, 0x78]);
  expect([...message.subarray(28, 34)]).toEqual([...GUEST_MAC]);
  expect([...message.subarray(236, 240)]).toEqual([0x63, 0x82, 0x53, 0x63]);
  const options = new Map<number, number[]>();
  let at = 240;
  for (; message[at] !== 255; at += 2 + message[at + 1]) {
    if (message[at] === 0) throw new Error("pad in the middle");
    options.set(message[at], [...message.subarray(at + 2, at + 2 + message[at + 1])]);
  }
  const view = new DataView(message.buffer);
  return {
    type: options.get(53)![0],
    address: view.getUint32(16),
    ipDestination: destination,
    toMac: [...bytes.subarray(0, 6)],
    options,
    message,
  };
}

describe("DHCP", () => {
  test("DISCOVER of busybox udhcpc gets an OFFER, to its own MAC address", () => {
    const { guest } = bench({ hostname: "guest", domain: "example.org" });
    ask(guest, UDHCPC_DISCOVER);
    const offer = reply(guest);
    expect(offer).toMatchObject({ type: 2, address: 0x0a00020f, ipDestination: 0x0a00020f, toMac: [...GUEST_MAC] });
    expect(Object.fromEntries(offer.options)).toEqual({
      1: [255, 255, 255, 0],
      3: [10, 0, 2, 2],
      6: [10, 0, 2, 3],
      12: [103, 117, 101, 115, 116],
      15: [101, 120, 97, 109, 112, 108, 101, 46, 111, 114, 103],
      26: [0x05, 0xdc],
      28: [10, 0, 2, 255],
      51: [0, 1, 0x51, 0x80],
      53: [2],
      54: [10, 0, 2, 2],
      61: [1, ...GUEST_MAC],
    });
  });

  test("REQUEST of what was offered gets an ACK", () => {
    const { guest, network } = bench();
    ask(guest, UDHCPC_DISCOVER);
    reply(guest);
    ask(guest, UDHCPC_REQUEST);
    expect(reply(guest)).toMatchObject({ type: 5, address: 0x0a00020f });
    expect(network.counters.dhcpAnswered).toBe(2);
  });

  test("DISCOVER of systemd-networkd gets an OFFER with subnet, server and lease", () => {
    const { guest } = bench();
    ask(guest, NETWORKD_DISCOVER);
    const { type, options } = reply(guest);
    expect(type).toBe(2);
    expect([...options.keys()]).toEqual(expect.arrayContaining([1, 3, 6, 26, 51, 54, 61]));
    expect(options.has(12)).toBe(false);
  });

  test("the broadcast flag is honoured", () => {
    const { guest } = bench();
    ask(guest, hex(`${header("8000", "00000000")} 350101 ff`));
    expect(reply(guest)).toMatchObject({ ipDestination: 0xffff_ffff, toMac: [255, 255, 255, 255, 255, 255] });
  });

  test("a REQUEST for an address of another network gets a NAK, to everybody", () => {
    const { guest } = bench();
    ask(guest, hex(`${header("0000", "00000000")} 350103 3204c0a80105 ff`));
    const nak = reply(guest);
    expect(nak).toMatchObject({ type: 6, address: 0, ipDestination: 0xffff_ffff });
    expect([...nak.options.keys()]).toEqual([53, 54]);
  });

  test("a REQUEST of another server is none of ours", () => {
    const { guest } = bench();
    ask(guest, hex(`${header("0000", "00000000")} 350103 32040a00020f 36040a000263 ff`));
    expect(guest.got()).toEqual([]);
  });

  test("a client that renews is answered at its address", () => {
    const { guest } = bench();
    ask(guest, UDHCPC_REQUEST);
    reply(guest);
    ask(guest, hex(`${header("0000", "0a00020f")} 350103 ff`), { source: 0x0a00020f, destination: 0x0a000202 });
    expect(reply(guest)).toMatchObject({ type: 5, address: 0x0a00020f, ipDestination: 0x0a00020f });
  });

  test("INFORM gets the configuration without an address or a lease", () => {
    const { guest } = bench();
    ask(guest, hex(`${header("0000", "0a000220")} 350108 ff`), { source: 0x0a000220 });
    const ack = reply(guest);
    expect(ack).toMatchObject({ type: 5, address: 0, ipDestination: 0x0a000220 });
    expect(ack.options.has(51)).toBe(false);
    expect(ack.options.has(3)).toBe(true);
  });

  test("each client gets an address of its own, and keeps it; RELEASE frees it, DECLINE bans it", () => {
    const { guest, network } = bench();
    const from = (mac: string, body: string): Uint8Array => {
      const message = hex(`${header("0000", "00000000")} ${body} ff`);
      message.set(hex(mac), 28);
      return message;
    };
    const offered = (mac: string): number => {
      ask(guest, from(mac, "350101"));
      const { payload } = guest.one();
      return new DataView(payload.buffer, payload.byteOffset + 8).getUint32(16);
    };
    expect(offered("020000000001")).toBe(0x0a00020f);
    expect(offered("020000000002")).toBe(0x0a000210);
    expect(offered("020000000001")).toBe(0x0a00020f);
    const release = from("020000000001", "350107");
    release.set([10, 0, 2, 15], 12);
    ask(guest, release);
    expect(offered("020000000003")).toBe(0x0a00020f);
    ask(guest, from("020000000003", "350104 32040a00020f"));
    expect(network.counters.dhcpDeclined).toBe(1);
    expect(offered("020000000003")).toBe(0x0a000211);
  });

  test("when all addresses are given away there is silence, and old offers are given to others", () => {
    const { guest, clock } = bench({ subnet: "10.0.2.0/28", guest: "10.0.2.14" });
    ask(guest, UDHCPC_DISCOVER);
    expect(reply(guest).address).toBe(0x0a00020e);
    const other = UDHCPC_DISCOVER.slice();
    other[33] = 0x57;
    ask(guest, other);
    expect(guest.got()).toEqual([]);
    clock.advance(60_000);
    ask(guest, other);
    expect(guest.got().length).toBe(1);
  });

  test("messages that lie are dropped", () => {
    const { guest, network } = bench();
    const cuts = [0, 1, 239, 240, 241];
    for (const length of cuts) ask(guest, UDHCPC_DISCOVER.slice(0, length));
    ask(guest, hex(`${header("0000", "00000000")} 350101 3dff 01`)); // option past the end
    ask(guest, hex(`${header("0000", "00000000")} 3501`));
    const relayed = UDHCPC_DISCOVER.slice();
    relayed[27] = 1;
    ask(guest, relayed);
    expect(guest.got()).toEqual([]);
    expect(network.counters.dropped.malformed).toBe(cuts.length + 3);
  });
});
