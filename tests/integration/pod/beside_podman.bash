#!/bin/bash
# beside_podman.bash DIRECTORY: play DIRECTORY/*.yaml with `podman kube play`, in mount and process namespaces of its own.
# Each leaves NAME.CONTAINER.code, .stdout and .stderr beside it. One that has a NAME.container beside it is a service:
# as soon as the script NAME.awaited succeeds in that container, NAME.question is run there, which leaves NAME.answer.
# DIRECTORY/images/NAME.tar is the image localhost/NAME:1.
set -eu
directory=$1
if [ "${BESIDE_PODMAN:-}" = "" ]; then
    BESIDE_PODMAN=inside exec unshare --mount --pid --fork --kill-child --mount-proc --propagation private "$0" "$@"
fi
# What podman keeps outside of its storage, and who else may run it, is none of this one's business.
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm
# crun refuses to run where it sees control groups of both versions (the hybrid layout).
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
mkdir -p "$directory/podman"
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
driver = "vfs"
runroot = "/run/podman-runroot"
graphroot = "$directory/podman/storage"
CONF
export CONTAINERS_CONF=$directory/podman/containers.conf CONTAINERS_STORAGE_CONF=$directory/podman/storage.conf
for archive in "$directory"/images/*.tar; do podman load -q -i "$archive" > /dev/null; done

ask() {
    local container
    container=$(cat "$1.container")
    timeout 60 podman exec "$container" bash -c "until { $(cat "$1.awaited"); } > /dev/null 2>&1; do sleep 0.05; done"
    timeout 60 podman exec "$container" bash -ec "$(cat "$1.question")" > "$1.answer" 2> "$1.told-by-question"
    podman pod stop -t 0 -a > /dev/null
}

for manifest in "$directory"/*.yaml; do
    podman kube play --network none "$manifest" > "$manifest.told" 2>&1 || { cat "$manifest.told"; exit 1; }
    if [ -e "${manifest%.yaml}.container" ]; then
        ask "${manifest%.yaml}"
        podman kube down "$manifest" > /dev/null
        continue
    fi
    for name in $(podman ps -a --filter label=app=compared --format '{{.Names}}'); do
        case $name in *-infra) continue ;; esac
        timeout 60 podman wait "$name" > "$manifest.$name.code"
        podman logs "$name" > "$manifest.$name.stdout" 2> "$manifest.$name.stderr"
    done
    podman kube down "$manifest" > /dev/null
done
find /sys/fs/cgroup -depth -type d -path '*/libpod_parent*' -exec rmdir {} + 2> /dev/null || true
