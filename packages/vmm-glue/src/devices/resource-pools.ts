/**
 * A machine's resources for devices: ports, memory-mapped I/O, room for shared memory, interrupt lines and messages.
 * For the device manager.
 * @module
 */

import type { Resource, ResourceRequest } from "@virtio-ts/virtio-device";
import type { RangePool } from "../bus/range-pool.ts";
import { ResourceError } from "./resource-error.ts";

/** The resources of a {@link ResourcePools}. */
export interface ResourcePoolsOptions {
  /** I/O ports; `null` on a machine without. */
  readonly ports: RangePool | null;
  /** Memory-mapped I/O; `null` on a machine without. */
  readonly mmio: RangePool | null;
  /** Room for shared memory regions; `null` on a machine without. */
  readonly sharedMemory: RangePool | null;
  /** Interrupt lines, each given to one device. A line requested by number may be shared. */
  readonly lines: readonly number[];
  /** Total number of message vectors; 0 on a machine without. */
  readonly messages: number;
}

/** The grants for a list of requests. */
export interface ResourceGrant {
  /** One for each request, in the same order. */
  readonly resources: readonly Resource[];
  /** Releases all of it. A second call does nothing. */
  release(): void;
}

/** A granted interrupt line. */
export interface LineGrant {
  /** Its number. */
  readonly line: number;
  /** Releases the line. A second call does nothing. */
  release(): void;
}

/** A granted request, with its release. */
interface Granted {
  readonly resource: Resource;
  readonly undo: () => void;
}

/** Grants lists of requests, each as a whole or not at all. */
export class ResourcePools {
  readonly #options: ResourcePoolsOptions;
  /** Number of users of each line. */
  readonly #lineUsers = new Map<number, number>();
  #messages: number;

  constructor(options: ResourcePoolsOptions) {
    this.#options = options;
    this.#messages = options.messages;
  }

  /** Unused interrupt lines. */
  get freeLines(): readonly number[] {
    return this.#options.lines.filter((line) => this.#users(line) === 0);
  }

  /** Unused message vectors. */
  get freeMessages(): number {
    return this.#messages;
  }

  /**
   * Grants all requests, or none.
   * @throws ResourceError
   */
  allocate(requests: readonly ResourceRequest[]): ResourceGrant {
    const granted: Granted[] = [];
    const release = (): void => {
      for (const { undo } of granted.splice(0)) undo();
    };
    try {
      for (const request of requests) granted.push(this.#grant(request));
    } catch (cause) {
      release();
      throw cause;
    }
    return { resources: granted.map(({ resource }) => resource), release };
  }

  /**
   * Takes an interrupt line.
   * @param wanted its number. Lines are level triggered and wired-OR, so that a line requested by number can be shared;
   * by default an unused one
   * @throws ResourceError `interrupt-line`
   */
  takeLine(wanted?: number): LineGrant {
    if (wanted !== undefined && !this.#options.lines.includes(wanted)) {
      throw new ResourceError("interrupt-line", `interrupt line ${wanted} is not for devices`);
    }
    const line = wanted ?? this.freeLines[0];
    if (line === undefined) throw new ResourceError("interrupt-line", "no interrupt line is left");
    this.#lineUsers.set(line, this.#users(line) + 1);
    let given = true;
    const release = (): void => {
      if (given) this.#lineUsers.set(line, this.#users(line) - 1);
      given = false;
    };
    return { line, release };
  }

  #users(line: number): number {
    return this.#lineUsers.get(line) ?? 0;
  }

  #grant(request: ResourceRequest): Granted {
    switch (request.kind) {
      case "ports":
        return range(request.kind, this.#options.ports, request.size, request.align, request.address);
      case "mmio":
        return range(request.kind, this.#options.mmio, request.size, request.align, request.address);
      case "shared-memory":
        return range(request.kind, this.#options.sharedMemory, request.size, request.align, undefined);
      case "interrupt-line": {
        const { line, release } = this.takeLine(request.line);
        return { resource: { kind: request.kind, line }, undo: release };
      }
      case "messages":
        return this.#vectors(request.count);
    }
  }

  #vectors(count: number): Granted {
    if (!Number.isInteger(count) || count < 1) throw new ResourceError("invalid", `${count} message vectors`);
    if (count > this.#messages) {
      throw new ResourceError("messages", `${count} message vectors were asked for, ${this.#messages} are left`);
    }
    this.#messages -= count;
    const undo = (): void => {
      this.#messages += count;
    };
    return { resource: { kind: "messages", count }, undo };
  }
}

function range(
  kind: "ports" | "mmio" | "shared-memory",
  pool: RangePool | null,
  size: number,
  align: number,
  address: number | undefined,
): Granted {
  if (!Number.isSafeInteger(size) || size < 1) throw new ResourceError("invalid", `a range of ${size} ${kind}`);
  if (!Number.isSafeInteger(align) || !Number.isInteger(Math.log2(align))) {
    throw new ResourceError("invalid", `an alignment of ${align} is no power of two`);
  }
  if (pool === null) throw new ResourceError(kind, `this machine has no ${kind}`);
  try {
    const taken = address === undefined ? pool.take(size, align) : pool.takeAt(address, size);
    return { resource: { kind, address: taken.address, size }, undo: () => taken.release() };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ResourceError(kind, `${size} ${kind}: ${reason}`, { cause });
  }
}
