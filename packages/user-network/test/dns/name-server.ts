/** A real name server on the loopback, over UDP and TCP, that does whatever a test wants. */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { createServer, type Server, type Socket as Tcp } from "node:net";

export interface Asked {
  readonly query: Uint8Array;
  readonly over: "udp" | "tcp";
  /** The port it came from. */
  readonly port: number;
}

/** Its answers: none for silence, several in sequence, `hang-up` to end a TCP connection. */
export type Says = (asked: Asked, server: NameServer) => Uint8Array | Uint8Array[] | "hang-up" | undefined;

export class NameServer {
  readonly asked: Asked[] = [];
  readonly port: number;
  readonly #udp: Socket;
  readonly #tcp: Server;
  readonly #connections = new Set<Tcp>();
  says: Says;

  private constructor(udp: Socket, tcp: Server, says: Says) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.says = says;
    this.port = udp.address().port;
    udp.on("message", (query, sender) => {
      const said = this.#said({ query, over: "udp", port: sender.port });
      if (said !== "hang-up") for (const message of said) this.send(message, sender);
    });
    tcp.on("connection", (socket) => this.#serve(socket));
  }

  /** The same port of both protocols, and of an address of its own where several are needed. */
  static async start(says: Says, address = "127.0.0.1"): Promise<NameServer> {
    for (;;) {
      const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
      const tcp = createServer();
      await new Promise<void>((resolve) => udp.bind(0, address, resolve));
      const bound = await new Promise<boolean>((resolve) => {
        tcp.once("error", () => resolve(false));
        tcp.listen(udp.address().port, address, () => resolve(true));
      });
      if (bound) return new NameServer(udp, tcp, says);
      udp.close();
    }
  }

  get address(): string {
    const { address, port } = this.#udp.address();
    return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  }

  send(message: Uint8Array, to: Pick<RemoteInfo, "address" | "port">): void {
    this.#udp.send(message, to.port, to.address);
  }

  close(): void {
    this.#udp.close();
    this.#tcp.close();
    for (const connection of this.#connections) connection.destroy();
  }

  #said(asked: Asked): Uint8Array[] | "hang-up" {
    this.asked.push({ ...asked, query: Uint8Array.from(asked.query) });
    const said = this.says(asked, this);
    return said === undefined ? [] : said instanceof Uint8Array ? [said] : said;
  }

  #serve(socket: Tcp): void {
    this.#connections.add(socket);
    socket.setNoDelay(true);
    let got = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      got = Buffer.concat([got, bytes]);
      while (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) {
        const query = got.subarray(2, 2 + got.readUInt16BE(0));
        got = got.subarray(2 + query.length);
        const said = this.#said({ query, over: "tcp", port: socket.remotePort ?? 0 });
        if (said === "hang-up") socket.end();
        else
          for (const message of said)
            sendInPieces(socket, Buffer.of(message.length >> 8, message.length & 255, ...message));
      }
    });
  }
}

/** As a network may cut it: within the length, and within the message. */
function sendInPieces(socket: Tcp, message: Buffer): void {
  socket.write(message.subarray(0, 1));
  setTimeout(() => socket.write(message.subarray(1, 100)), 3);
  setTimeout(() => socket.write(message.subarray(100)), 9);
}
