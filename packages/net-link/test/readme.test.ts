/** The README's backend of one's own runs as it is shown, whatever state its socket is in. */
import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { connect, FrameBurst } from "../src/index.ts";
import { Collector } from "../src/testing/index.ts";
import { joinRelay, WebSocketBackend } from "./examples/web-socket.ts";
import { TestWebSocket } from "./support/web-socket.ts";

const frame = (mark: number): Uint8Array => new Uint8Array(60).fill(mark);
const marks = (frames: readonly Uint8Array[]): number[] => frames.map((bytes) => bytes[0]);

beforeEach(() => {
  vi.stubGlobal("WebSocket", TestWebSocket);
  TestWebSocket.made = [];
  return () => vi.unstubAllGlobals();
});

const backendOf = (socket: TestWebSocket): WebSocketBackend => new WebSocketBackend(socket as unknown as WebSocket);

function joined(): { nic: Collector; socket: TestWebSocket; errors: unknown[]; leave: () => void } {
  const nic = new Collector();
  const socket = new TestWebSocket("wss://relay.test");
  const errors: unknown[] = [];
  const link = connect(nic, backendOf(socket), { onError: (cause) => errors.push(cause) });
  return { nic, socket, errors, leave: () => link.disconnect() };
}

describe("a backend whose frames are WebSocket messages", () => {
  it("is in the README as it runs here", () => {
    const source = readFileSync(new URL("examples/web-socket.ts", import.meta.url), "utf8");
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    expect(readme).toContain(`\`\`\`ts\n${source.slice(source.indexOf("import")).trim()}\n\`\`\``);
  });

  it("joins a card to the relay, and carries frames both ways", () => {
    const nic = new Collector();
    const link = joinRelay(nic, "wss://relay.test/lan");
    const [socket] = TestWebSocket.made;
    expect([socket.url, TestWebSocket.made.length]).toEqual(["wss://relay.test/lan", 1]);
    socket.readyState = TestWebSocket.OPEN;
    expect(nic.send(frame(1), frame(2))).toBe(2);
    expect(socket.sent).toEqual([frame(1), frame(2)]);
    socket.receive(...frame(3));
    socket.receive(...frame(4));
    expect(nic.bytes).toEqual([frame(3), frame(4)]);
    link.disconnect();
    socket.receive(...frame(5));
    expect(nic.bytes.length).toBe(2);
  });

  it("gives the socket copies: the guest has its memory back", () => {
    const { nic, socket } = joined();
    socket.readyState = TestWebSocket.OPEN;
    const memory = frame(1);
    nic.send(memory);
    memory.fill(9);
    expect(socket.sent).toEqual([frame(1)]);
  });

  it("goes on from the frame that it is told of", () => {
    const { socket } = joined();
    socket.readyState = TestWebSocket.OPEN;
    const backend = backendOf(socket);
    const burst = new FrameBurst();
    for (const mark of [1, 2, 3]) burst.addFrame(frame(mark));
    expect([backend.take(burst, 1), marks(socket.sent)]).toEqual([3, [2, 3]]);
  });

  it.each([
    ["connecting", TestWebSocket.CONNECTING],
    ["closing", TestWebSocket.CLOSING],
    ["closed", TestWebSocket.CLOSED],
  ])("loses what the guest sends while its socket is %s, and neither throws nor fills it", (_, state) => {
    const { nic, socket, errors } = joined();
    socket.readyState = state;
    for (const mark of [1, 2, 3]) expect(nic.send(frame(mark), frame(mark))).toBe(2);
    expect([errors, socket.sent, socket.lost, nic.resumed]).toEqual([[], [], 0, 0]);
  });

  it("carries what is sent from when its socket is open, though the guest booted first", () => {
    const { nic, socket, errors } = joined();
    nic.send(frame(1));
    socket.readyState = TestWebSocket.OPEN;
    nic.send(frame(2));
    socket.readyState = TestWebSocket.CLOSING;
    nic.send(frame(3));
    expect([marks(socket.sent), errors]).toEqual([[2], []]);
  });

  it("takes an empty message for no harm", () => {
    const { nic, socket, errors } = joined();
    socket.readyState = TestWebSocket.OPEN;
    socket.receive();
    socket.receive(...frame(1));
    expect([marks(nic.bytes).at(-1), errors]).toEqual([1, []]);
  });
});
