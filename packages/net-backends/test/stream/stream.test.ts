/** Two ends of a stream of frames in one process, over real sockets; and ends that do not keep to the framing. */
import { spawn } from "node:child_process";
import { lstatSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as dial, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@virtio-ts/net-link";
import { Collector } from "@virtio-ts/net-link/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  connectStream,
  listenStream,
  type StreamAddress,
  type StreamBackend,
  type StreamClientOptions,
  type StreamError,
} from "../../src/node/index.ts";

let folder: string;
let open: { close(): void }[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stream-"));
});

afterEach(() => {
  for (const end of open) end.close();
  open = [];
  rmSync(folder, { recursive: true });
});

/** An end of a stream, what is at the other end of its link, and what it said of its connections. */
interface End {
  readonly stream: StreamBackend;
  readonly peer: Collector;
  readonly said: (string | true | undefined)[];
}

type OnConnection = NonNullable<StreamClientOptions["onConnection"]>;

function end(make: (onConnection: OnConnection) => StreamBackend): End {
  const said: End["said"] = [];
  const stream = make((connected, error) => said.push(connected || error?.code));
  open.push(stream);
  const peer = new Collector();
  connect(peer, stream);
  return { stream, peer, said };
}

async function listen(address: StreamAddress = { path: join(folder, "s") }): Promise<End> {
  let made: OnConnection = () => {};
  const stream = await listenStream(address, { onConnection: (connected, error) => made(connected, error) });
  return end((onConnection) => {
    made = onConnection;
    return stream;
  });
}

const client = (address: StreamAddress): End =>
  end((onConnection) => connectStream(address, { reconnectMs: 5, onConnection }));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** A client without any manners. */
async function rawClient(to: StreamBackend): Promise<Socket> {
  const socket = dial(to.address as { path: string });
  open.push({ close: () => socket.destroy() });
  socket.on("error", () => {});
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  return socket;
}

const frame = (mark: number, length = 60): Uint8Array => new Uint8Array(length).fill(mark);

describe("two ends of a stream", () => {
  it.each([
    ["a Unix socket", () => ({ path: join(folder, "s") })],
    ["a TCP port", () => ({ port: 0 })],
  ])("pass frames both ways over %s", async (_, address) => {
    const server = await listen(address());
    const there = client(server.stream.address);
    await until(() => there.stream.connected && server.stream.connected);
    there.peer.send(frame(1), frame(2, 1514));
    server.peer.send(frame(3, 65549));
    await until(() => server.peer.frames.length === 2 && there.peer.frames.length === 1);
    expect(server.peer.bytes).toEqual([frame(1), frame(2, 1514)]);
    expect(there.peer.bytes).toEqual([frame(3, 65549)]);
    expect(server.stream.counters).toEqual({
      connections: 1,
      refused: 0,
      framesIn: 2,
      framesOut: 1,
      droppedDown: 0,
      droppedDetached: 0,
      droppedLength: 0,
    });
  });

  it("make the sender wait, all the way, for a receiver without room, and lose nothing", async () => {
    const server = await listen();
    const there = client(server.stream.address);
    await until(() => there.stream.connected && server.stream.connected);
    server.peer.room = 3;
    let sent = 0;
    const send = (): void => {
      while (there.peer.send(frame(sent, 1500)) === 1) sent++;
    };
    there.peer.resume = send;
    send();
    const buffered = sent;
    await until(() => server.peer.frames.length === 3);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const stuck = sent;
    await new Promise((resolve) => setTimeout(resolve, 50));
    // Two buffers here, the sockets' own in the kernel, one chunk there: then nobody takes any more.
    expect([sent, server.peer.frames.length]).toEqual([stuck, 3]);
    expect(stuck).toBeGreaterThanOrEqual(buffered);
    expect(stuck * 1504).toBeLessThan(4 << 20);

    there.peer.resume = () => {};
    server.peer.room = Number.POSITIVE_INFINITY;
    server.peer.peer!.resume();
    await until(() => server.peer.frames.length === stuck);
    expect(server.peer.bytes.map((bytes) => bytes[0])).toEqual(Array.from({ length: stuck }, (_, i) => i & 255));
  });

  it("go on with a receiver that has room again before it has said that it had none", async () => {
    const server = await listen();
    const there = client(server.stream.address);
    await until(() => there.stream.connected && server.stream.connected);
    const { peer } = server;
    const take = peer.take.bind(peer);
    peer.take = (burst, first) => {
      peer.room = 1;
      const next = take(burst, first);
      peer.peer?.resume();
      return next;
    };
    there.peer.send(frame(1), frame(2), frame(3));
    await until(() => peer.frames.length === 3);
    expect(peer.bytes).toEqual([frame(1), frame(2), frame(3)]);
  });

  it("drop and count frames while there is no connection, and frames that nobody is there for", async () => {
    const server = await listen();
    expect(server.peer.send(frame(1), frame(2))).toBe(2);
    expect(server.stream.counters).toMatchObject({ droppedDown: 2, framesOut: 0 });

    const there = client(server.stream.address);
    server.stream.detach();
    await until(() => there.stream.connected);
    there.peer.send(frame(3));
    await until(() => server.stream.counters.droppedDetached === 1);
    expect([server.peer.frames, server.stream.connected]).toEqual([[], true]);
  });

  it("give a receiver nothing when it has room and nothing waits", async () => {
    const server = await listen();
    const there = client(server.stream.address);
    await until(() => there.stream.connected && server.stream.connected);
    there.peer.send(frame(1));
    await until(() => server.peer.frames.length === 1);
    const { calls } = server.peer;
    server.stream.resume();
    expect(server.peer.calls).toBe(calls);
  });

  it("drop what a receiver left when it is parted from them", async () => {
    const server = await listen();
    const there = client(server.stream.address);
    await until(() => there.stream.connected && server.stream.connected);
    server.peer.room = 1;
    there.peer.send(frame(1), frame(2), frame(3));
    await until(() => server.stream.counters.framesIn === 1);
    server.stream.detach();
    expect(server.stream.counters).toMatchObject({ framesIn: 3, droppedDetached: 2 });
    there.peer.send(frame(4));
    await until(() => server.stream.counters.droppedDetached === 3);
  });
});

