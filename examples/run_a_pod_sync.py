"""Run a pod of two containers that share a volume, from a program without an event loop.

    python examples/run_a_pod_sync.py oci:DIRECTORY:TAG

The image needs a shell. Beside run_a_pod.py, only the awaiting is missing.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from firkin import EmptyDirVolume, PodBuilder, PodContainerSpec, RootfsSource, RuntimeConfig, Size, Stdio
from firkin.sync import Container, open_runtime

WRITE = "echo 'hello from the writer' > /shared/.letter && mv /shared/.letter /shared/letter && echo 'letter written'"
READ = "until [ -e /shared/letter ]; do sleep 0.05; done; cat /shared/letter"


def main(reference: str) -> int:
    with open_runtime(RuntimeConfig(store="directory")) as runtime:
        rootfs = RootfsSource.oci_bundle(runtime.images.resolve(reference))

        def container(name: str, script: str) -> PodContainerSpec:
            spec = PodContainerSpec(name, rootfs).command("sh", "-c", script)
            return spec.empty_dir_mount("shared", "/shared").stdout(Stdio.PIPED).stderr(Stdio.INHERIT)

        spec = (
            PodBuilder("letters-sync")
            .empty_dir(EmptyDirVolume.memory("shared", size_limit=Size.mib(1)))
            .container(container("writer", WRITE))
            .container(container("reader", READ))
            .build()
        )
        # Ctrl-C ends both, and leaves nothing behind.
        with runtime.spawn(spec) as pod, ThreadPoolExecutor() as threads:
            outputs = list(threads.map(Container.wait_with_output, pod.containers()))
        for running, output in zip(spec.containers, outputs, strict=True):
            print(f"{running.id}: {output.stdout.decode().strip()} ({output.status})")
    return 0 if all(output.status.success for output in outputs) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
