/**
 * The host's sockets as the network calls them: errors they throw are caught and reported here. A TCP connection whose
 * call threw ends as if it had failed by itself; a UDP socket only loses the datagram.
 * @module
 */

import type { HostListener, HostSockets, HostTcp, HostTcpHandlers, HostUdp } from "./host-sockets.ts";

/** Reports what goes wrong in a guarded host. */
export interface HostGuard {
  /** A method of the host threw, or its promise was rejected where it must not be. */
  threw(method: string, cause: unknown): void;
  /** Runs something soon, in a separate event: no handler may be called before a method has returned. */
  later(run: () => void): void;
}

/** A host whose methods never throw. The promises of `listenTcp`, `listenUdp` and `resolve` may still be rejected. */
export function guardHost(host: HostSockets, guard: HostGuard): HostSockets {
  return {
    connectTcp(address, port, handlers) {
      const tcp = new GuardedTcp(guard);
      tcp.handlers = handlers;
      tcp.open(() => host.connectTcp(address, port, handlers));
      return tcp;
    },
    async listenTcp(address, port, accept) {
      const listener = await host.listenTcp(address, port, (socket, peerAddress, peerPort) => {
        const tcp = new GuardedTcp(guard);
        tcp.open(() => socket);
        tcp.handlers = accept(tcp, peerAddress, peerPort);
        return tcp.handlers;
      });
      return { address: listener.address, port: listener.port, close: () => close(listener, guard) };
    },
    openUdp(handlers) {
      try {
        return new GuardedUdp(host.openUdp(handlers), guard);
      } catch (cause) {
        guard.threw("openUdp", cause);
        guard.later(() => handlers.failed("failed"));
        return NO_UDP;
      }
    },
    async listenUdp(address, port, handlers) {
      const socket = await host.listenUdp(address, port, handlers);
      const udp = new GuardedUdp(socket, guard);
      return {
        address: socket.address,
        port: socket.port,
        send: (bytes, to, toPort) => udp.send(bytes, to, toPort),
        close: () => udp.close(),
      };
    },
    async resolve(query, signal) {
      let answer: Promise<Uint8Array>;
      try {
        answer = host.resolve(query, signal);
      } catch (cause) {
        guard.threw("resolve", cause);
        throw cause;
      }
      return answer;
    },
  };
}

/** Placeholder for a socket that could not be opened, until its owner is told. */
const NO_UDP: HostUdp = { send: () => {}, close: () => {} };

class GuardedUdp implements HostUdp {
  readonly #socket: HostUdp;
  readonly #guard: HostGuard;

  constructor(socket: HostUdp, guard: HostGuard) {
    this.#socket = socket;
    this.#guard = guard;
  }

  send(bytes: Uint8Array, address: string, port: number): void {
    try {
      this.#socket.send(bytes, address, port);
    } catch (cause) {
      this.#guard.threw("send", cause);
    }
  }

  close(): void {
    close(this.#socket, this.#guard);
  }
}

class GuardedTcp implements HostTcp {
  handlers: HostTcpHandlers | undefined;
  readonly #guard: HostGuard;
  #socket: HostTcp | undefined;
  /** The owner has destroyed it, or was told that it is over. */
  #over = false;

  constructor(guard: HostGuard) {
    this.#guard = guard;
  }

  open(open: () => HostTcp): void {
    try {
      this.#socket = open();
    } catch (cause) {
      this.#failed("connectTcp", cause);
    }
  }

  write(bytes: Uint8Array): void {
    try {
      this.#socket?.write(bytes);
    } catch (cause) {
      this.#failed("write", cause);
    }
  }

  end(): void {
    try {
      this.#socket?.end();
    } catch (cause) {
      this.#failed("end", cause);
    }
  }

  pause(): void {
    try {
      this.#socket?.pause();
    } catch (cause) {
      this.#failed("pause", cause);
    }
  }

  resume(): void {
    try {
      this.#socket?.resume();
    } catch (cause) {
      this.#failed("resume", cause);
    }
  }

  keepAlive(idleMs: number): void {
    try {
      this.#socket?.keepAlive?.(idleMs);
    } catch (cause) {
      this.#failed("keepAlive", cause);
    }
  }

  destroy(reset: boolean): void {
    this.#over = true;
    this.#drop(reset);
  }

  #failed(method: string, cause: unknown): void {
    this.#guard.threw(method, cause);
    this.#drop(true); // so it calls no handler from now on
    this.#guard.later(() => {
      if (this.#over) return;
      this.#over = true;
      this.handlers?.closed("failed");
    });
  }

  #drop(reset: boolean): void {
    const socket = this.#socket;
    this.#socket = undefined;
    try {
      socket?.destroy(reset);
    } catch (cause) {
      this.#guard.threw("destroy", cause);
    }
  }
}

function close(socket: HostUdp | HostListener, guard: HostGuard): void {
  try {
    socket.close();
  } catch (cause) {
    guard.threw("close", cause);
  }
}