describe("a listener", () => {
  it("takes the place of one whose process was killed, which could not remove its socket", async () => {
    const path = join(folder, "s");
    const script = "require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";
    await new Promise((resolve) => spawn(process.execPath, ["-e", script, path]).once("exit", resolve));
    expect(lstatSync(path).isSocket()).toBe(true);
    const server = await listen({ path });
    const there = client({ path });
    await until(() => there.stream.connected);
    there.peer.send(frame(1));
    await until(() => server.peer.frames.length === 1);
  });

  it("does not take the place of one that listens, which goes on", async () => {
    const path = join(folder, "s");
    const server = await listen({ path });
    await expect(listenStream({ path })).rejects.toMatchObject({ name: "StreamError", code: "LISTEN_FAILED" });
    const there = client({ path });
    await until(() => there.peer.send(frame(1)) === 1 && server.peer.frames.length > 0);
  });

  it("does not delete what is no socket", async () => {
    const path = join(folder, "notes");
    writeFileSync(path, "mine");
    await expect(listenStream({ path })).rejects.toThrow(/^can't listen on .*notes: listen EADDRINUSE/);
    expect(readFileSync(path, "utf8")).toBe("mine");
  });

  it("fails where its folder is not there, or another has the port", async () => {
    await expect(listenStream({ path: join(folder, "no", "s") })).rejects.toMatchObject({ code: "LISTEN_FAILED" });
    const { port } = (await listen({ port: 0 })).stream.address as { port: number };
    await expect(listenStream({ port })).rejects.toMatchObject({ code: "LISTEN_FAILED" });
  });
});

describe("a stream whose user throws", () => {
  it("reports it, and goes on", async () => {
    const errors: string[] = [];
    const options = {
      onConnection: () => {
        throw new Error("onConnection");
      },
      onError: (cause: unknown) => errors.push((cause as Error).message),
    };
    const server = await listenStream({ path: join(folder, "s") }, options);
    open.push(server);
    const taken: number[] = [];
    server.attach({
      accepts: 0,
      take: (burst) => {
        if (taken.push(burst.count) === 1) throw new Error("take");
        return burst.count;
      },
      resume: () => {},
    });
    const there = client(server.address);
    await until(() => there.stream.connected && errors.length === 1);
    there.peer.send(frame(1));
    await until(() => taken.length === 1);
    there.peer.send(frame(2), frame(3));
    await until(() => taken.length > 1);
    expect(errors).toEqual(["onConnection", "take"]);
    expect(server.connected).toBe(true);
  });

  it("and says time and again that it has room, but takes nothing, leaves time for others", async () => {
    const server = await listen();
    const there = client(server.stream.address);
    await until(() => there.stream.connected && server.stream.connected);
    let calls = 0;
    server.peer.take = (_, first) => {
      calls++;
      server.peer.peer!.resume();
      return first;
    };
    there.peer.send(frame(1));
    await until(() => calls > 3);
    server.stream.close();
  });
});

describe("a connection", () => {
  it("is tried for until somebody listens, and made again when it was lost", async () => {
    const path = join(folder, "s");
    const there = client({ path });
    await until(() => there.said.length === 2);
    const first = await listen({ path });
    await until(() => there.stream.connected);
    first.stream.close();
    await until(() => !there.stream.connected);
    await listen({ path });
    await until(() => there.stream.connected);
    const [last] = there.said.filter((said) => said !== "CONNECT_FAILED").slice(-1);
    expect([there.said[0], last, there.stream.counters.connections]).toEqual(["CONNECT_FAILED", true, 2]);
  });

  it("says in its error which address does not answer", async () => {
    const error = await new Promise<StreamError | undefined>((resolve) => {
      const stream = connectStream({ path: "/nowhere/s" }, { onConnection: (_, why) => resolve(why) });
      open.push(stream);
    });
    expect(error?.message).toBe("no connection to /nowhere/s: connect ENOENT /nowhere/s");
  });

  it("lets a sender that waits for room go on when it breaks: what it holds is lost", async () => {
    const server = await listen();
    const socket = await rawClient(server.stream);
    await until(() => server.stream.connected);
    socket.pause();
    const send = (): void => {
      while (server.peer.send(frame(1, 60_000)) === 1 && server.stream.connected);
    };
    server.peer.resume = send;
    send();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(server.stream.counters.droppedDown).toBe(0);
    socket.destroy();
    await until(() => !server.stream.connected);
    expect(server.stream.counters.droppedDown).toBe(1);
  });

  it("is for one at a time: another is turned away, and let in when the first is gone", async () => {
    const server = await listen();
    const first = await rawClient(server.stream);
    await until(() => server.stream.connected);
    const second = client(server.stream.address);
    await until(() => server.stream.counters.refused > 1);
    first.destroy();
    await until(() => second.peer.send(frame(7)) === 1 && server.peer.frames.length > 0);
    expect(server.stream.counters.connections).toBe(2);
  });

  it("is cut by close, after which nothing of it is left", async () => {
    const server = await listen();
    const there = client(server.stream.address);
    await until(() => server.stream.connected && there.stream.connected);
    there.stream.close();
    await until(() => !server.stream.connected);
    server.stream.close();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect([there.said, server.said]).toEqual([
      [true, undefined],
      [true, undefined],
    ]);
    expect(there.peer.send(frame(1))).toBe(1);
  });

  it("is not even tried for again by one that was closed while it waited", async () => {
    const there = client({ path: join(folder, "s") });
    await until(() => there.said.length > 0);
    there.stream.close();
    const { length } = there.said;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(there.said.length).toBe(length);
  });
});

describe("an address", () => {
  it("is what was asked for, with the port that was free where none was named", async () => {
    const path = join(folder, "s");
    const [unix, tcp] = [await listen({ path }), await listen({ port: 0 })];
    expect(unix.stream.address).toEqual({ path });
    expect(tcp.stream.address).toEqual({ host: "127.0.0.1", port: expect.any(Number) });
    expect((tcp.stream.address as { port: number }).port).toBeGreaterThan(0);
  });

  it("that is taken can't be listened on", async () => {
    const { stream } = await listen();
    await expect(listenStream(stream.address)).rejects.toMatchObject({
      code: "LISTEN_FAILED",
      message: expect.stringMatching(/^can't listen on .*\/s: .*EADDRINUSE/),
    });
  });
});

describe("an end that does not keep to the framing", () => {
  it("and announces a frame longer than any is cut off; what it sent before counts", async () => {
    const server = await listen();
    const socket = await rawClient(server.stream);
    socket.write(Uint8Array.of(0, 0, 0, 14, ...frame(9, 14), 0xff, 0xff, 0xff, 0xff, 1, 2, 3));
    await new Promise((resolve) => socket.once("close", resolve));
    await until(() => server.said.length === 2);
    expect([server.said, server.peer.bytes]).toEqual([[true, "OVERSIZED"], [frame(9, 14)]]);
  });

  it("and ends in the middle of a frame is known by that", async () => {
    const server = await listen();
    (await rawClient(server.stream)).end(Uint8Array.of(0, 0, 0, 60, 1, 2, 3));
    await until(() => server.said.length === 2);
    expect([server.said, server.peer.frames]).toEqual([[true, "TRUNCATED"], []]);
  });

  it("and sends empty frames by the thousand has them counted, and its others delivered", async () => {
    const server = await listen();
    const socket = await rawClient(server.stream);
    socket.write(new Uint8Array(40_000));
    socket.write(Uint8Array.of(0, 0, 0, 14, ...frame(9, 14)));
    await until(() => server.peer.frames.length === 1);
    expect(server.stream.counters).toMatchObject({ droppedLength: 10_000, framesIn: 1 });
    // Kept when the connection is gone.
    socket.end();
    await until(() => server.said.length === 2);
    expect([server.said[1], server.stream.counters.droppedLength]).toEqual([undefined, 10_000]);
  });

  it("and breaks the connection is known by that", async () => {
    const server = await listen({ port: 0 });
    const { port } = server.stream.address as { port: number };
    const socket = dial(port, "127.0.0.1");
    await until(() => server.stream.connected);
    socket.resetAndDestroy();
    await until(() => server.said.length === 2);
    expect(server.said).toEqual([true, "CONNECTION_LOST"]);
  });
});
