/**
 * How other people's drivers of a virtio NIC use its registers: what each reads and writes, in its order, learnt from its
 * public source. Facts alone; `replay.ts` says how to read them.
 * @module
 */

/** One driver over one interface. */
export interface ForeignDriver {
  /** The driver, and the interface where it has several. */
  readonly name: string;
  /** Where its source is: project and files. */
  readonly source: string;
  /** The interface it uses. */
  readonly on: "pci legacy" | "pci modern" | "mmio 1" | "mmio 2";
  /** From whatever state to where frames flow. */
  readonly open: string;
  /** How it goes on after it has closed the device, where that is not as before. */
  readonly reopen?: string;
  /** How it lets go of the device. */
  readonly close: string;
  /** What its interrupt handler does to the registers. */
  readonly interrupt: string;
  /** `device_status` as it reads while frames flow. */
  readonly status: number;
  /** The same after {@link reopen}, where that is another. */
  readonly statusAgain?: number;
  /** Bytes of the header before each frame. */
  readonly header: 10 | 12;
  /** Whether header and frame have a buffer each. */
  readonly apart: boolean;
  /** Entries of its queues, where those are not the card's 256. */
  readonly size?: number;
  /** VendorID that it insists on. */
  readonly vendorId?: number;
  /** Features 0 to 31 that it can't do without, and what it does where one is missing. */
  readonly needs?: number;
  /** What it does where it can't go on. */
  readonly giveUp?: string;
}

const MAC_BYTES = "config.0:1?2 config.1:1?0 config.2:1?0 config.3:1?1 config.4:1?2 config.5:1?3";
const MTU_BYTES = "config.10:1?0xdc config.11:1?5";
const PLACE_LEGACY = "select=0 size?256 pfn?0 pfn=@ select=1 size?256 pfn?0 pfn=@";
const AREAS = "descLo=@ descHi=0 availLo=@ availHi=0 usedLo=@ usedHi=0";
const NO_AREAS = "descLo=0 descHi=0 availLo=0 availHi=0 usedLo=0 usedHi=0";

const HAIKU_LEGACY = `
  deviceFeatures? driverFeatures=offered&0x30010020 select=0 size? select=0 pfn=@ select=1 size? select=1 pfn=@
  msix=1 configVector=0 configVector?0 select=0 vector=1 vector?1 select=1 vector=2 vector?2
  status|=4 config.0:4? config.4:2? fill=64`;

