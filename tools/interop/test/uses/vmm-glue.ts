/** Prints "10441af4": the ids of an entropy device on the PCI bus of a machine. */
import { Machine, onPci } from "@virtio-ts/vmm-glue";

const machine = new Machine({ memory: 0x10000 });
machine.devices.add(
  "rng",
  { deviceType: 4, queueMaxSizes: [64], activate: () => {}, queueNotify: () => {}, reset: () => {} },
  onPci(machine),
);
const ids = [];
for (let slot = 0; slot < 32; slot++) {
  machine.ports.write(0xcf8, 4, 0x80000000 + slot * 0x800);
  ids.push(machine.ports.read(0xcfc, 4).toString(16));
}
console.log(ids.find((id) => id.endsWith("1af4")));
