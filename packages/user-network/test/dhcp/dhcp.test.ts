/** DHCP (RFC 2131) by what real clients send, byte by byte. */
import { describe, expect, test } from "vitest";
import type { BootClient, NetworkBoot, UserNetworkEvent } from "../../src/index.ts";
import { bench, type TestGuest } from "../support/test-guest.ts";
import { arpFrom, GATEWAY_MAC, GUEST_MAC, udpFrame, WORLD } from "../support/wire-test.ts";

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
    expect([...nak.options.keys()]).toEqual([53, 54, 56]);
    expect(String.fromCharCode(...nak.options.get(56)!)).toBe("192.168.1.5 is not free here");
    expect([...nak.message.subarray(12, 28)]).toEqual(new Array(16).fill(0)); // no address, no server
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

  test("when all addresses are given away the oldest offer gives way, and a lease whose owner is heard of does not", () => {
    const { guest, network } = bench({ subnet: "10.0.2.0/28", guest: "10.0.2.13" });
    const client = (byte: number, body: string): Uint8Array => {
      const message = hex(`${header("0000", "00000000")} ${body} ff`);
      message[33] = byte;
      return message;
    };
    const offered = (byte: number): number | undefined => {
      ask(guest, client(byte, "350101"));
      const [frame] = guest.got();
      return frame === undefined ? undefined : frame.view.getUint32(14 + 28 + 16);
    };
    expect([offered(1), offered(2), offered(3), offered(4)]).toEqual([0xa00020d, 0xa00020e, 0xa00020d, 0xa00020e]);
    expect(network.counters.tables.leases).toEqual({ evicted: 2, expired: 0 });
    ask(guest, client(3, "350103 32040a00020d"));
    expect(guest.one().view.getUint8(14 + 28 + 242)).toBe(5);
    expect([offered(5), offered(6)]).toEqual([0xa00020e, 0xa00020e]); // offers go first
    ask(guest, client(6, "350103 32040a00020e"));
    expect(guest.one().view.getUint8(14 + 28 + 242)).toBe(5);
    const speaks = (byte: number, source: number): void => {
      const fromMac = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, byte);
      guest.send(udpFrame(1, 9, Uint8Array.of(0), { source, destination: 0xffff_ffff, fromMac }));
    };
    speaks(3, 0x0a00020d);
    expect(offered(7)).toBe(0x0a00020e); // nobody speaks from there
    speaks(7, 0x0a00020e);
    ask(guest, client(7, "350103 32040a00020e"));
    expect(guest.one().view.getUint8(14 + 28 + 242)).toBe(5);
    expect(offered(8)).toBeUndefined();
    expect([offered(3), offered(7)]).toEqual([0xa00020d, 0xa00020e]);
  });

  test("an address is kept a minute for whom it was offered, from the last time it was", () => {
    const { guest, clock } = bench();
    const like15 = (byte: number): number => {
      const message = hex(`${header("0000", "00000000")} 350101 32040a00020f ff`);
      message[33] = byte;
      ask(guest, message);
      return guest.one().view.getUint32(14 + 28 + 16) & 255;
    };
    expect(like15(1)).toBe(15);
    clock.advance(59_999);
    expect([like15(2), like15(1)]).toEqual([16, 15]);
    clock.advance(59_999);
    expect(like15(3)).not.toBe(15);
    clock.advance(1);
    expect(like15(4)).toBe(15);
  });

  test("a guest that speaks from an address already is offered that one", () => {
    const { guest } = bench();
    guest.send(arpFrom(GUEST_MAC, 0x0a000220));
    ask(guest, hex(`${header("0000", "00000000")} 350101 32040a000220 ff`));
    expect(reply(guest).address).toBe(0x0a000220);
  });

  test("an address from which another guest speaks is not given out, whatever is asked for", () => {
    const { guest } = bench();
    guest.send(arpFrom(Uint8Array.of(2, 0, 0, 0, 0, 9), 0x0a00020f));
    ask(guest, UDHCPC_DISCOVER);
    expect(reply(guest).address).toBe(0x0a000210);
  });

  test("a guest that claims all addresses by ARP leaves one for who asks", () => {
    const { guest } = bench({ subnet: "10.0.2.0/28" });
    for (let i = 4; i < 15; i++) guest.send(arpFrom(Uint8Array.of(2, 0, 0, 0, 0, 9), 0x0a000200 + i));
    ask(guest, UDHCPC_DISCOVER);
    expect(reply(guest).type).toBe(2);
  });

  test("a lease that has run out is offered to its owner or to another, never to both", () => {
    const { guest, clock } = bench({ leaseSeconds: 60, subnet: "10.0.2.0/28", guest: "10.0.2.13" });
    ask(
      guest,
      UDHCPC_REQUEST.map((byte, i) => (UDHCPC_REQUEST[i - 3] === 10 && byte === 15 ? 13 : byte)),
    );
    expect(reply(guest)).toMatchObject({ type: 5, address: 0x0a00020d });
    clock.advance(60_000);
    ask(guest, UDHCPC_DISCOVER);
    const first = reply(guest).address;
    const other = UDHCPC_DISCOVER.slice();
    other[33] = 0x57;
    ask(guest, other);
    const second = guest.one().view.getUint32(14 + 28 + 16);
    expect([first, second].sort()).toEqual([0x0a00020d, 0x0a00020e]);
  });

  test("nobody gives back, or declines, what another has", () => {
    const { guest } = bench({ subnet: "10.0.2.0/28", guest: "10.0.2.13" });
    ask(guest, UDHCPC_DISCOVER);
    const { address } = reply(guest);
    for (const body of ["350107", "350104 32040a00020d"]) {
      const message = hex(`${header("0000", "0a00020d")} ${body} ff`);
      message[33] = 0x99;
      ask(guest, message);
    }
    const other = UDHCPC_DISCOVER.slice();
    other[33] = 0x57;
    ask(guest, other);
    expect(guest.one().view.getUint32(14 + 28 + 16)).not.toBe(address);
  });

  test("the gateway's and the name server's addresses are given to nobody, where they lie among the guests'", () => {
    const { guest } = bench({ guest: "10.0.2.4", gateway: "10.0.2.5", dns: "10.0.2.7", gatewayMac: GATEWAY_MAC });
    const addresses = [1, 2, 3].map((byte) => {
      const message = UDHCPC_DISCOVER.slice();
      message[33] = byte;
      ask(guest, message);
      return guest.one().view.getUint32(14 + 28 + 16) & 255;
    });
    expect(addresses).toEqual([4, 6, 8]);
    for (const own of ["0a000205", "0a000207"]) {
      ask(guest, hex(`${header("0000", "00000000")} 350103 3204${own} ff`));
      expect(guest.one().view.getUint8(14 + 28 + 242)).toBe(6);
      ask(guest, hex(`${header("0000", "00000000")} 350101 3204${own} ff`));
      expect(guest.one().view.getUint32(14 + 28 + 16) & 255).toBe(9);
      const release = hex(`${header("0000", "0a000209")} 350107 ff`);
      ask(guest, release);
    }
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
    // A reply, hardware that is no Ethernet, an address that has not its 6 bytes.
    for (const [at, value] of [
      [0, 2],
      [1, 6],
      [2, 8],
    ]) {
      const other = UDHCPC_DISCOVER.slice();
      other[at] = value;
      ask(guest, other);
    }
    expect(guest.got()).toEqual([]);
    expect(network.counters.dropped.malformed).toBe(cuts.length + 6);
  });

  test("a client that takes no more than 548 bytes gets what it needs most; one that takes more gets all", () => {
    const long = "x".repeat(253);
    const boot = { file: "f".repeat(127), serverName: "s".repeat(63) };
    const { guest } = bench({ hostname: long, domain: long, boot });
    ask(guest, UDHCPC_DISCOVER);
    const short = reply(guest);
    expect(short.message.length).toBeLessThanOrEqual(548);
    expect([...short.options.keys()]).toEqual([53, 54, 61, 51, 1, 3, 6, 66, 67, 26, 28]);
    ask(guest, hex(`${header("0000", "00000000")} 350101 390205dc ff`));
    expect([...reply(guest).options.keys()]).toEqual([53, 54, 51, 1, 3, 6, 66, 67, 26, 28, 12, 15]);
    ask(guest, hex(`${header("0000", "00000000")} 350101 39020001 ff`)); // nobody may say less than 576
    expect([...reply(guest).options.keys()]).toEqual([53, 54, 51, 1, 3, 6, 66, 67, 26, 28]);
  });

  test("a message fills the client's length to the last byte, and goes no further", () => {
    const length = (domain: number): [number, boolean] => {
      const { guest } = bench({ hostname: "h".repeat(200), domain: "d".repeat(domain) });
      ask(guest, hex(`${header("0000", "00000000")} 350101 ff`));
      const { message, options } = reply(guest);
      return [message.length, options.has(15)];
    };
    expect([length(60), length(61)]).toEqual([
      [548, true],
      [486, false],
    ]);
  });

  test("INFORM from an address that is none of this network's gets nothing", () => {
    const { guest } = bench();
    for (const ciaddr of ["00000000", "c0a80105", "0a0002ff"]) {
      ask(guest, hex(`${header("0000", ciaddr)} 350108 ff`));
    }
    expect(guest.got()).toEqual([]);
  });

  test("a client that renews what it can't have gets its NAK as everybody does (RFC 2131, 4.3.2)", () => {
    const { guest } = bench();
    ask(guest, hex(`${header("0000", "0a000205")} 350103 ff`), { source: 0x0a000205 });
    expect(reply(guest)).toMatchObject({ type: 6, ipDestination: 0xffff_ffff, toMac: [255, 255, 255, 255, 255, 255] });
  });

  test("pads between options are passed over (RFC 2132, 3.1)", () => {
    const { guest } = bench();
    ask(guest, hex(`${header("0000", "00000000")} 00 350101 000000 3d0701525400123456 00 ff`));
    const offer = reply(guest);
    expect([offer.type, offer.options.get(61)]).toEqual([2, [1, ...GUEST_MAC]]);
  });

  test("a lease that is renewed leaves its guest known: what comes for it is sent at once", () => {
    const { guest, host } = bench();
    ask(guest, UDHCPC_REQUEST);
    reply(guest);
    guest.send(udpFrame(1000, 2000, Uint8Array.of(1), { destination: WORLD }));
    ask(guest, hex(`${header("0000", "0a00020f")} 350103 ff`), { source: 0x0a00020f, destination: 0x0a000202 });
    expect(reply(guest).type).toBe(5);
    host.sockets[0].handlers.message(Uint8Array.of(9), "93.184.216.34", 2000);
    expect(guest.one().protocol).toBe(17); // and not a question by ARP
  });

  test("a lease runs out though its client asks for an offer meanwhile: only a request prolongs it", () => {
    const { guest, network, clock } = bench({ leaseSeconds: 60 });
    ask(guest, UDHCPC_REQUEST);
    reply(guest);
    clock.advance(59_999);
    ask(guest, UDHCPC_DISCOVER);
    expect(reply(guest)).toMatchObject({ type: 2, address: 0x0a00020f });
    clock.advance(1);
    expect(network.counters.tables.leases).toEqual({ evicted: 0, expired: 1 });
  });

  test("an option in two parts is one (RFC 3396)", () => {
    const seen: (string | undefined)[] = [];
    const boot = ({ vendorClass }: BootClient): undefined => void seen.push(vendorClass);
    const { guest } = bench({ boot });
    ask(guest, hex(`${header("0000", "00000000")} 350101 3c03505845 3c06436c69656e74 ff`));
    expect(seen).toEqual(["PXEClient"]);
    expect(reply(guest).type).toBe(2);
  });
});

