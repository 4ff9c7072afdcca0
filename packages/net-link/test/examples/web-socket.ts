/**
 * A backend of one's own, as the README has it: frames as WebSocket messages.
 * @module
 */

import { connect, FrameBurst, type Link, type NetBackend, type NetPort } from "@virtio-ts/net-link";

/** One WebSocket message, one frame. The relay at the other end knows nothing of offloads. */
export class WebSocketBackend implements NetBackend {
  readonly accepts = 0;
  #socket: WebSocket;
  #received = new FrameBurst(1);
  #peer: NetPort | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      this.#received.clear();
      this.#received.addFrame(new Uint8Array(data));
      this.#peer?.take(this.#received, 0); // a relay can't wait: what is not taken is lost (or see FrameQueue)
    };
  }
  take(burst: FrameBurst, first: number): number {
    if (this.#socket.readyState !== WebSocket.OPEN) return burst.count; // no cable yet, or no longer
    for (let i = first; i < burst.count; i++) {
      const frame = new Uint8Array(burst.lengths[i]); // the socket keeps it, so it must be a copy
      burst.copyFrame(i, 0, frame, 0, frame.length);
      this.#socket.send(frame);
    }
    return burst.count;
  }
  resume(): void {}
  attach(peer: NetPort): void {
    this.#peer = peer;
  }
  detach(): void {
    this.#peer = undefined;
  }
}

/** Joins a guest's network card to a relay. */
export function joinRelay(nic: NetBackend, url: string): Link {
  return connect(nic, new WebSocketBackend(new WebSocket(url)));
}
