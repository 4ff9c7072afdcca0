/**
 * The three scripts that run inside the guest: `init`, the agent that answers on the serial line, and what `udhcpc`
 * calls when it has a lease. They need nothing but busybox.
 *
 * @module
 */

/** First process: mounts, quiets the kernel, and keeps an agent on the serial line. */
export const INIT_SCRIPT: string = `#!/bin/sh
export PATH=/bin HOME=/ TERM=linux
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /tmp /run /root
mount -t devpts devpts /dev/pts
mount -t tmpfs -o size=80% tmpfs /tmp
dmesg -n 1
hostname guest
ifconfig lo 127.0.0.1 up
while :; do
  setsid -c /bin/sh /etc/agent </dev/ttyS0 >/dev/ttyS0 2>&1
  sleep 1
done
`;

/**
 * The other end of the command channel (see \`channel.ts\`): one line in, \`<id> <command for printf %b>\`; out come a
 * begin frame, the command's output as it is made, and an end frame with its exit status. The terminal is raw, so
 * bytes pass unchanged, but ^C stays a signal: it reaches the command, while the agent itself ignores it.
 */
export const AGENT_SCRIPT: string = `stty raw -echo isig
trap : INT QUIT
printf '\\001ready %s\\001' "$(uname -r)"
while :; do
  IFS= read -r line || continue
  id=\${line%% *}
  command=$(printf '%b.' "\${line#* }")
  printf '\\001begin %s\\001' "$id"
  (trap - INT QUIT; eval "\${command%.}") </dev/null 2>&1
  printf '\\001end %s %s\\001' "$id" "$?"
done
`;

/** Where `udhcpc` leaves what it was given, as `name=value` lines. */
export const LEASE_FILE = "/run/lease";

/** Configures the interface, the route and the resolver, and writes the lease down for the host to read. */
export const UDHCPC_SCRIPT: string = `#!/bin/sh
case "$1" in
deconfig)
  ip addr flush dev "$interface"
  ip link set "$interface" up
  ;;
bound|renew)
  ip addr flush dev "$interface"
  ip addr add "$ip/\${mask:-24}" dev "$interface"
  [ -n "$mtu" ] && ip link set "$interface" mtu "$mtu"
  for via in $router; do ip route replace default via "$via" dev "$interface"; done
  : >/etc/resolv.conf
  [ -n "$domain" ] && echo "search $domain" >>/etc/resolv.conf
  for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
  for name in interface ip mask router dns domain lease serverid mtu hostname; do
    eval "echo \\"$name=\\$$name\\""
  done >${LEASE_FILE}
  ;;
esac
`;
