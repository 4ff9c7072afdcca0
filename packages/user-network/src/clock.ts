/**
 * Time and random numbers for the network, so that tests can supply their own. The few platform globals needed are
 * declared once, here: this code runs in browsers and in Node.
 * @module
 */

/** A scheduled call that can be cancelled. */
export interface Alarm {
  /** Cancels the call. */
  cancel(): void;
}

/** Tells the time and schedules calls. */
export interface Clock {
  /** Milliseconds since any fixed moment; never goes backwards. */
  now(): number;
  /** Calls `fire` once, when `now()` has reached `at`; never before this call returns. */
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

/** The platform's own timers. They never keep a process alive; only waiting sockets do. */
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

/** Node's timers are objects with an `unref` method; a browser's are numbers. */
function unref(timer: unknown): void {
  if (typeof timer === "object" && timer !== null && "unref" in timer && typeof timer.unref === "function") {
    timer.unref();
  }
}

/**
 * Unpredictable random numbers: a third party must not guess initial sequence numbers and ports (RFC 6528, RFC 6056).
 * Without the platform's generator (no such platform is known) they are only hard to predict.
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
