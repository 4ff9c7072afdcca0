/**
 * The demo, in which something is killed in the middle of a transfer: `killed-demo.js <what> <rx|tx> <demo's arguments>`
 * does so when the NIC has received, or sent, 16 MiB.
 */
import { demoMain } from "@virtio-ts/guest/demo";

const HALF_WAY = 16 << 20;

const KILL = {
  server: ({ server }) => server.close(),
  network: ({ network }) => network.close(),
  link: ({ nic }) => nic.link.disconnect(),
  emulator: ({ guest }) => guest.emulator.destroy(),
};

/** The guest does it to itself, since by then it is busy with the transfer. */
function panicHalfWay({ guest, ifname }, direction) {
  const bytes = `/sys/class/net/${ifname}/statistics/${direction}_bytes`;
  const script = `while [ $(cat ${bytes}) -lt ${HALF_WAY} ]; do sleep 0.1; done; echo c >/proc/sysrq-trigger`;
  void guest.run(`{ ${script}; } >/dev/null 2>&1 &`);
}

function killHalfWay(session, what, direction) {
  const counters = session.nic.device.counters[direction];
  const timer = setInterval(() => {
    if (counters.bytes < HALF_WAY) return;
    clearInterval(timer);
    KILL[what](session);
  }, 1);
  timer.unref();
}

const [what, direction, ...args] = process.argv.slice(2);
process.exitCode = await demoMain(args, (session) => {
  if (what === "panic") panicHalfWay(session, direction);
  else killHalfWay(session, what, direction);
});
