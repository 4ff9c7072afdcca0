/**
 * A driver that lies in its rings, seen from the machine: nothing throws, nothing outside of the device areas is
 * written, the card asks for a reset, the other card on the bus works on, and the reset brings the card back.
 */
import { describe, expect, it } from "vitest";
import { frame, type Interface, type Nic, RX, TX } from "./support/nic.ts";
import { HIGH_START, Pair, RAM_END } from "./support/pair.ts";
import { INDIRECT, NEXT, type Ring, WRITE } from "./support/ring.ts";

const MRG_RXBUF = 1n << 15n;
const INDIRECT_DESC = 1n << 28n;

interface Attack {
  readonly name: string;
  readonly code: string;
  /** Features beyond the version. */
  readonly features?: bigint;
  readonly ringSize?: number;
  /** Writes the ring; `flag` is WRITE for the receive queue, `at` some good memory. */
  readonly lay: (ring: Ring, flag: number, at: number) => void;
}

const single: readonly Attack[] = [
  {
    name: "a descriptor that is its own next",
    code: "chain-too-long",
    lay: (ring, flag, at) => {
      ring.descriptor(0, at, 64, NEXT | flag, 0);
      ring.offer(0);
    },
  },
  {
    name: "a cycle of three descriptors behind a good one",
    code: "chain-too-long",
    lay: (ring, flag, at) => {
      for (let i = 0; i < 4; i++) ring.descriptor(i, at, 64, NEXT | flag, i === 3 ? 1 : i + 1);
      ring.offer(0);
    },
  },
  {
    name: "a cycle through the whole table",
    code: "chain-too-long",
    lay: (ring, flag, at) => {
      for (let i = 0; i < ring.size; i++) ring.descriptor(i, at, 64, NEXT | flag, (i + 1) % ring.size);
      ring.offer(7);
    },
  },
  {
    name: "a head past the table",
    code: "head-out-of-range",
    lay: (ring) => ring.offer(ring.size),
  },
  {
    name: "a next past the table",
    code: "next-out-of-range",
    lay: (ring, flag, at) => {
      ring.descriptor(0, at, 64, NEXT | flag, 0xffff);
      ring.offer(0);
    },
  },
  {
    name: "an available index ahead by more than the queue size",
    code: "avail-index",
    lay: (ring, flag, at) => {
      ring.descriptor(0, at, 64, flag);
      ring.setAvailIndex(ring.size + 1);
    },
  },
  {
    name: "an available index that went backwards",
    code: "avail-index",
    lay: (ring) => ring.setAvailIndex(0xffff),
  },
  {
    name: "a buffer that ends past memory",
    code: "buffer-out-of-range",
    lay: (ring, flag) => {
      ring.descriptor(0, HIGH_START + 0x1_0000 - 32, 64, flag);
      ring.offer(0);
    },
  },
  {
    name: "a buffer in the hole between two regions",
    code: "buffer-out-of-range",
    lay: (ring, flag) => {
      ring.descriptor(0, RAM_END + 0x1000, 64, flag);
      ring.offer(0);
    },
  },
  {
    name: "a buffer that runs from memory into the hole",
    code: "buffer-out-of-range",
    lay: (ring, flag) => {
      ring.descriptor(0, RAM_END - 32, 64, flag);
      ring.offer(0);
    },
  },
  {
    name: "a buffer from one region, over the hole, into the next",
    code: "buffer-out-of-range",
    lay: (ring, flag) => {
      ring.descriptor(0, RAM_END - 32, HIGH_START - RAM_END + 64, flag);
      ring.offer(0);
    },
  },
  {
    name: "a buffer whose end wraps around 2^64",
    code: "buffer-out-of-range",
    lay: (ring, flag) => {
      ring.descriptor(0, 0xffff_ffff_ffff_ffe0n, 64, flag);
      ring.offer(0);
    },
  },
  {
    name: "a buffer above 2^53",
    code: "buffer-out-of-range",
    lay: (ring, flag, at) => {
      ring.descriptor(0, (1n << 60n) + BigInt(at), 64, flag);
      ring.offer(0);
    },
  },
  {
    name: "a length of 2^32 - 1",
    code: "buffer-out-of-range",
    lay: (ring, flag, at) => {
      ring.descriptor(0, at, 0xffff_ffff, flag);
      ring.offer(0);
    },
  },
  {
    name: "a chain of more than 2^32 bytes",
    code: "chain-too-large",
    ringSize: 512,
    lay: (ring, flag) => {
      for (let i = 0; i < 500; i++) ring.descriptor(i, 0, RAM_END, (i < 499 ? NEXT : 0) | flag, i + 1);
      ring.offer(0);
    },
  },
  {
    name: "a device-readable descriptor behind a device-writable one",
    code: "order",
    lay: (ring, _, at) => {
      ring.descriptor(0, at, 64, NEXT | WRITE, 1);
      ring.descriptor(1, at + 64, 64);
      ring.offer(0);
    },
  },
  {
    name: "an indirect descriptor that was not negotiated",
    code: "indirect-unexpected",
    lay: (ring, flag, at) => {
      ring.table(at, 0, at + 4096, 64, flag);
      ring.descriptor(0, at, 16, INDIRECT);
      ring.offer(0);
    },
  },
];

