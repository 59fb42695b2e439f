#!/bin/sh
# usage: throwaway_machine.sh ROOT SCRATCH SOCKETS COMMAND...
# Runs a command, in mount and process namespaces of its own, on a copy of the machine that can be damaged: what
# it writes goes to memory, of devices there are only harmless ones, and clock, modules and power are out of reach.
# ROOT is an empty directory; SCRATCH one in memory for the command; SOCKETS the one that stays shared with outside.
set -eu
root=$1 scratch=$2 sockets=$3
shift 3
mount --make-rprivate /
mount -t tmpfs throwaway "$root"
mkdir "$root/upper" "$root/work" "$root/new"
mount -t overlay throwaway -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/new"
# Filesystems of their own that the command's programs may lie on.
for directory in ${THROWAWAY_ALSO:-}; do
    mount --bind "$directory" "$root/new$directory"
    mount -o remount,bind,ro "$root/new$directory"
done
mount -t proc proc "$root/new/proc"
mount --rbind /sys "$root/new/sys"
mount -o remount,bind,ro "$root/new/sys"
mount -t tmpfs -o mode=755 devices "$root/new/dev"
for node in null zero full random urandom tty; do
    touch "$root/new/dev/$node"
    mount --bind "/dev/$node" "$root/new/dev/$node"
done
mkdir "$root/new/dev/shm" "$root/new/dev/pts"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/new/dev/pts"
ln -s pts/ptmx "$root/new/dev/ptmx"
ln -s /proc/self/fd "$root/new/dev/fd"
mount --bind "$sockets" "$root/new$sockets"
mount -t tmpfs scratch "$root/new$scratch"
cd "$root/new"
pivot_root . .
umount -l .
cd "$scratch"
exec setpriv --bounding-set=-sys_time,-sys_module,-sys_boot,-sys_rawio,-syslog,-wake_alarm,-mac_admin -- "$@"
