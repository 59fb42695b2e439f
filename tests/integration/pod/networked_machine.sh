#!/bin/sh
# networked_machine.sh COMMAND...: run by root in a network and mounts of its own, which it makes into a machine with one
# address and a resolver at it; anybody may listen on any port.
set -e
ip link set lo up
ip addr add 192.0.2.1/32 dev lo
echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
# Open to everybody, as distributions have it.
mount -t tmpfs tmpfs /dev/net
mknod -m 666 /dev/net/tun c 10 200
resolver=$(mktemp)
echo 'nameserver 192.0.2.1' >"$resolver"
chmod 644 "$resolver"
mount --bind "$resolver" /etc/resolv.conf
rm "$resolver"
exec "$@"