describe("BOOTP (RFC 951)", () => {
  const padded = (text: string): Uint8Array => {
    const bytes = new Uint8Array(300);
    bytes.set(hex(text));
    return bytes;
  };
  const noCookie = header("0000", "00000000").slice(0, -8);

  test.each([
    ["the cookie of RFC 1497", padded(`${noCookie}63825363 ff`)],
    ["the cookie and a subnet mask it would like", padded(`${noCookie}63825363 0104 00000000 ff`)],
    ["no cookie, as WatTCP", padded(noCookie)],
    ["another vendor's cookie", padded(`${noCookie}434d5500 01020304`)],
  ])("a request with %s gets an address, in a reply that says the rest in 64 bytes", (_what, request) => {
    const { guest } = bench({ domain: "d".repeat(60), hostname: "guest" });
    ask(guest, request);
    const { payload, destination, bytes } = guest.one();
    const message = payload.slice(8);
    expect(message.length).toBe(548);
    expect([destination, ...bytes.subarray(0, 6)]).toEqual([0x0a00020f, ...GUEST_MAC]);
    expect([...message.subarray(12, 28)]).toEqual([0, 0, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2, 0, 0, 0, 0]);
    expect([...message.subarray(236, 300)]).toEqual([
      ...hex(`63825363 0104ffffff00 03040a000202 06040a000203 1a0205dc 1c040a0002ff 0c056775657374 ff ${zeros(24)}`),
    ]);
    expect(message.subarray(300).every((byte) => byte === 0)).toBe(true);
  });

  test("the same client has the same address, another one another; a client of DHCP does not get it either", () => {
    const { guest } = bench();
    const request = padded(noCookie);
    const given = (): number => guest.one().view.getUint32(14 + 28 + 16) & 255;
    ask(guest, request);
    expect(given()).toBe(15);
    ask(guest, request);
    expect(given()).toBe(15);
    request[33] = 1;
    ask(guest, request);
    expect(given()).toBe(16);
    const discover = UDHCPC_DISCOVER.slice();
    discover[33] = 2;
    ask(guest, discover);
    expect(given()).toBe(17);
  });

  test("a client that knows its address gets the rest", () => {
    const { guest, network } = bench();
    ask(guest, padded(header("0000", "0a000220").slice(0, -8)), { source: 0x0a000220 });
    const { payload, destination } = guest.one();
    expect([destination, ...payload.subarray(8 + 16, 8 + 20)]).toEqual([0x0a000220, 0, 0, 0, 0]);
    ask(guest, padded(header("0000", "c0000201").slice(0, -8)));
    expect(guest.got()).toEqual([]);
    expect(network.counters.dropped.malformed).toBe(0);
  });

  test("a message that is shorter, or whose type is none, is malformed", () => {
    const { guest, network } = bench();
    ask(guest, padded(noCookie).slice(0, 299));
    ask(guest, padded(`${noCookie}63825363 350100 ff`));
    ask(guest, padded(`${noCookie}63825363 3500 ff`));
    ask(guest, padded(`${noCookie}63825363 35020101 ff`));
    expect(guest.got()).toEqual([]);
    expect(network.counters.dropped.malformed).toBe(4);
  });
});

