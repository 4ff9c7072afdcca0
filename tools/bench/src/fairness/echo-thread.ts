/**
 * The far end, in a thread of its own: whatever comes on a connection goes back. Frames of a stream go back as they are.
 *
 * @module
 */
import { type AddressInfo, createServer } from "node:net";
import { parentPort } from "node:worker_threads";

const server = createServer({ noDelay: true }, (socket) => void socket.pipe(socket));
server.listen(0, "127.0.0.1", () => parentPort?.postMessage((server.address() as AddressInfo).port));
