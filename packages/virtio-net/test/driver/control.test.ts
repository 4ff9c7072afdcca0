/** Commands of the control virtqueue: VIRTIO 1.4, 5.1.6.5. */
import { describe, expect, it } from "vitest";
import { frame } from "../support/nic.ts";
import { headed, packetOf, type StrictOptions, setupStrict } from "./support/strict.ts";
import { F, STRICT_MAC } from "./support/strict-nic.ts";

const MAC = Uint8Array.of(2, 4, 6, 8, 10, 12);
const RX_MODE = { features: [F.MAC, F.CTRL_VQ, F.CTRL_RX] };
const MAC_ADDR = { features: [F.MAC, F.CTRL_VQ, F.CTRL_RX, F.CTRL_MAC_ADDR] };
/** What is told to every device that can be told. */
const SETTINGS = ["0/0 [0]", "0/1 [1]"];
const MULTI = { features: [F.CTRL_VQ, F.MQ], pairs: 4 };

/** Commands, as `class/command [data]`. */
const seen = (s: { device: { commands: { class: number; command: number; data: number[] }[] } }): string[] =>
  s.device.commands.map(({ class: of, command, data }) => `${of}/${command} [${data}]`);

describe("a command", () => {
  it("is a descriptor for class and command, one for its data, and one for the answer", async () => {
    const s = await setupStrict({ device: MAC_ADDR });
    s.device.commands.length = 0;
    await s.driver.setHwaddr(MAC);
    expect(s.device.commands).toEqual([{ class: 1, command: 1, data: [...MAC], elements: [2, 6, 1] }]);
    expect(s.device.problems).toEqual([]);
  });

  it("is framed likewise for a legacy device [net.legacy.driver.legacy-interface-framing-requirements.2]", async () => {
    const s = await setupStrict({ device: RX_MODE, legacy: true, without: 1n << 27n });
    expect(s.device.commands.map(({ elements }) => elements)).toEqual([
      [2, 1, 1],
      [2, 1, 1],
    ]);
  });

  it.each([1, 2, 0xff])("answered by %i is refused, and others can follow", async (ack) => {
    const s = await setupStrict({ device: MAC_ADDR });
    s.device.answer = () => ack;
    await expect(s.driver.setHwaddr(MAC)).rejects.toMatchObject({ code: "refused", errno: "EIO" });
    expect([...s.driver.hwaddr]).toEqual(STRICT_MAC);
    s.device.answer = () => 0;
    await s.driver.setHwaddr(MAC);
    expect(s.driver.hwaddr).toEqual(MAC);
  });

  it("that is never answered is waited for, but not for ever; nor is any other then", async () => {
    const s = await setupStrict({ device: MAC_ADDR });
    s.device.answer = () => null;
    await expect(s.driver.setHwaddr(MAC)).rejects.toMatchObject({ code: "timeout" });
    await expect(s.driver.setHwaddr(MAC)).rejects.toMatchObject({ code: "timeout" });
    expect(seen(s)).toEqual([...SETTINGS, "1/1 [2,4,6,8,10,12]"]);
    s.device.deliver(0, headed({}, frame(60)));
    expect(s.rxqs[0].rxOne()).toBe(1);
    s.device.answer = () => 0;
    await s.driver.stop();
    await s.driver.start();
    await s.driver.setHwaddr(MAC);
    expect(s.driver.hwaddr).toEqual(MAC);
  });

  it("waits for those before it", async () => {
    const s = await setupStrict({ device: MAC_ADDR });
    const macs = Array.from({ length: 20 }, (_, i) => Uint8Array.of(2, 0, 0, 0, 0, i));
    await Promise.all(macs.map((mac) => s.driver.setHwaddr(mac)));
    expect(s.device.commands.slice(2).map(({ data }) => data[5])).toEqual(macs.map((mac) => mac[5]));
  });

  it("under way when the driver is stopped ends with it", async () => {
    const s = await setupStrict({ device: MAC_ADDR });
    s.device.answer = () => null;
    const setting = expect(s.driver.setHwaddr(MAC)).rejects.toMatchObject({ code: "invalid" });
    await s.driver.stop();
    await setting;
    expect([...s.driver.hwaddr]).toEqual(STRICT_MAC);
  });

  it("answered without a byte written is not taken for done", async () => {
    const s = await setupStrict({ device: MAC_ADDR });
    s.transport.notify = () => {
      const [available, used] = [s.core.queues[2].address(1), s.core.queues[2].address(2)];
      const entry = s.memory.readU16(used + 2);
      s.memory.writeU32(used + 4 + 8 * (entry % 4), s.memory.readU16(available + 4 + 2 * (entry % 4)));
      s.memory.writeU32(used + 8 + 8 * (entry % 4), 1);
      s.memory.writeU16(used + 2, entry + 1);
    };
    await expect(s.driver.setHwaddr(MAC)).rejects.toMatchObject({ code: "refused" });
  });
});

