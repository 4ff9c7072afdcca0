/** A host whose sockets are all played by the test. Nothing happens until {@link MemoryHost.run} is called. */
import type {
  CancelSignal,
  HostFailure,
  HostListener,
  HostSockets,
  HostTcp,
  HostTcpHandlers,
  HostUdp,
  HostUdpHandlers,
} from "../../src/index.ts";

export class MemoryTcp implements HostTcp {
  readonly host: MemoryHost;
  readonly address: string;
  readonly port: number;
  handlers!: HostTcpHandlers;
  /** Bytes from the guest that were let out of the process. */
  received: Uint8Array[] = [];
  receivedLength = 0;
  /** Bytes written, but not let out yet. */
  queue: Uint8Array[] = [];
  queued = 0;
  /** Lets everything out as it is written. */
  draining = true;
  paused = false;
  /** Bytes that the remote has sent and that were not read yet. */
  inbound: Uint8Array[] = [];
  inboundEnded = false;
  toldEnded = false;
  /** The guest has ended. */
  ended = false;
  destroyed: "reset" | "close" | undefined;
  over = false;
  /** The idle time of each `keepAlive` call, ms. */
  readonly keptAlive: number[] = [];

  constructor(host: MemoryHost, address: string, port: number) {
    this.host = host;
    this.address = address;
    this.port = port;
  }

  write(bytes: Uint8Array): void {
    if (this.ended) throw new Error("written after end");
    this.queue.push(bytes);
    this.queued += bytes.length;
    if (this.draining) this.host.later(() => this.drain(Number.POSITIVE_INFINITY));
  }

  /** Lets bytes out. They are read only now, to check that they have not changed. */
  drain(limit: number): void {
    if (this.over) return;
    let left = Math.min(limit, this.queued);
    let count = 0;
    while (left > 0) {
      const first = this.queue[0];
      const n = Math.min(left, first.length);
      this.received.push(first.slice(0, n));
      this.receivedLength += n;
      if (n === first.length) this.queue.shift();
      else this.queue[0] = first.subarray(n);
      left -= n;
      count += n;
    }
    this.queued -= count;
    if (count > 0) this.handlers.written(count);
    this.#closeIfDone();
  }

  end(): void {
    if (this.ended) throw new Error("ended twice");
    this.ended = true;
    this.host.later(() => this.#closeIfDone());
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.host.later(() => this.read(Number.POSITIVE_INFINITY));
  }

  keepAlive(idleMs: number): void {
    this.keptAlive.push(idleMs);
  }

  destroy(reset: boolean): void {
    if (this.over) throw new Error("destroyed when over");
    this.destroyed = reset ? "reset" : "close";
    this.over = true;
  }

  /** The remote sends. */
  send(bytes: Uint8Array): void {
    this.inbound.push(bytes);
  }

  /** The remote ends. */
  finish(): void {
    this.inboundEnded = true;
  }

  /** Reads at most `chunks` chunks of the remote, until the socket is paused. */
  read(chunks: number): void {
    for (let left = chunks; left > 0 && !this.paused && !this.over && this.inbound.length > 0; left--) {
      // A buffer that is reused right after, like Node's.
      const buffer = this.inbound.shift()!.slice();
      this.handlers.data(buffer);
      buffer.fill(0xee);
    }
    if (!this.over && !this.paused && this.inbound.length === 0 && this.inboundEnded && !this.toldEnded) {
      this.toldEnded = true;
      this.handlers.ended();
      this.#closeIfDone();
    }
  }

  fail(failure: HostFailure): void {
    if (this.over) return;
    this.over = true;
    this.handlers.closed(failure);
  }

  get bytes(): Uint8Array {
    const all = new Uint8Array(this.receivedLength);
    let at = 0;
    for (const chunk of this.received) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  #closeIfDone(): void {
    if (this.over || !this.ended || !this.toldEnded || this.queued > 0) return;
    this.over = true;
    this.handlers.closed();
  }
}

export class MemoryUdp implements HostUdp {
  readonly sent: { bytes: Uint8Array; address: string; port: number }[] = [];
  readonly handlers: HostUdpHandlers;
  closed = false;

