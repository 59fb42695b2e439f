from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NoReturn

import click
import pytest

from firkin import RuntimeConfig, open_runtime
from firkin.adapters.cli import CliServices, run_program
from firkin.adapters.cli.machine_options import AS_CONFIGURED, MachineOptions
from firkin.adapters.cli.run_command import command as run_command
from firkin.adapters.cli.services import FieldVerdict, LayerFile, LayerReport, Places, Resolve
from firkin.adapters.guest_image_host import HostGuestImages, KeptGuestImages
from firkin.adapters.image_library_oci import OciImageLibrary
from firkin.adapters.memory import MemoryAgentConnector, MemoryImageSource, MemoryPodStore, MemoryVmm, MemoryWorld
from firkin.adapters.store_directory import DirectoryTemplates
from firkin.application.runtime import Runtime
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.errors import CommandNotFound, StoreFull
from firkin.domain.ids import ContainerId
from firkin.domain.image import Platform
from firkin.domain.pod_spec import PodBuilder, PodSpec
from firkin.domain.process import Stdio
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.store_spec import PodStoreSpec
from firkin.domain.vm_config import VmConfig

from .long_lived import long_lived_in_memory


def memory_services(agent: Callable[[Sequence[str]], int], *, traceback: bool = False) -> CliServices:
    """Services over memory; `agent` stands behind `firkin vminitd`."""
    world, images = MemoryWorld(), MemoryImageSource()
    images.add("any")

    def runtime(
        *,
        store: str | None = None,
        platform: Platform | None = None,
        allow_host_paths: Sequence[Path] = (),
        machine: MachineOptions = AS_CONFIGURED,
        progress: Callable[[str], None] | None = None,
    ) -> AbstractAsyncContextManager[Runtime]:
        return open_runtime(
            RuntimeConfig(
                vmm=MemoryVmm(world), store=MemoryPodStore(world), agents=MemoryAgentConnector(world), images=images
            )
        )

    async def read_pod(
        text: str,
        source: str,
        resolve: Resolve,
        pod_store: PodStoreSpec,
        allow_host_paths: Sequence[Path],
        vm_config: VmConfig,
    ) -> PodSpec:
        rootfs = RootfsSource.oci_bundle(await resolve("memory:any"))
        builder = PodBuilder("pod-1", vm_config, pod_store)
        for line in text.splitlines():
            name, *command = line.split()
            container = PodContainerSpec(ContainerId(name), rootfs).command(*command)
            builder = builder.container(container.stdout(Stdio.PIPED).stderr(Stdio.PIPED))
        return builder.build()

    def apply_layer(
        rootfs: Path, layer: LayerFile, limits: Mapping[str, int], progress: Callable[[int], None]
    ) -> LayerReport:
        return LayerReport(0, 0, "")

    return CliServices(
        open_runtime=runtime,
        read_pod=read_pod,
        check_pod=lambda text, source, allowed: [
            FieldVerdict(1, "kind", "honoured", ""),
            FieldVerdict(2, "x", text, source),
        ],
        apply_layer=apply_layer,
        run_vminitd=agent,
        places=lambda: Places(Path("/nowhere"), Path("/nowhere"), "/bin"),
        traceback_wanted=lambda: traceback,
        version=lambda: "9.9",
        image_library=lambda: OciImageLibrary(Path("/nowhere")),
        templates=lambda store: DirectoryTemplates(Path("/nowhere"), store),
        reclaimable=lambda store: (),
        guest_images=lambda: HostGuestImages(Path("/nowhere"), "/bin"),
        kept_guest_images=lambda: KeptGuestImages(Path("/nowhere")),
        kvm_obstacle=lambda: "",
        kvm_finding=lambda: None,
        vhost_obstacle=lambda: "",
        long_lived=long_lived_in_memory(),
    )


VMINITD = ("vminitd", "--listen", "unix:/x", "--host-dir", "/")


def _raising(error: Exception) -> Callable[[Sequence[str]], int]:
    def agent(_: Sequence[str]) -> NoReturn:
        raise error

    return agent


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (StoreFull("/x"), 125, "firkin: error: pod store is full"),
        (CommandNotFound("x"), 127, "firkin: error: command 'x' was not found"),
        (ExceptionGroup("", [ExceptionGroup("", [StoreFull("/x")])]), 125, "firkin: error: pod store is full"),
        (PermissionError(13, "Permission denied", "/x"), 125, "firkin: error: /x: Permission denied"),
        (RuntimeError("oh"), 125, "firkin: error: unexpected RuntimeError: oh; this is a defect of firkin"),
    ],
)
def test_every_error_is_one_line_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], error: Exception, code: int, told: str
) -> None:
    assert run_program(VMINITD, memory_services(_raising(error))) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(told)


def test_a_traceback_is_shown_when_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(VMINITD, memory_services(_raising(RuntimeError("oh")), traceback=True)) == 125
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    def agent(_: Sequence[str]) -> NoReturn:
        raise KeyboardInterrupt

    assert run_program(VMINITD, memory_services(agent)) == 130
    assert capsys.readouterr().err.strip() == ""


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(["--version"], memory_services(_raising(RuntimeError()))) == 0
    assert capsys.readouterr().out == "firkin 9.9\n"


def test_the_agent_gets_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    given: list[Sequence[str]] = []

    def agent(arguments: Sequence[str]) -> int:
        given.append(arguments)
        return 0

    assert run_program([*VMINITD, "--runtime", "runc"], memory_services(agent)) == 0
    assert given == [["--listen", "unix:/x", "--host-dir", "/", "--runtime", "runc"]]


def test_a_pod_in_memory_runs_to_its_end(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    manifest = tmp_path / "pod"
    manifest.write_text("a echo hello\nlonger echo world\n")
    assert run_program(["pod", "run", str(manifest)], memory_services(_raising(RuntimeError()))) == 0
    assert sorted(capfd.readouterr().out.splitlines()) == ["a      | hello", "longer | world"]


@pytest.mark.parametrize(
    ("arguments", "image", "command"),
    [
        (["image"], "image", ()),
        (["image", "--", "a", "-b"], "image", ("a", "-b")),
        (["image", "a", "-e", "b"], "image", ("a", "-e", "b")),
        (["-e", "A=1", "image", "-w", "/", "a"], "image", ("a",)),
        (["-eA=1", "--user=u", "image", "-vi", "a"], "image", ("a",)),
        (["-ve", "A=1", "image", "a", "--", "b"], "image", ("a", "--", "b")),
        (["--", "image", "a"], "image", ("a",)),
        (["image", "--", "--", "a"], "image", ("--", "a")),
    ],
)
def test_options_end_at_the_first_word_of_the_command(
    arguments: list[str], image: str, command: tuple[str, ...]
) -> None:
    context = run_command.make_context("run", arguments)
    assert context.params["image"] == image
    assert context.params["command"] == command


@pytest.mark.parametrize("arguments", [[], ["-e"], ["-e", "A"], ["--nonsense", "image"], ["--grace", "-1", "image"]])
def test_wrong_options_are_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(click.UsageError):
        run_command.make_context("run", arguments)
