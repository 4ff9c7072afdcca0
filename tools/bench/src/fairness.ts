/**
 * `pnpm bench fairness`: what a driver that misbehaves costs the device beside it. Two NICs on one machine's PCI bus; one
 * exchanges datagrams with a program of the host, one at a time, through the user-mode network; the other's driver does
 * its worst in every turn of the event loop, which is what a guest is between its exits.
 *
 * @module
 */
import { createSocket } from "node:dgram";
import { Worker } from "node:worker_threads";
import { FrameBurst, type NetPort, UserNetwork } from "@virtio-ts/net-backends";
import { nodeHostSockets } from "@virtio-ts/net-backends/node";
import { VIRTIO_ID_NET } from "@virtio-ts/virtio-bindings";
import { findDevices, ProcessHost } from "@virtio-ts/virtio-driver";
import { NetDevice } from "@virtio-ts/virtio-net/device";
import { NETDEV_STATUS_SUCCESS, NetbufPool, NetDriver, PacketBurst } from "@virtio-ts/virtio-net/driver";
import { PciConfigPorts, PciFinder } from "@virtio-ts/virtio-pci/driver";
import { GuestMemory } from "@virtio-ts/vm-memory";
import { Machine, onPci } from "@virtio-ts/vmm-glue";
import type { Bench, Row } from "./bench.ts";
import { udpFrame } from "./udp-frame.ts";
