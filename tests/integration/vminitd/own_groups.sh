#!/bin/sh
# usage: own_groups.sh NAME COMMAND...
# Runs a command, in a mount namespace of its own, in control groups of its own: NAME in every hierarchy that is
# mounted, of either version, each mounted anew so that it begins there.
set -eu
name=$1
shift
for hierarchy in /sys/fs/cgroup/*/; do
    [ -h "${hierarchy%/}" ] && continue
    mkdir "$hierarchy$name"
    # A new group has no processors and no memory until somebody says which (cpuset).
    for file in cpuset.cpus cpuset.mems; do
        [ ! -e "$hierarchy$file" ] || cat "$hierarchy$file" >"$hierarchy$name/$file"
    done
    echo $$ >"$hierarchy$name/cgroup.procs"
done
exec unshare --mount --cgroup sh -euc '
    grep -E "^[^ ]+ /sys/fs/cgroup/[^ ]+ cgroup2? " /proc/self/mounts | while read -r _ place type options _; do
        umount "$place"
        mount -t "$type" -o "$options" "$type" "$place"
    done
    exec "$@"
' own-groups "$@"
