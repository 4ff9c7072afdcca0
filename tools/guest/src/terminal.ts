/**
 * An interactive shell in the guest, on the terminal of the host.
 *
 * @module
 */
import type { Guest } from "./guest.ts";

/** Both ends of a terminal. */
export interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
}

/** What a terminal sends for the end of the input. */
const CTRL_D = "\x04";
/** A day: a shell is left by its user, not by a timeout. */
const SHELL_TIMEOUT_MS = 24 * 3600 * 1000;

/**
 * Connects a terminal with a shell in the guest until the user leaves it (`exit`, or ^D). It may be no terminal but
 * a pipe with commands, whose end is that of the shell.
 *
 * @param terminal default: that of this process
 * @returns the shell's exit status
 * @throws GuestError as {@link Guest.exec}
 */
export async function runShell(
  guest: Guest,
  terminal: Terminal = { input: process.stdin, output: process.stdout },
): Promise<number> {
  const { input, output } = terminal;
  const { columns = 80, rows = 24 } = output;
  const forward = (data: Buffer): void => guest.console.write(data);
  const end = (): void => guest.console.write(CTRL_D);
  input.setRawMode?.(true);
  input.on("data", forward);
  input.once("end", end);
  input.resume();
  try {
    // The agent's line is raw; the shell gets an ordinary terminal and gives it back, without what it left unread.
    const script = `stty sane cols ${columns} rows ${rows} </dev/ttyS0
PS1='guest:\\w# ' sh -i </dev/ttyS0
status=$?
stty raw -echo isig </dev/ttyS0
(timeout 0.2 cat </dev/ttyS0 >/dev/null; true) 2>/dev/null
exit $status`;
    const { status } = await guest.exec(script, {
      timeoutMs: SHELL_TIMEOUT_MS,
      onOutput: (bytes) => output.write(bytes),
    });
    return status;
  } finally {
    input.off("data", forward);
    input.off("end", end);
    input.pause();
    input.setRawMode?.(false);
  }
}
