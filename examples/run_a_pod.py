"""Run a pod of two containers that share a volume, and print what each wrote.

    python examples/run_a_pod.py oci:DIRECTORY:TAG

The image needs a shell.
"""

from __future__ import annotations

import asyncio
import sys

import firkin
from firkin import EmptyDirVolume, PodBuilder, PodContainerSpec, RootfsSource, RuntimeConfig, Stdio

WRITE = "echo 'hello from the writer' > /shared/.letter && mv /shared/.letter /shared/letter && echo 'letter written'"
READ = "until [ -e /shared/letter ]; do sleep 0.05; done; cat /shared/letter"


async def main(reference: str) -> int:
    async with firkin.open_runtime(RuntimeConfig(store="directory")) as runtime:
        rootfs = RootfsSource.oci_bundle(await runtime.images.resolve(reference))

        def container(name: str, script: str) -> PodContainerSpec:
            spec = PodContainerSpec(firkin.ContainerId(name), rootfs).command("sh", "-c", script)
            return spec.empty_dir_mount("shared", "/shared").stdout(Stdio.PIPED).stderr(Stdio.INHERIT)

        spec = (
            PodBuilder("letters")
            .empty_dir(EmptyDirVolume.memory("shared", size_limit=firkin.Size.mib(1)))
            .container(container("writer", WRITE))
            .container(container("reader", READ))
            .build()
        )
        async with runtime.spawn(spec) as pod:
            for running in pod.containers():
                output = await running.wait_with_output()
                print(f"{running.id}: {output.stdout.decode().strip()} ({output.status})")
                if not output.status.success:
                    return output.status.code
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
