/** Prints "tcp hello" and "udp hello": bytes over the host's loopback, by the sockets that a user-mode network takes. */
import { nodeHostSockets } from "@virtio-ts/user-network/node";

const host = nodeHostSockets();
const hello = new TextEncoder().encode("hello");
const text = new TextDecoder();

const overTcp = await new Promise((resolve) => {
  const quiet = { connected() {}, data() {}, ended() {}, written() {}, closed: resolve };
  const server = host.listenTcp("127.0.0.1", 0, (accepted) => {
    queueMicrotask(() => accepted.resume());
    return { ...quiet, data: (bytes) => resolve(text.decode(bytes)) };
  });
  server.then(({ port }) => {
    const client = host.connectTcp("127.0.0.1", port, { ...quiet, connected: () => client.write(hello) });
  });
});
console.log(`tcp ${overTcp}`);

const overUdp = await new Promise((resolve) => {
  const server = host.listenUdp("127.0.0.1", 0, { message: (bytes) => resolve(text.decode(bytes)), failed: resolve });
  server.then(({ port }) => {
    host.openUdp({ message() {}, failed: resolve }).send(hello, "127.0.0.1", port);
  });
});
console.log(`udp ${overUdp}`);
process.exit();
