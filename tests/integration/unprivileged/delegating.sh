#!/bin/sh
# delegating.sh UID COMMAND...: run by root in mounts of its own, where it shows control groups of version 2 alone and
# delegates one of them to the user, as a service manager does (cgroups(7)).
set -e
user=$1
shift
umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
home=$(sed -n 's/^0:://p' /proc/self/cgroup)
delegated=/sys/fs/cgroup$home/delegated-$$
mkdir "$delegated" "$delegated/caller"
chown "$user" "$delegated" "$delegated"/cgroup.* "$delegated/caller" "$delegated"/caller/cgroup.*
echo $$ >"$delegated/caller/cgroup.procs"
status=0
"$@" || status=$?
echo $$ >"/sys/fs/cgroup$home/cgroup.procs"
# Fails when a pod left a group.
rmdir "$delegated/caller" "$delegated"
exit $status