describe("booting from the network", () => {
  /** SeaBIOS' iPXE: architecture, vendor class, user class without a length. */
  const IPXE_DISCOVER = hex(
    `${header("0000", "00000000")} 350101 390205c0 5d020000 5e03010201 3c20
     505845436c69656e743a417263683a30303030303a554e44493a303032303031 4d0469505845
     3718 01 03 06 07 0c 0f 11 1a 2b 3c 42 43 77 80 81 82 83 84 85 86 87 af cb 01 ff`,
  );
  const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes).replace(/\0.*$/s, "");
  const fields = ({ message }: Reply): unknown[] => [
    [...message.subarray(20, 24)].join("."),
    text(message.subarray(44, 108)),
    text(message.subarray(108, 236)),
  ];
  const options = (offer: Reply): (string | undefined)[] =>
    [66, 67].map((code) => offer.options.get(code)).map((bytes) => bytes && String.fromCharCode(...bytes));

  test("server, name and file are in the fields and the options of each answer but a NAK", () => {
    const { guest } = bench({ boot: { server: "192.0.2.9", serverName: "tftp.example.org", file: "pxelinux.0" } });
    for (const message of [IPXE_DISCOVER, UDHCPC_REQUEST]) {
      ask(guest, message);
      const answer = reply(guest);
      expect(fields(answer)).toEqual(["192.0.2.9", "tftp.example.org", "pxelinux.0"]);
      expect(options(answer)).toEqual(["tftp.example.org", "pxelinux.0"]);
    }
    ask(guest, hex(`${header("0000", "00000000")} 350103 3204c0a80105 ff`));
    const nak = reply(guest);
    expect([fields(nak), options(nak)]).toEqual([
      ["0.0.0.0", "", ""],
      [undefined, undefined],
    ]);
  });

  test("the server is the gateway unless said, and named by its address; without a file none is named", () => {
    const { guest } = bench({ boot: {} });
    ask(guest, IPXE_DISCOVER);
    const offer = reply(guest);
    expect([fields(offer), options(offer)]).toEqual([
      ["10.0.2.2", "10.0.2.2", ""],
      ["10.0.2.2", undefined],
    ]);
  });

  test("without a word about booting the next server is the gateway, and nothing is named", () => {
    const { guest } = bench();
    ask(guest, IPXE_DISCOVER);
    const offer = reply(guest);
    expect([fields(offer), options(offer)]).toEqual([
      ["10.0.2.2", "", ""],
      [undefined, undefined],
    ]);
  });

  test("a name or a file too long for its field is in its option only", () => {
    const boot = { serverName: "n".repeat(64), file: "f".repeat(128) };
    const { guest } = bench({ boot });
    ask(guest, IPXE_DISCOVER);
    const offer = reply(guest);
    expect([fields(offer), options(offer)]).toEqual([
      ["10.0.2.2", "", ""],
      [boot.serverName, boot.file],
    ]);
    const { guest: other } = bench({ boot: { serverName: "n".repeat(63), file: "f".repeat(127) } });
    ask(other, IPXE_DISCOVER);
    expect(fields(reply(other))).toEqual(["10.0.2.2", "n".repeat(63), "f".repeat(127)]);
  });

  test("a function is told what the client says, and chooses: so iPXE, once loaded, gets its script", () => {
    const asked: BootClient[] = [];
    const boot = (client: BootClient): NetworkBoot | undefined => {
      asked.push(client);
      if (client.userClasses.includes("iPXE")) return { file: "http://10.0.2.2/boot.ipxe" };
      return client.architecture === 7 ? { file: "ipxe.efi" } : undefined;
    };
    const { guest } = bench({ boot });
    ask(guest, IPXE_DISCOVER);
    expect(options(reply(guest))).toEqual(["10.0.2.2", "http://10.0.2.2/boot.ipxe"]);
    // UEFI: architecture 7, user class by RFC 3004.
    ask(guest, hex(`${header("0000", "00000000")} 350101 5d020007 3c09505845436c69656e74 4d0601410341424300 ff`));
    expect(options(reply(guest))).toEqual(["10.0.2.2", "ipxe.efi"]);
    ask(guest, hex(`${header("0000", "00000000")} 350101 5d0400060007 4d060141034142430000 ff`));
    expect(options(reply(guest))).toEqual([undefined, undefined]);
    ask(guest, hex(`${header("0000", "00000000")} 350101 5d0107 4d00 ff`));
    reply(guest);
    ask(guest, hex(`${header("0000", "00000000")} 350101 4d020000 ff`));
    reply(guest);
    const mac = "52:54:00:12:34:56";
    const vendorClass = "PXEClient:Arch:00000:UNDI:002001";
    expect(asked).toEqual([
      { mac, architecture: 0, vendorClass, userClasses: ["iPXE"] },
      { mac, architecture: 7, vendorClass: "PXEClient", userClasses: ["A", "ABC"] },
      { mac, architecture: 6, vendorClass: undefined, userClasses: ["A", "ABC"] },
      { mac, architecture: undefined, vendorClass: undefined, userClasses: [] },
      { mac, architecture: undefined, vendorClass: undefined, userClasses: ["\0\0"] },
    ]);
  });

  test("BOOTP tells it in the fields", () => {
    const { guest } = bench({ boot: { file: "vmlinuz" } });
    const request = new Uint8Array(300);
    request.set(hex(header("0000", "00000000").slice(0, -8)));
    ask(guest, request);
    const message = guest.one().payload.slice(8);
    expect([[...message.subarray(20, 24)].join("."), text(message.subarray(108, 236))]).toEqual([
      "10.0.2.2",
      "vmlinuz",
    ]);
    expect(message.subarray(240, 300).includes(66)).toBe(false);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("no");
      },
    ],
    ["answers with a promise", async () => ({})],
    ["names a file that is none", () => ({ file: 7 })],
    ["names a server that is none", () => ({ server: "tftp" })],
    ["answers with null", () => null],
  ])("a function that %s has said nothing: the guest gets its address, and the user is told", (_how, boot) => {
    const told: UserNetworkEvent[] = [];
    const { guest, network } = bench({
      boot: boot as unknown as () => undefined,
      trace: (event) => {
        told.push(event);
      },
    });
    ask(guest, IPXE_DISCOVER);
    const offer = reply(guest);
    expect([offer.address, options(offer)]).toEqual([0x0a00020f, [undefined, undefined]]);
    expect(network.counters.faults).toBe(1);
    expect(told).toMatchObject([{ type: "fault", error: { code: "CALLBACK_FAILED" } }]);
  });

  test.each([
    [{ server: "tftp" }, "BAD_ADDRESS"],
    [{ file: "" }, "BAD_VALUE"],
    [{ file: "f".repeat(256) }, "BAD_VALUE"],
    [{ file: "a\0b" }, "BAD_VALUE"],
    [{ serverName: "ä" }, "BAD_VALUE"],
  ])("%o can't be", (boot, code) => {
    expect(() => bench({ boot })).toThrow(expect.objectContaining({ code }));
  });
});