  constructor(handlers: HostUdpHandlers) {
    this.handlers = handlers;
  }
  send(bytes: Uint8Array, address: string, port: number): void {
    if (this.closed) throw new Error("sent by a closed socket");
    this.sent.push({ bytes, address, port });
  }
  close(): void {
    this.closed = true;
  }
}

interface Listener extends HostListener {
  accept(socket: HostTcp, peerAddress: string, peerPort: number): HostTcpHandlers | undefined;
  closed: boolean;
}

export class MemoryHost implements HostSockets {
  readonly connections: MemoryTcp[] = [];
  readonly sockets: MemoryUdp[] = [];
  readonly listeners: Listener[] = [];
  readonly queries: { message: Uint8Array; signal: CancelSignal }[] = [];
  /** The fate of a connection: it is established, fails, or is never answered. */
  verdict: (address: string, port: number) => "stands" | "silence" | HostFailure = () => "stands";
  /** The answer of the host's name servers; none by default. */
  names: (query: Uint8Array) => Uint8Array | Promise<Uint8Array> = () => new Promise(() => {});
  taken = new Set<number>();
  #events: (() => void)[] = [];

  later(event: () => void): void {
    this.#events.push(event);
  }

  /** Does everything that is due; returns whether anything was. */
  run(): boolean {
    const had = this.#events.length > 0;
    for (let i = 0; this.#events.length > 0; i++) {
      if (i > 100_000) throw new Error("the host never comes to rest");
      this.#events.shift()!();
    }
    return had;
  }

  /** Lets one thing happen. */
  step(): void {
    this.#events.shift()?.();
  }

  connectTcp(address: string, port: number, handlers: HostTcpHandlers): HostTcp {
    const tcp = new MemoryTcp(this, address, port);
    tcp.handlers = handlers;
    this.connections.push(tcp);
    const verdict = this.verdict(address, port);
    this.later(() => {
      if (tcp.over || verdict === "silence") return;
      if (verdict === "stands") handlers.connected();
      else tcp.fail(verdict);
    });
    return tcp;
  }

  async listenTcp(address: string, port: number, accept: Listener["accept"]): Promise<HostListener> {
    if (this.taken.has(port)) throw Object.assign(new Error("taken"), { code: "EADDRINUSE" });
    const listener: Listener = {
      address,
      port: port === 0 ? 40_000 + this.listeners.length : port,
      accept,
      closed: false,
      close: () => {
        listener.closed = true;
      },
    };
    this.listeners.push(listener);
    return listener;
  }

  /** Someone connects to a port of the host. */
  dial(listener: Listener, peerPort: number): MemoryTcp | undefined {
    const tcp = new MemoryTcp(this, "127.0.0.1", peerPort);
    tcp.paused = true;
    const handlers = listener.accept(tcp, "127.0.0.1", peerPort);
    if (handlers === undefined) return undefined;
    tcp.handlers = handlers;
    this.connections.push(tcp);
    return tcp;
  }

  openUdp(handlers: HostUdpHandlers): MemoryUdp {
    const udp = new MemoryUdp(handlers);
    this.sockets.push(udp);
    return udp;
  }

  async listenUdp(address: string, port: number, handlers: HostUdpHandlers): Promise<HostListener & HostUdp> {
    if (this.taken.has(port)) throw Object.assign(new Error("taken"), { code: "EADDRINUSE" });
    const udp = new MemoryUdp(handlers);
    this.sockets.push(udp);
    const bound = port === 0 ? 41_000 + this.sockets.length : port;
    return { address, port: bound, send: (bytes, to, toPort) => udp.send(bytes, to, toPort), close: () => udp.close() };
  }

  async resolve(message: Uint8Array, signal: CancelSignal): Promise<Uint8Array> {
    this.queries.push({ message: message.slice(), signal });
    return this.names(message);
  }
}
