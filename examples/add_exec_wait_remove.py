"""Add a container to a running pod, run a further process in it, wait for its end, and remove it.

    python examples/add_exec_wait_remove.py oci:DIRECTORY:TAG

The image needs a shell.
"""

from __future__ import annotations

import asyncio
import sys

import firkin
from firkin import ContainerId, EmptyDirVolume, PodBuilder, PodContainerSpec, RootfsSource, RuntimeConfig

SERVE = "until [ -e /queue/stop ]; do sleep 0.05; done; exit 3"


async def main(reference: str) -> int:
    async with firkin.open_runtime(RuntimeConfig(store="directory")) as runtime:
        rootfs = RootfsSource.oci_bundle(await runtime.images.resolve(reference))
        # A pod may begin without any container.
        spec = PodBuilder("jobs").empty_dir(EmptyDirVolume.disk("queue")).build()
        async with runtime.spawn(spec) as pod:
            worker = PodContainerSpec(ContainerId("worker"), rootfs).command("sh", "-c", SERVE)
            container = await pod.add_container(worker.env("ROLE", "worker").empty_dir_mount("queue", "/queue"))
            print(f"added: {container.id} is {container.state}")

            # It inherits the container's environment, directory and user.
            process = await container.exec("sh", "-c", "echo role is $ROLE, job is $JOB", env={"JOB": "1"})
            output = await process.wait_with_output()
            print(f"exec: {output.stdout.decode().strip()} ({output.status})")

            await pod.write_empty_dir_file("queue", "stop", b"")
            status = await container.wait()
            print(f"wait: {status}; the container is {container.state}")

            await pod.remove_container("worker")
            print(f"removed: {[str(left.id) for left in pod.containers()]} are left")
    return 0 if status.code == 3 else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
