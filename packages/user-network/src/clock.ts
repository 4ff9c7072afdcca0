/**
 * Time and chance as the network wants them, so that tests can give their own. The few globals of the platform
 * that are needed are declared here, once: this code runs in browsers and in Node alike.
 * @module
 */

/** Something that will happen at a time, until cancelled. */
export interface Alarm {
  /** It shall not happen. */
  cancel(): void;
}

/** Tells the time and wakes up. */
export interface Clock {
  /** Milliseconds since any fixed moment; never goes backwards. */
  now(): number;
  /** Calls `fire` once, when `now()` has reached `at`, and never before this call returned. */
  schedule(at: number, fire: () => void): Alarm;
}

/** A source of random numbers: unsigned, 32 bits each. */
export type Random = () => number;

interface Platform {
  setTimeout(fire: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
  readonly performance: { now(): number };
  readonly crypto?: { getRandomValues(target: Uint32Array): Uint32Array };
}

const platform = globalThis as unknown as Platform;

/** The platform's own timers. They never keep a process alive: only sockets that wait for something do. */
export const systemClock: Clock = {
  now: (): number => platform.performance.now(),
  schedule(at: number, fire: () => void): Alarm {
    const timer = platform.setTimeout(
      fire,
      Math.min(Math.max(0, Math.ceil(at - platform.performance.now())), 0x7fff_ffff),
    );
    unref(timer);
    return { cancel: () => platform.clearTimeout(timer) };
  },
};

/** Node's timers are objects that can be told not to keep the process alive; a browser's are numbers. */
function unref(timer: unknown): void {
  if (typeof timer === "object" && timer !== null && "unref" in timer && typeof timer.unref === "function") {
    timer.unref();
  }
}

/**
 * Random numbers nobody can foresee: initial sequence numbers and ports must not be guessed by a third party
 * (RFC 6528, RFC 6056). Without the platform's generator (none is known) they are only hard to foresee.
 */
export function systemRandom(): Random {
  const pool = new Uint32Array(64);
  let next = pool.length;
  return () => {
    if (next === pool.length) {
      if (platform.crypto !== undefined) platform.crypto.getRandomValues(pool);
      else for (let i = 0; i < pool.length; i++) pool[i] = Math.floor(Math.random() * 0x1_0000_0000);
      next = 0;
    }
    return pool[next++];
  };
}
