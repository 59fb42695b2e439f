#!/bin/bash
# beside_podman.bash DIRECTORY: play DIRECTORY/*.yaml with `podman kube play`, in namespaces of its own: mounts, processes, network.
#
# DIRECTORY/images/NAME tells where the image localhost/NAME:1 is, in skopeo's words. Beside NAME.yaml may lie
#     NAME.network    what its pod has for a network; absent: none
#     NAME.secrets/   the secrets that there are before it is played
#     NAME.ask        a script that is run here once it was played
# Each leaves NAME.played (the exit code) and NAME.told; then NAME.answer and NAME.told-by-ask where it was asked, and otherwise, once
# all have ended, of each container CONTAINER.code, .stdout and .stderr in NAME.containers/.
set -eu
directory=$1
if [ "${BESIDE_PODMAN:-}" = "" ]; then
    BESIDE_PODMAN=inside exec unshare --mount --pid --net --fork --kill-child --mount-proc --propagation private "$0" "$@"
fi
# Where slirp4netns offers the ports of pods.
ip link set lo up
# What podman keeps outside of its storage, and who else may run it, is none of this one's business.
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm
# Its storage, where overlays can be mounted whatever DIRECTORY is on.
mkdir "$directory/podman"
mount -t tmpfs tmpfs "$directory/podman"
# crun refuses to run where it sees control groups of both versions (the hybrid layout).
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
# podman would raise limits to its own defaults, which takes CAP_SYS_RESOURCE; there may be neither systemd nor journald.
cat > "$directory/podman/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=$(ulimit -Hu):$(ulimit -Hu)"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
cat > "$directory/podman/storage.conf" <<CONF
[storage]
driver = "overlay"
runroot = "/run/podman-runroot"
graphroot = "$directory/podman/storage"
CONF
export CONTAINERS_CONF=$directory/podman/containers.conf CONTAINERS_STORAGE_CONF=$directory/podman/storage.conf
# Without systemd there is nobody to ask probes: who wants to know asks `podman healthcheck run`.
export DISABLE_HC_SYSTEMD=true
for image in "$directory"/images/*; do
    skopeo copy -q "$(cat "$image")" "containers-storage:localhost/${image##*/}:1"
done

ask() {
    local status=0
    timeout 250 bash -eu "$1.ask" > "$1.answer" 2> "$1.told-by-ask" || status=$?
    [ "$status" = 0 ] || echo "exit code $status" >> "$1.told-by-ask"
}

until_ended() {
    local name
    mkdir "$1.containers"
    for name in $(podman ps -a --format '{{.Names}}'); do
        case $name in *-infra) continue ;; esac
        timeout 120 podman wait "$name" > "$1.containers/$name.code"
        podman logs "$name" > "$1.containers/$name.stdout" 2> "$1.containers/$name.stderr"
    done
}

remove() {
    podman stop -a -t 0 > /dev/null
    # A pod's control group is there as long as one of them runs, and podman would try for four seconds to remove it.
    timeout 60 bash -c 'while pgrep -x conmon; do sleep 0.02; done' > /dev/null
    podman pod rm -fa -t 0 > /dev/null
    podman volume rm -fa > /dev/null
    podman secret ls -q | xargs -r podman secret rm > /dev/null
}

for manifest in "$directory"/*.yaml; do
    name=${manifest%.yaml}
    network=$(cat "$name.network" 2> /dev/null || echo none)
    for secret in "$name".secrets/*; do
        if [ -e "$secret" ]; then podman secret create "${secret##*/}" "$secret" > /dev/null; fi
    done
    status=0
    # Init containers are kept, for what they wrote.
    timeout 120 podman kube play --annotation io.podman.annotations.init.container.type=always --network "$network" "$manifest" \
        > "$name.told" 2>&1 || status=$?
    echo "$status" > "$name.played"
    if [ -e "$name.ask" ]; then ask "$name"; elif [ "$status" = 0 ]; then until_ended "$name"; fi
    remove
done
find /sys/fs/cgroup -depth -type d -path '*/libpod_parent*' -exec rmdir {} + 2> /dev/null || true
