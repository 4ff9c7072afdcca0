/** Prints "525400123456 1": the address in a NIC's configuration space, and the first state of its driver. */
import { NetDevice } from "@virtio-ts/virtio-net/device";
import { NETDEV_UNPROBED } from "@virtio-ts/virtio-net/driver";

const nic = new NetDevice({ mac: Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56) });
const mac = new Uint8Array(6);
nic.readConfig(0, mac);
console.log(Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(""), NETDEV_UNPROBED);