/** Indirect tables, each with its length and content. */
const tables: readonly Attack[] = [
  { name: "of length 0", code: "indirect-length", lay: (ring, _, at) => void ring.descriptor(0, at, 0, INDIRECT) },
  {
    name: "whose length is no multiple of 16",
    code: "indirect-length",
    lay: (ring, _, at) => ring.descriptor(0, at, 24, INDIRECT),
  },
  {
    name: "in the hole",
    code: "indirect-out-of-range",
    lay: (ring) => ring.descriptor(0, RAM_END + 64, 32, INDIRECT),
  },
  {
    name: "that runs out of memory",
    code: "indirect-out-of-range",
    lay: (ring) => ring.descriptor(0, RAM_END - 16, 32, INDIRECT),
  },
  {
    name: "with another indirect table in it",
    code: "indirect-nested",
    lay: (ring, flag, at) => {
      ring.table(at, 0, at + 64, 16, INDIRECT);
      ring.table(at + 64, 0, at + 4096, 64, flag);
      ring.descriptor(0, at, 16, INDIRECT);
    },
  },
  {
    name: "together with NEXT",
    code: "indirect-next",
    lay: (ring, flag, at) => {
      ring.table(at, 0, at + 4096, 64, flag);
      ring.descriptor(0, at, 16, INDIRECT | NEXT, 1);
      ring.descriptor(1, at + 4096, 64, flag);
    },
  },
  {
    name: "with more entries in its chain than the queue has",
    code: "chain-too-long",
    lay: (ring, flag, at) => {
      const entries = ring.size + 1;
      for (let i = 0; i < entries; i++) ring.table(at, i, at + 0x8000, 8, (i < entries - 1 ? NEXT : 0) | flag, i + 1);
      ring.descriptor(0, at, 16 * entries, INDIRECT);
    },
  },
  {
    name: "with a cycle in it",
    code: "chain-too-long",
    lay: (ring, flag, at) => {
      ring.table(at, 0, at + 4096, 64, NEXT | flag, 1);
      ring.table(at, 1, at + 4096, 64, NEXT | flag, 0);
      ring.descriptor(0, at, 32, INDIRECT);
    },
  },
  {
    name: "with a next past its end",
    code: "next-out-of-range",
    lay: (ring, flag, at) => {
      ring.table(at, 0, at + 4096, 64, NEXT | flag, 2);
      ring.descriptor(0, at, 32, INDIRECT);
    },
  },
];

const indirect: readonly Attack[] = tables.map((attack) => ({
  ...attack,
  name: `an indirect table ${attack.name}`,
  features: INDIRECT_DESC,
  lay: (ring: Ring, flag: number, at: number): void => {
    attack.lay(ring, flag, at);
    ring.offer(0);
  },
}));

/** Lets the card look at its rings: by a kick, or by a frame that arrives. */
function trigger(nic: Nic, queue: number): void {
  nic.registers.kick(queue);
  if (queue === RX) nic.wire.send(frame(1));
}

const faces: readonly Interface[] = ["modern", "legacy"];
const queues = [
  { name: "transmit", queue: TX, flag: 0 },
  { name: "receive", queue: RX, flag: WRITE },
] as const;

