import { RestoreError } from "@virtio-ts/virtio-device";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NetDevice } from "../src/index.ts";
import { frame, MAC, offerBuffers, RX, receive, setupNic, TX, transmit } from "./support/nic.ts";

const OTHER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 7);

describe("a NIC's snapshot", () => {
  it("is plain data", () => {
    expect(JSON.parse(JSON.stringify(new NetDevice({ mac: MAC }).save()))).toEqual({
      version: 1,
      mac: [...MAC],
      ownMac: [...MAC],
      mtu: 1500,
      linkUp: true,
      carrier: false,
    });
  });

  it("goes on elsewhere, in the middle of traffic: with the driver's rings, address and link", () => {
    const s = setupNic({ features: [15] });
    offerBuffers(s, 4, 100);
    s.backend.send(frame(60, 1), frame(500, 2));
    s.backend.room = 1;
    for (let i = 0; i < 3; i++) transmit(s, frame(60, i));
    s.kick(TX);
    const state = JSON.parse(JSON.stringify(s.core.save()));

    const t = setupNic({ memory: s.memory, offset: 0x10_0000, asleep: true, nic: { mac: OTHER_MAC } });
    t.core.restore(state);
    expect([...t.nic.mac]).toEqual([...MAC]);
    t.scheduler.run();
    expect(t.backend.frames.map((f) => f.bytes)).toEqual([frame(60, 1), frame(60, 2)]);
    expect(s.tx.collect().length).toBe(3);
    offerBuffers(s, 4, 100);
    expect(t.backend.send(frame(500, 2))).toBe(1);
    expect(receive(s).map((f) => f.bytes)).toEqual([frame(60, 1), frame(500, 2)]);
    expect(t.core.save()).toMatchObject({ status: 15, active: true });
  });

  it("of a legacy driver keeps the address that driver gave it, and the one it has after a reset", () => {
    const s = setupNic({ legacy: true });
    s.core.config.write(5, 1, 9);
    const t = setupNic({ memory: s.memory, offset: 0x10_0000, asleep: true, nic: { mac: OTHER_MAC } });
    t.core.restore(JSON.parse(JSON.stringify(s.core.save())));
    expect(t.nic.mac[5]).toBe(9);
    transmit(s, frame(60), new Uint8Array(10));
    t.kick(TX);
    expect(t.backend.frames.map((f) => f.bytes)).toEqual([frame(60)]);
    t.core.writeStatus(0, true);
    expect([...t.nic.mac]).toEqual([...MAC]);
  });

  it("of a link that is down stays down", () => {
    const s = setupNic();
    s.nic.linkUp = false;
    const t = setupNic({ memory: s.memory, offset: 0x10_0000, asleep: true });
    t.core.restore(s.core.save());
    expect(t.nic.linkUp).toBe(false);
    expect(t.nic.peer).toBeNull();
  });

  it("is not one of a NIC with other queues or another MTU", () => {
    const state = setupNic().core.save();
    for (const nic of [{ queueSize: 32 }, { mtu: 9000 }]) {
      const t = setupNic({ asleep: true, nic });
      expect(() => t.core.restore(state)).toThrow(expect.objectContaining({ code: "mismatch" }));
      expect(t.core.status).toBe(0);
    }
  });

  it("is not one of a NIC that offers less", () => {
    const state = setupNic({ features: [0, 11] }).core.save();
    const t = setupNic({ asleep: true, nic: { features: 1n } });
    expect(() => t.core.restore(state)).toThrow(expect.objectContaining({ code: "mismatch" }));
  });

  it("is not one with features that lack what they need", () => {
    const s = setupNic({ features: [0, 11] });
    const state = { ...s.core.save(), driverFeatures: [1 << 11, 1, 0, 0] };
    const t = setupNic({ memory: s.memory, offset: 0x10_0000, asleep: true });
    expect(() => t.core.restore(state)).toThrow(expect.objectContaining({ code: "mismatch" }));
  });

  it.each([
    ["version", null],
    ["version", undefined],
    ["version", {}],
    ["version", { version: 2 }],
    ["shape", { version: 1, mac: [1, 2, 3, 4, 5], ownMac: [...MAC], mtu: 1500, linkUp: true, carrier: true }],
    ["shape", { version: 1, mac: [1, 2, 3, 4, 5, 6, 7], ownMac: [...MAC], mtu: 1500, linkUp: true, carrier: true }],
    ["shape", { version: 1, mac: { length: 6 }, ownMac: [...MAC], mtu: 1500, linkUp: true, carrier: true }],
    ["shape", { version: 1, mac: new Array(6), ownMac: [...MAC], mtu: 1500, linkUp: true, carrier: true }],
    ["shape", { version: 1, mac: [...MAC], ownMac: [0, 0, 0, 0, 0, 256], mtu: 1500, linkUp: true, carrier: true }],
    ["shape", { version: 1, mac: [...MAC], ownMac: [...MAC], mtu: "1500", linkUp: true, carrier: true }],
    ["shape", { version: 1, mac: [...MAC], ownMac: [...MAC], mtu: 1500, linkUp: 1, carrier: true }],
    ["shape", { version: 1, mac: [...MAC], ownMac: [...MAC], mtu: 1500, linkUp: true }],
    ["mismatch", { version: 1, mac: [...MAC], ownMac: [...MAC], mtu: 1501, linkUp: true, carrier: true }],
  ])("that lies is refused with code %s, and changes nothing", (code, state) => {
    const nic = new NetDevice({ mac: OTHER_MAC });
    expect(() => nic.restore(state)).toThrow(expect.objectContaining({ name: "RestoreError", code }));
    expect(nic.save()).toEqual(new NetDevice({ mac: OTHER_MAC }).save());
  });

  it("of any value at all: RestoreError, or restored", () => {
    fc.assert(
      fc.property(fc.anything(), fc.object(), (value, fields) => {
        for (const state of [value, { ...new NetDevice().save(), ...fields }]) {
          const nic = new NetDevice();
          try {
            nic.restore(state);
          } catch (error) {
            expect(error).toBeInstanceOf(RestoreError);
          }
        }
      }),
    );
  });

  it("and the NIC it was taken of goes on as well", () => {
    const s = setupNic();
    s.core.save();
    offerBuffers(s, 1, 100);
    s.kick(RX);
    s.backend.send(frame(60));
    expect(receive(s).length).toBe(1);
  });
});