describe("promiscuous mode", () => {
  it("is off after start, and multicast frames all come", async () => {
    const s = await setupStrict({ device: RX_MODE });
    expect([s.device.promiscuous, s.device.allMulticast, s.driver.promiscuous]).toEqual([false, true, false]);
    expect(seen(s)).toEqual(SETTINGS);
  });

  it("is set and got, and outlives a restart", async () => {
    const s = await setupStrict({ device: RX_MODE });
    await s.driver.setPromiscuous(true);
    expect([s.device.promiscuous, s.driver.promiscuous]).toEqual([true, true]);
    await s.driver.stop();
    await s.driver.start();
    expect([s.device.promiscuous, s.driver.promiscuous]).toEqual([true, true]);
    await s.driver.stop();
    await s.driver.setPromiscuous(false);
    await s.driver.start();
    expect([s.device.promiscuous, s.driver.promiscuous]).toEqual([false, false]);
    expect(s.device.problems).toEqual([]);
  });

  it("is not set without CTRL_RX [net.driver.packet-receive-filtering.1]", async () => {
    const s = await setupStrict({ device: { features: [F.MAC, F.CTRL_VQ] } });
    await expect(s.driver.setPromiscuous(true)).rejects.toMatchObject({ errno: "ENOTSUP" });
    expect(seen(s)).toEqual([]);
  });
});

describe("the address", () => {
  it("that is the device's own is not set", async () => {
    const s = await setupStrict({ device: { features: [...RX_MODE.features, F.CTRL_MAC_ADDR] } });
    expect(seen(s)).toEqual(SETTINGS);
  });

  it("that is another is set at each start [net.driver.setting-mac-address-filtering.2]", async () => {
    const device = { features: [...RX_MODE.features, F.CTRL_MAC_ADDR] };
    const s = await setupStrict({ device, upTo: "queues" });
    await s.driver.setHwaddr(MAC);
    expect(seen(s)).toEqual([]);
    await s.driver.start();
    expect([...s.device.config.bytes.subarray(0, 6)]).toEqual([...MAC]);
    await s.driver.stop();
    expect([...s.device.config.bytes.subarray(0, 6)]).toEqual(STRICT_MAC);
    await s.driver.start();
    expect([...s.device.config.bytes.subarray(0, 6)]).toEqual([...MAC]);
  });

  it("that was made up is told to a device that can be told", async () => {
    const s = await setupStrict({ device: { features: [F.CTRL_VQ, F.CTRL_RX, F.CTRL_MAC_ADDR] } });
    expect(seen(s)).toEqual([`1/1 [${s.driver.hwaddr}]`, ...SETTINGS]);
  });

  it("is not set by command without CTRL_RX [net.driver.setting-mac-address-filtering.1]", async () => {
    const s = await setupStrict({ device: { features: [F.MAC, F.CTRL_VQ, F.CTRL_MAC_ADDR] } });
    await expect(s.driver.setHwaddr(MAC)).rejects.toMatchObject({ errno: "ENOTSUP" });
    expect(seen(s)).toEqual([]);
  });
});

describe("several queue pairs", () => {
  it("are enabled by VQ_PAIRS_SET, once their queues are set up [net.driver.automatic-receive-steering-in-multiqueue-mode.1][net.driver.automatic-receive-steering-in-multiqueue-mode.2]", async () => {
    for (const pairs of [2, 3, 4]) {
      const s = await setupStrict({ device: MULTI, pairs, buffers: 128 });
      expect(seen(s)).toEqual([`4/0 [${pairs},0]`]);
      expect([s.device.activePairs, s.device.problems]).toEqual([pairs, []]);
    }
  });

  it("of one pair nothing is said", async () => {
    const s = await setupStrict({ device: MULTI });
    expect([seen(s), s.device.activePairs]).toEqual([[], 1]);
  });

  it("send by none but the first before that, and by none above the last after it [net.driver.automatic-receive-steering-in-multiqueue-mode.3][net.driver.automatic-receive-steering-in-multiqueue-mode.4]", async () => {
    const s = await setupStrict({ device: MULTI, pairs: 3, upTo: "queues" });
    const packets = [0, 1, 2].map((seed) => packetOf(s.pool, frame(60, seed)));
    const early: number[] = [];
    s.device.answer = () => {
      early.push(...s.txqs.map((txq, i) => txq.txOne(packets[i])));
      return 0;
    };
    await s.driver.start();
    expect(early).toEqual([-22, -22, -22]);
    expect(s.txqs.map((txq, i) => txq.txOne(packets[i]))).toEqual([3, 3, 3]);
    expect(s.device.sent.map(({ pair, bytes }) => [pair, bytes[20]])).toEqual(
      [0, 1, 2].map((i) => [i, frame(60, i)[8]]),
    );
    expect(s.device.problems).toEqual([]);
    expect(s.core.queues.map(({ enabled }) => enabled)).toEqual([...new Array(6).fill(true), false, false, true]);
  });

  it("receive each by its own queue", async () => {
    const s = await setupStrict({ device: MULTI, pairs: 3 });
    for (const pair of [2, 0, 1]) s.device.deliver(pair, headed({}, frame(60, pair)));
    for (const [pair, rxq] of s.rxqs.entries()) {
      expect(rxq.rxOne()).toBe(1);
      expect(s.pool.read(rxq.packet)).toEqual(frame(60, pair));
    }
  });

  it("that the device refuses are no start", async () => {
    const s = await setupStrict({ device: MULTI, pairs: 2, upTo: "queues" });
    s.device.answer = () => 1;
    await expect(s.driver.start()).rejects.toMatchObject({ code: "refused" });
    expect([s.driver.state, s.core.status, s.pool.available]).toEqual([3, 0, 64]);
  });
});