describe.each(faces)("a %s driver", (face) => {
  describe.each(queues)("that lies in the $name queue", ({ queue, flag }) => {
    it.each([...single, ...indirect])(
      "by $name, stops that card alone [basic.device.device-status-field.2]",
      ({ code, features, ringSize, lay }) => {
        const pair = new Pair(face, ringSize === undefined ? {} : { ringSize });
        const { victim } = pair;
        victim.up(features);
        const ring = queue === TX ? victim.tx : victim.rx;
        lay(ring, flag, victim.base + 0x18_0000);
        pair.writesOnlyUsedRings(() => trigger(victim, queue));
        pair.expectNeedsReset(code);
        expect(victim.wire.frames).toEqual([]);
        trigger(victim, queue); // and once more, now that it has stopped
        pair.expectRecovery(features);
      },
    );
  });

  it("that makes a receive buffer available twice gets a frame in it, gets it back, and then the same once more", () => {
    const pair = new Pair(face);
    const { rx, wire, base } = pair.victim;
    rx.descriptor(3, base + 0x18_0000, 128, WRITE);
    rx.offer(3);
    rx.offer(3);
    wire.sendAll([frame(1), frame(2)]);
    expect(rx.takeUsed().map(({ id }) => id)).toEqual([3, 3]);
    pair.expectRecovery();
  });

  it("that makes a receive buffer available twice gets nothing of a frame that would need both", () => {
    const pair = new Pair(face);
    const { victim } = pair;
    victim.up(MRG_RXBUF);
    const { rx, wire, base } = victim;
    rx.descriptor(3, base + 0x18_0000, 128, WRITE);
    rx.offer(3);
    rx.offer(3);
    wire.sendAll([frame(1, 200)]);
    expect(rx.takeUsed(), "the frame waits for another buffer").toEqual([]);
    pair.expectRecovery();
  });

  it("that makes a transmit buffer available twice sends it twice, one after the other, and gets it back as often", () => {
    const pair = new Pair(face);
    const { tx, wire, base, registers } = pair.victim;
    tx.descriptor(3, base + 0x18_0000, 128);
    tx.offer(3);
    tx.offer(3);
    registers.kick(TX);
    expect(tx.takeUsed().map(({ id }) => id)).toEqual([3, 3]);
    expect(wire.frames.length).toBe(2);
    pair.expectRecovery();
  });

  it("may end a chain of direct descriptors in an indirect one, and leave descriptors empty [split.device.indirect-descriptors.2]", () => {
    const { victim, bystander } = new Pair(face);
    victim.up(INDIRECT_DESC);
    const { tx, machine } = victim;
    const at = victim.base + 0x18_0000;
    const sent = frame(9, 100);
    machine.memory.fill(at, victim.headerSize);
    machine.memory.write(at + 0x100, sent);
    tx.descriptor(0, at, victim.headerSize, NEXT, 1);
    tx.descriptor(1, at, 0, NEXT, 2);
    tx.descriptor(2, at + 0x1000, 32, INDIRECT);
    tx.table(at + 0x1000, 0, at + 0x100, 40, NEXT, 1);
    tx.table(at + 0x1000, 1, at + 0x128, 60);
    tx.offer(0);
    victim.registers.kick(TX);
    expect(victim.wire.frames).toEqual([sent]);
    expect(victim.faults).toEqual([]);
    bystander.expectWorks();
  });

  it("whose receive buffers are its own rings harms itself alone", () => {
    const pair = new Pair(face);
    const { victim } = pair;
    const before = pair.machine.memory.regions[1].u8.slice();
    for (let i = 0; i < 8; i++) {
      victim.rx.descriptor(i, victim.rx.base, 8192, WRITE);
      victim.rx.offer(i);
    }
    victim.registers.kick(RX);
    for (let i = 0; i < 16; i++) victim.wire.send(frame(i, 1500));
    victim.send(frame(1));
    expect(Buffer.compare(pair.machine.memory.regions[1].u8, before)).toBe(0);
    pair.expectRecovery();
  });

  it("whose transmit buffers are its rings and other cards' gets frames of them, no more", () => {
    const pair = new Pair(face);
    const { victim, bystander } = pair;
    victim.tx.chain({ address: victim.tx.used, length: 64 }, { address: bystander.rx.base, length: 64 });
    victim.registers.kick(TX);
    pair.expectRecovery();
  });

  it("that sends chains by the thousand from one end of memory to the other keeps no turn for itself", () => {
    const pair = new Pair(face);
    const { victim } = pair;
    for (let i = 0; i < 256; i++) {
      for (let k = 0; k < 256; k++) victim.tx.descriptor(k, 0, 8, k < 255 ? NEXT : 0, k + 1);
      victim.tx.offer(0);
      if ((i & 15) === 15) victim.registers.kick(TX);
    }
    pair.expectRecovery();
  });
});
