import { expect, test } from "vitest";
import type { Emulator } from "../src/emulator.ts";
import { Watchdog } from "../src/watchdog.ts";

/** An emulator whose ticks are as told. */
function watched(tick: (v86: { cpu: { reboot_internal?: () => void } }) => void) {
  const v86 = {
    cpu: {} as { reboot_internal?: () => void },
    destroy(): void {},
    do_tick(): void {
      tick(v86);
    },
  };
  const deaths: string[] = [];
  const emulator = { v86, add_listener(): void {} } as unknown as Emulator;
  const watchdog = new Watchdog(emulator, ({ code }) => deaths.push(code));
  return { v86, deaths, watchdog };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a guest that resets itself and then crashes the emulator was reset: that came first", async () => {
  const { v86, deaths, watchdog } = watched(({ cpu }) => {
    cpu.reboot_internal?.();
    throw new Error("Unimplemented: #GP handler");
  });
  v86.do_tick();
  await turn();
  expect([deaths, watchdog.crashed]).toEqual([["GUEST_DIED"], true]);
});

test("an emulator that crashes under a guest that lives is to blame itself", async () => {
  const { v86, deaths } = watched(() => {
    throw new Error("out of memory");
  });
  v86.do_tick();
  await turn();
  expect(deaths).toEqual(["EMULATOR"]);
});