describe("announcements", () => {
  const setup = (more: StrictOptions = {}) => {
    const announced: number[] = [];
    const device = { features: [F.STATUS, F.CTRL_VQ, F.GUEST_ANNOUNCE] };
    return setupStrict({ device, onAnnounce: () => void announced.push(1), ...more }).then((s) => ({ s, announced }));
  };
  const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

  it("are asked of the network stack, and acknowledged [net.driver.gratuitous-packet-sending.1][net.driver.gratuitous-packet-sending.2]", async () => {
    const { s, announced } = await setup();
    s.device.setStatus(3);
    expect(announced.length).toBe(1);
    await settled();
    expect([seen(s), s.device.config.bytes[6]]).toEqual([["3/0 []"], 1]);
    s.device.setStatus(1);
    await settled();
    expect([announced.length, seen(s).length]).toEqual([1, 1]);
  });

  it("that were asked for before start are made after it", async () => {
    const { s, announced } = await setup({ upTo: "queues" });
    s.device.config.bytes[6] = 3;
    await s.driver.start();
    await settled();
    expect([announced.length, seen(s), s.device.config.bytes[6]]).toEqual([1, ["3/0 []"], 1]);
  });

  it("are nobody's where GUEST_ANNOUNCE was not negotiated: bit 1 of status says nothing then", async () => {
    const { s, announced } = await setup({ device: { features: [F.STATUS, F.CTRL_VQ] } });
    s.device.setStatus(3);
    await settled();
    expect([announced, seen(s)]).toEqual([[], []]);
  });

  it("are acknowledged one at a time, however often they are asked for", async () => {
    const { s, announced } = await setup();
    s.device.answer = () => null;
    for (let i = 0; i < 1000; i++) s.device.setStatus(3);
    expect(announced.length).toBe(1000);
    await settled();
    expect(seen(s).length).toBe(1);
  });
});

it("hashes of every supported type, and of no other, are asked for, with a key [net.driver.setting-rss-parameters.5]", async () => {
  const device = { features: [F.CTRL_VQ, F.HASH_REPORT], config: { 17: [40], 20: [0x3f, 1, 0, 0] } };
  const s = await setupStrict({ device });
  const [{ data, ...command }] = s.device.commands;
  expect(command).toEqual({ class: 4, command: 2, elements: [2, 53, 1] });
  expect(data.slice(0, 13)).toEqual([0x3f, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40]);
  expect(s.device.problems).toEqual([]);
});

/** Commands that the driver knows nothing of, and features that go with them. */
const UNKNOWN = [
  "CTRL_GUEST_OFFLOADS 2 [net.driver.setting-offloads-state.1]",
  "CTRL_RX_EXTRA 20 [net.driver.packet-receive-filtering.2][net.driver.device-configuration-layout.13]",
  "HASH_TUNNEL 51 [net.driver.inner-header-hash.1]",
  "VQ_NOTF_COAL 52, NOTF_COAL 53 [net.driver.notifications-coalescing.2][net.driver.notifications-coalescing.3]",
  "RSS 60 [net.driver.setting-rss-parameters.1]",
  "RSS_CONTEXT, bit 64 [net.driver.rss-context.1]",
];

it(`of features that are not known none is accepted, and no command is sent: ${UNKNOWN.join(", ")}`, async () => {
  const unknown = [2, 20, 51, 52, 53, 60];
  const device = { features: [...Object.values(F), ...unknown], pairs: 2 };
  const s = await setupStrict({ device, pairs: 2, onAnnounce: () => {} });
  for (const bit of unknown) expect(s.driver.einfo().features & (1n << BigInt(bit))).toBe(0n);
  await s.driver.setHwaddr(MAC);
  await s.driver.setPromiscuous(true);
  s.device.setStatus(3);
  await s.driver.setPromiscuous(false);
  expect(s.device.commands.map(({ class: of, command }) => `${of}/${command}`)).toEqual([
    "4/2",
    "0/0",
    "0/1",
    "4/0",
    "1/1",
    "0/0",
    "3/0",
    "0/0",
  ]);
  expect(s.device.problems).toEqual([]);
});