export const FOREIGN_DRIVERS: readonly ForeignDriver[] = [
  {
    name: "iPXE, legacy",
    source: "ipxe/ipxe: src/drivers/net/virtio-net.c, src/drivers/bus/virtio-pci.c",
    on: "pci legacy",
    open: `command|=7 status=0 isr? deviceFeatures? ${MAC_BYTES} ${MTU_BYTES}
      status=0 isr? ${PLACE_LEGACY} fill=8 deviceFeatures? driverFeatures=offered&0x28 status=6`,
    close: "status=0 isr?",
    interrupt: "isr?1",
    status: 6,
    header: 10,
    apart: true,
  },
  {
    name: "iPXE, modern",
    source: "ipxe/ipxe: src/drivers/net/virtio-net.c, src/drivers/bus/virtio-pci.c",
    on: "pci modern",
    open: `command|=7 status=0 status?0 status|=1 status|=2 ${MAC_BYTES}
      dfselect=0 deviceFeatures? dfselect=1 deviceFeatures?
      gfselect=0 driverFeatures=offered&0x8000028 gfselect=1 driverFeatures=offered&3 status|=8 status?11 numQueues?
      select=0 size?256 notifyOff? size=@ ${AREAS} select=1 size?256 notifyOff? size=@ ${AREAS}
      select=0 enable=1 select=1 enable=1 status|=4 fill=8`,
    close: "status=0 status?0",
    interrupt: "isr?1",
    status: 15,
    header: 12,
    apart: true,
  },
  {
    name: "Etherboot and gPXE",
    source: "Etherboot: src/drivers/net/virtio-net.c",
    on: "pci legacy",
    open: `command|=7 status=0 isr? deviceFeatures? ${MAC_BYTES} ${PLACE_LEGACY} fill=8 driverFeatures=offered&0x20 status=6`,
    close: "status=0 isr?",
    interrupt: "isr?1",
    status: 6,
    header: 10,
    apart: true,
  },
  {
    name: "seL4 util_libs",
    source: "seL4/util_libs: libethdrivers/src/plat/pc99/virtio_pci.c",
    on: "pci legacy",
    open: `status=0 status|=1 deviceFeatures? driverFeatures=offered&0x20 select=0 size?256 select=1 size?256
      select=0 pfn=@ select=1 pfn=@ status|=4 fill=127 ${MAC_BYTES}`,
    close: "status=0",
    interrupt: "isr?1",
    status: 5,
    header: 10,
    apart: true,
    needs: 0x20,
    giveUp: "status=128",
  },
  {
    name: "MINIX 3",
    source: "Stichting-MINIX-Research-Foundation/minix: minix/lib/libvirtio/virtio.c, minix/drivers/net/virtio_net",
    on: "pci legacy",
    open: `status=0 status=1 deviceFeatures? driverFeatures=0x20020 status=2 select=0 size?256 pfn=@ select=1 size?256 pfn=@
      config.0:4? config.4:4? config.6:2?1 fill=32 status=4`,
    close: "status=0",
    interrupt: "isr?1",
    status: 7,
    header: 10,
    apart: true,
  },
  {
    name: "Plan 9 and 9front, legacy",
    source: "9front/9front: sys/src/9/pc/ethervirtio.c",
    on: "pci legacy",
    open: `status=0 status=3 deviceFeatures? driverFeatures=0x30020 select=0 size?256 pfn=@ select=1 size?256 pfn=@
      select=2 size? pfn=@ ${MAC_BYTES} fill=16 status|=4`,
    close: "status=0",
    interrupt: "isr?1",
    status: 7,
    header: 10,
    apart: true,
    needs: 0x3_0020,
    giveUp: "status=128",
  },
  {
    name: "9front, modern",
    source: "9front/9front: sys/src/9/pc/ethervirtio10.c",
    on: "pci modern",
    open: `command|=3 status=0 status?0 status=3 dfselect=1 deviceFeatures? dfselect=0 deviceFeatures?
      gfselect=1 driverFeatures=offered&1 gfselect=0 driverFeatures=offered&0x60020 status|=8
      select=0 size?256 notifyOff? ${AREAS} select=1 size?256 notifyOff? ${AREAS} select=2 size?
      ${MAC_BYTES} command|=4 select=0 enable=1 select=1 enable=1 status|=4 fillThenKick=127`,
    close: "status=0 command=3",
    interrupt: "isr?1",
    status: 15,
    header: 12,
    apart: true,
  },
  {
    name: "Haiku, legacy",
    source:
      "haiku/haiku: src/add-ons/kernel/busses/virtio/virtio_pci, bus_managers/virtio, drivers/network/ether/virtio",
    on: "pci legacy",
    open: `command=5 status=0 status|=1 status|=2 ${HAIKU_LEGACY}`,
    reopen: HAIKU_LEGACY,
    close: "status|=2 msix=0 status=0 status|=2",
    interrupt: "isr?1",
    status: 7,
    statusAgain: 6, // it does not acknowledge the device again
    header: 10,
    apart: true,
  },
  {
    // It writes its features to the register they are read from, and so accepts none, VERSION_1 included.
    name: "Haiku, modern",
    source:
      "haiku/haiku: src/add-ons/kernel/busses/virtio/virtio_pci, bus_managers/virtio, drivers/network/ether/virtio",
    on: "pci modern",
    open: `command=6 numQueues? status=0 status|=1 status|=2 dfselect=0 deviceFeatures? dfselect=1 deviceFeatures?
      dfselect=0 deviceFeatures=0x10020 dfselect=1 deviceFeatures=0 status|=8 status?11
      select=0 size?256 select=0 ${AREAS} enable=1 notifyOff? select=1 size?256 select=1 ${AREAS} enable=1 notifyOff?
      msix=1 configVector=0 select=0 vector=1 select=1 vector=2 status|=4 config.0:4? config.4:2? fill=64`,
    close: "msix=0 status=0",
    interrupt: "isr?1",
    status: 15,
    header: 10,
    apart: true,
  },
  {
    name: "OpenBSD, legacy",
    source: "openbsd/src: sys/dev/pci/virtio_pci.c, sys/dev/pv/virtio.c, sys/dev/pv/if_vio.c",
    on: "pci legacy",
    open: `command|=5 status=0 status|=1 status|=2 deviceFeatures? driverFeatures=offered&0x10018021 ${MAC_BYTES}
      select=0 size?256 select=0 pfn=@ select=1 size?256 select=1 pfn=@
      msix=1 configVector=0 select=0 vector=1 select=1 vector=2 status|=4 config.6:2?1 fillThenKick=32`,
    reopen: `status=0 status|=1 status|=2 deviceFeatures? driverFeatures=offered&0x10018021
      select=0 size?256 select=0 pfn=@ vector=1 select=1 size?256 select=1 pfn=@ vector=2 status|=4 fillThenKick=32`,
    close: "status=0",
    interrupt: "isr?1",
    status: 7,
    header: 12,
    apart: true,
  },
  {
    name: "FreeBSD, legacy",
    source: "freebsd/freebsd-src: sys/dev/virtio/pci/virtio_pci_legacy.c, sys/dev/virtio/network/if_vtnet.c",
    on: "pci legacy",
    open: `command|=5 status=0 status|=1 status|=2 deviceFeatures? driverFeatures=offered&0x30018021 ${MAC_BYTES}
      select=0 size?256 select=0 pfn=@ select=1 size?256 select=1 pfn=@ status|=4 fillThenKick=64`,
    reopen: `status?0 status|=1 status|=2 deviceFeatures? driverFeatures=offered&0x30018021
      select=0 size?256 select=0 pfn=@ select=1 size?256 select=1 pfn=@ status|=4 fillThenKick=64`,
    close: "status=0",
    interrupt: "isr?1",
    status: 7,
    header: 12,
    apart: false,
  },
  {
    // It never makes the device master of the bus.
    name: "Linux before 2.6.34",
    source: "torvalds/linux: drivers/virtio/virtio_pci.c, drivers/net/virtio_net.c",
    on: "pci legacy",
    open: `status=0 status|=1 status|=2 deviceFeatures? driverFeatures=offered&0x10010020
      ${PLACE_LEGACY} ${MAC_BYTES} fillThenKick=64 status|=4`,
    close: "status=0 select=0 pfn=0 select=1 pfn=0 status|=1",
    interrupt: "isr?1",
    status: 7,
    header: 10,
    apart: true,
  },
  {
    name: "netkvm, legacy",
    source: "virtio-win/kvm-guest-drivers-windows: VirtIO/VirtIOPCILegacy.c, NetKVM/Common/ParaNdis_Common.cpp",
    on: "pci legacy",
    open: `command|=5 status=0 status?0 status|=3 deviceFeatures? driverFeatures=offered&0x30018020 ${MAC_BYTES}
      deviceFeatures:4? driverFeatures:4? pfn:4? size:4? select:4? notify:4? status:4? isr:4?
      select=0 size?256 pfn?0 select=0 size?256 pfn?0 pfn=@ select=1 size?256 pfn?0 select=1 size?256 pfn?0 pfn=@
      status|=4 fillThenKick=127`,
    close: "status=0 select=0 pfn=0 select=1 pfn=0",
    interrupt: "isr?1",
    status: 7,
    header: 12,
    apart: true,
  },
  {
    name: "U-Boot, legacy",
    source: "u-boot/u-boot: drivers/virtio/virtio_pci_legacy.c, drivers/virtio/virtio_net.c",
    on: "pci legacy",
    open: `command|=7 status=0 status?0 status|=1 status|=2 deviceFeatures? driverFeatures=offered&0x20 ${MAC_BYTES}
      ${PLACE_LEGACY} status|=4 config.5:1=9 config.5:1?9 fillThenKick=32`,
    close: "status=0 status?0",
    interrupt: "isr?1",
    status: 7,
    header: 10,
    apart: false,
  },
  {
    name: "HelenOS",
    source: "HelenOS/helenos: uspace/lib/virtio/virtio.c, uspace/drv/nic/virtio-net/virtio-net.c",
    on: "pci modern",
    open: `command|=6 status=0 status=1 status=3 dfselect=0 deviceFeatures? dfselect=1 deviceFeatures?
      gfselect=0 driverFeatures=offered&0x20020 gfselect=1 driverFeatures=offered&1 status=11 status?11 numQueues?3
      select=0 size? size=@ ${AREAS} notifyOff? enable=1 select=1 size? size=@ ${AREAS} notifyOff? enable=1
      select=2 size? size=4 ${AREAS} notifyOff? enable=1 ${MAC_BYTES} fill=8 status|=4`,
    close: "status|=128 select=0 enable=0 select=1 enable=0 select=2 enable=0 status=0",
    interrupt: "isr?1",
    status: 15,
    header: 12,
    apart: false,
    size: 8,
    needs: 0x2_0020,
    giveUp: "status|=128",
  },
  {
    // Made from xv6's disk driver: queues come after DRIVER_OK, the page size after that, and no reset ever.
    name: "xv6's kin",
    source: "xv6-riscv's kernel/virtio_disk.c, and the virtio_net.c of its students made from it",
    on: "mmio 1",
    open: `magic?0x74726976 version?1 device?1 vendor?0x554d4551 status=1 status=3
      deviceFeatures? driverFeatures=offered&0x47fe7fdf status=11 status=15 pageSize=4096
      select=0 sizeMax?256 size=8 pfn=@ select=1 sizeMax?256 size=8 pfn=@ fill=4`,
    close: "status=0",
    interrupt: "isr?1 ack=1",
    status: 15,
    header: 10,
    apart: true,
    size: 8,
    vendorId: 0x554d_4551,
  },
  {
    name: "rcore virtio-drivers, legacy",
    source: "rcore-os/virtio-drivers: src/transport/mmio.rs, src/transport/mod.rs, src/device/net",
    on: "mmio 1",
    open: `magic?0x74726976 device?1 version?1 status=0 status=3 dfselect=0 deviceFeatures? dfselect=1 deviceFeatures?
      gfselect=0 driverFeatures=offered&0x30010020 gfselect=1 driverFeatures=offered&1 status=11 pageSize=4096
      config.0:1?2 config.6:2?1 select=0 pfn?0 select=0 sizeMax?256 select=0 size=16 align=4096 pfn=@
      select=1 pfn?0 select=1 sizeMax?256 select=1 size=16 align=4096 pfn=@ status=15 fill=8`,
    close: "select=0 size=0 align=0 pfn=0 select=1 size=0 align=0 pfn=0 status=0",
    interrupt: "isr?1 ack=1",
    status: 15,
    header: 10,
    apart: true,
    size: 16,
  },
  {
    name: "rcore virtio-drivers, version 2",
    source: "rcore-os/virtio-drivers: src/transport/mmio.rs, src/transport/mod.rs, src/device/net",
    on: "mmio 2",
    open: `magic?0x74726976 device?1 version?2 status=0 status=3 dfselect=0 deviceFeatures? dfselect=1 deviceFeatures?
      gfselect=0 driverFeatures=offered&0x30010020 gfselect=1 driverFeatures=offered&1 status=11
      config.0:1?2 config.6:2?1 select=0 ready?0 select=0 sizeMax?256 select=0 size=16 ${AREAS} ready=1
      select=1 ready?0 select=1 sizeMax?256 select=1 size=16 ${AREAS} ready=1 status=15 fill=8`,
    close: `select=0 ready=0 ready?0 size=0 ${NO_AREAS} select=1 ready=0 ready?0 size=0 ${NO_AREAS} status=0`,
    interrupt: "isr?1 ack=1",
    status: 15,
    header: 12,
    apart: true,
    size: 16,
  },
];
