"""Manifests run for real, and questions put to their containers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import firkin
from firkin.adapters.pod_manifest import load_manifest, pod_spec
from firkin.domain.lifecycle import ContainerPhase
from firkin.domain.process import Stdio, StdioOptions
from tests.machine_state import MachineState, settled_state

from .pods import HANG_SECONDS, real_runtime

_PATTERNS = Path(__file__).parent / "patterns"
PIPED = StdioOptions(stdout=Stdio.PIPED, stderr=Stdio.PIPED)


def pattern(name: str) -> str:
    """One of `patterns/`: what people write manifests for, in which BUSYBOX stands for an image."""
    return (_PATTERNS / f"{name}.yaml").read_text()


class Manifests:
    """Runs manifests in which SERVICES and BUSYBOX stand for images."""

    def __init__(self, runtime: firkin.Runtime, services: str, busybox: str) -> None:
        self._runtime = runtime
        self._images = {"SERVICES": services, "BUSYBOX": busybox}

    @contextlib.asynccontextmanager
    async def running(self, text: str) -> AsyncIterator[firkin.Pod]:
        """The manifest's pod."""
        text = _affordable(textwrap.dedent(text))
        for word, image in self._images.items():
            text = text.replace(word, image)
        spec = await pod_spec(load_manifest(text, "pod.yaml"), self._runtime.images.resolve, stdio=PIPED)
        async with self._runtime.spawn(spec) as pod, asyncio.timeout(HANG_SECONDS):
            yield pod


def _affordable(text: str) -> str:
    """The manifest for an ordinary user, who has neither control groups nor loop devices."""
    if os.geteuid() == 0:
        return text
    without_limits = re.sub(r"(?m)^ *resources: .*\n", "", text)
    return without_limits.replace("emptyDir: {sizeLimit", "emptyDir: {medium: Memory, sizeLimit")


def manifests_directory(factory: pytest.TempPathFactory) -> Path:
    """The one store of all manifests of a run, so that their images are unpacked once."""
    base = factory.getbasetemp() / "manifests"
    base.mkdir(exist_ok=True)
    return base


@contextlib.asynccontextmanager
async def manifests(directory: Path, services: str, busybox: str) -> AsyncIterator[Manifests]:
    before = await settled_state()
    async with real_runtime(directory) as runtime:
        yield Manifests(runtime, services, busybox)
    assert MachineState.now().beyond(before) == {}


async def output_of(pod: firkin.Pod, name: str, *command: str) -> str:
    process = await pod.container(name).exec(*command)
    output = await process.wait_with_output()
    assert output.status.success, output
    return output.stdout.decode()


async def until_ready(container: firkin.Container) -> None:
    while not container.ready:
        assert container.state is ContainerPhase.RUNNING, container
        await asyncio.sleep(0.05)
