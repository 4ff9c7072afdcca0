/**
 * A WebSocket as the standard has it (WHATWG WebSockets), played by the test: Node 20 has none. As much of it as a backend needs.
 * @module
 */

/** Opens, closes and receives when the test says so. */
export class TestWebSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  /** All that were made. */
  static made: TestWebSocket[] = [];

  readonly url: string;
  binaryType = "blob";
  onmessage: ((event: { data: ArrayBuffer }) => void) | null = null;
  readyState: number = TestWebSocket.CONNECTING;
  /** What was sent, each as the very object it was. */
  readonly sent: Uint8Array[] = [];
  /** Bytes that were sent and will never go out. */
  lost = 0;

  constructor(url: string) {
    this.url = url;
    TestWebSocket.made.push(this);
  }

  send(data: Uint8Array): void {
    if (this.readyState === TestWebSocket.CONNECTING) throw new DOMException("connecting", "InvalidStateError");
    if (this.readyState === TestWebSocket.OPEN) this.sent.push(data);
    else this.lost += data.length; // buffered for ever, says the standard
  }

  /** A message comes in. */
  receive(...bytes: number[]): void {
    const data = Uint8Array.from(bytes).buffer;
    if (this.binaryType !== "arraybuffer") throw new Error("a Blob comes");
    this.onmessage?.({ data });
  }
}
