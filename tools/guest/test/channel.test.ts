import { describe, expect, it } from "vitest";
import { CommandChannel, encodeForPrintf } from "../src/channel.ts";
import { GuestError } from "../src/errors.ts";

const CTRL_C = "\x03";

/** The guest's end, played by hand: `sent` are the lines that came, `say` answers. */
function channelAndAgent(): {
  channel: CommandChannel;
  sent: string[];
  say: (text: string) => void;
  hung: GuestError[];
  lastId: () => string;
} {
  const sent: string[] = [];
  const hung: GuestError[] = [];
  const channel = new CommandChannel(
    (bytes) => sent.push(new TextDecoder().decode(bytes)),
    (error) => {
      hung.push(error);
      channel.fail(error);
    },
  );
  const say = (text: string): void => {
    for (const byte of new TextEncoder().encode(text)) channel.receive(byte);
  };
  return { channel, sent, say, hung, lastId: () => sent.at(-1)!.split(" ")[0] };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("the command channel", () => {
  it("is ready when the agent says so, whatever the kernel printed before", async () => {
    const { channel, say } = channelAndAgent();
    say("[    0.000000] Linux version\r\n\x01\x01ready 6.1.0-50-686\x01");
    expect(await channel.ready).toBe("6.1.0-50-686");
  });

  it("gives back output and exit status", async () => {
    const { channel, sent, say, lastId } = channelAndAgent();
    const result = channel.exec("echo 1; exit 3");
    await turn();
    expect(sent).toEqual([`${lastId()} echo 1; exit 3\n`]);
    say(`noise\x01begin ${lastId()}\x011\n\x01end ${lastId()} 3\x01more noise`);
    expect(await result).toEqual({ status: 3, output: "1\n" });
  });

  it("takes any bytes as output, frame bytes and frames of others too", async () => {
    const { channel, say, lastId } = channelAndAgent();
    const result = channel.exec("x");
    await turn();
    say(`\x01begin ${lastId()}\x01a\x01b\x01\x01end 0-0 0\x01ü\x01end ${lastId()} 0\x01`);
    expect((await result).output).toBe("a\x01b\x01\x01end 0-0 0\x01ü");
  });

  it("passes output on while it comes, without frames", async () => {
    const { channel, say, lastId } = channelAndAgent();
    const pieces: string[] = [];
    const result = channel.exec("x", { onOutput: (bytes) => pieces.push(new TextDecoder().decode(bytes)) });
    await turn();
    say(`\x01begin ${lastId()}\x01one\n`);
    await turn();
    say(`two\n\x01end ${lastId()}`);
    await turn();
    expect(pieces).toEqual(["one\n", "two\n"]);
    say(" 0\x01");
    expect((await result).output).toBe("one\ntwo\n");
    expect(pieces.join("")).toBe("one\ntwo\n");
  });

  it("runs one command at a time", async () => {
    const { channel, sent, say, lastId } = channelAndAgent();
    const first = channel.exec("1");
    const second = channel.exec("2");
    await turn();
    expect(sent.length).toBe(1);
    say(`\x01begin ${lastId()}\x01\x01end ${lastId()} 0\x01`);
    await first;
    await turn();
    expect(sent.length).toBe(2);
    say(`\x01begin ${lastId()}\x01\x01end ${lastId()} 1\x01`);
    expect((await second).status).toBe(1);
  });

  it("interrupts what takes too long, and is free again when that ended", async () => {
    const { channel, sent, say, lastId } = channelAndAgent();
    const result = channel.exec("sleep 100", { timeoutMs: 10 });
    const failed = expect(result).rejects.toMatchObject({ code: "EXEC_TIMEOUT" });
    await turn();
    const id = lastId();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(sent.at(-1)).toBe(CTRL_C);
    say(`\x01begin ${id}\x01\x01end ${id} 130\x01`);
    await failed;
    const next = channel.exec("true");
    await turn();
    say(`\x01begin ${lastId()}\x01\x01end ${lastId()} 0\x01`);
    expect((await next).status).toBe(0);
  });

  it("gives the guest up when nothing ends a command", async () => {
    const { channel, hung } = channelAndAgent();
    await expect(channel.exec("loop", { timeoutMs: 1 })).rejects.toMatchObject({ code: "GUEST_HANGS" });
    expect(hung.map((error) => error.code)).toEqual(["GUEST_HANGS"]);
    await expect(channel.exec("true")).rejects.toMatchObject({ code: "GUEST_HANGS" });
  }, 20_000);

  it("lets its caller go at once when the caller aborts", async () => {
    const { channel, sent } = channelAndAgent();
    const abort = new AbortController();
    const result = channel.exec("sleep 100", { signal: abort.signal });
    await turn();
    abort.abort();
    await expect(result).rejects.toMatchObject({ code: "ABORTED" });
    expect(sent.at(-1)).toBe(CTRL_C);
    channel.fail(new GuestError("STOPPED", "end of the test"));
  });

  it("fails what waits, and what comes later, when the guest is gone", async () => {
    const { channel } = channelAndAgent();
    const running = channel.exec("1");
    const waiting = channel.exec("2");
    channel.fail(new GuestError("GUEST_DIED", "panic"));
    for (const result of [running, waiting, channel.exec("3"), channel.ready]) {
      await expect(result).rejects.toMatchObject({ code: "GUEST_DIED" });
    }
  });

  it("says so when a command killed the agent, and goes on with the next agent", async () => {
    const { channel, say, lastId } = channelAndAgent();
    const killed = channel.exec("kill -9 $$");
    await turn();
    say(`\x01begin ${lastId()}\x01\x01ready 6.1.0\x01`);
    await expect(killed).rejects.toMatchObject({ code: "COMMAND_FAILED" });
    const next = channel.exec("true");
    await turn();
    say(`\x01begin ${lastId()}\x01\x01end ${lastId()} 0\x01`);
    expect((await next).status).toBe(0);
  });

  it("sends a command as one line of printable characters", () => {
    expect(encodeForPrintf("printf 'a\\n'\n\tb \x03\x7fü")).toBe("printf 'a\\\\n'\\0012\\0011b \\0003\\0177ü");
  });
});
