"""From a manifest and its images to a pod's spec."""

from __future__ import annotations

from pathlib import Path

import pytest

from firkin.adapters.memory import MemoryImageSource
from firkin.adapters.pod_manifest import load_manifest, pod_spec
from firkin.domain.image import ImageBundle, ImageConfig, Platform
from firkin.domain.pod_spec import PodSpec
from firkin.domain.process import Stdio, StdioOptions
from firkin.domain.rootfs_source import OciBundleRootfs
from firkin.domain.store_spec import PodStoreSpec
from firkin.domain.vm_config import VmConfig
from firkin.errors import ImageNotFound, InvalidPodSpec, ManifestError

HEAD = "{apiVersion: v1, kind: Pod, metadata: {name: pod}, spec: {containers: ["
IMAGE = ImageConfig(entrypoint=("/entry",), command=("image-command",), user="app:extra")
PIPED = StdioOptions(Stdio.PIPED, Stdio.PIPED, Stdio.PIPED)


async def spec_of(
    *containers: str, config: ImageConfig = IMAGE, rest: str = "", stdio: StdioOptions | None = None
) -> PodSpec:
    images = MemoryImageSource()
    images.add("image", config)
    listed = ", ".join(
        f"{{name: c{index}, image: 'memory:image', {fields}}}" for index, fields in enumerate(containers)
    )

    async def resolve(reference: str) -> ImageBundle:
        return await images.resolve(reference, Platform.current())

    manifest = load_manifest(f"{HEAD}{listed}]{rest}}}}}", "pod.yaml")
    return await pod_spec(manifest, resolve, stdio=stdio)


@pytest.mark.parametrize(
    ("fields", "args"),
    [
        ("", ()),
        ("command: [a]", ("a",)),
        ("command: [a], args: [b]", ("a", "b")),
        ("args: [b]", ("/entry", "b")),
        ("command: [], args: []", ()),
        ("command: [echo, $(X)], args: [$$(X), $(Y)], env: [{name: X, value: v}]", ("echo", "v", "$(X)", "$(Y)")),
    ],
)
async def test_command_and_args_replace_entrypoint_and_command(fields: str, args: tuple[str, ...]) -> None:
    assert (await spec_of(fields)).containers[0].process.args == args


@pytest.mark.parametrize(
    ("security", "user"),
    [
        ("{}", None),
        ("{runAsUser: 7}", "7"),
        ("{runAsUser: 7, runAsGroup: 8}", "7:8"),
        ("{runAsGroup: 8}", "app:8"),
        ("{runAsUser: 0}", "0"),
    ],
)
async def test_the_user_of_the_security_context_replaces_that_of_the_image(security: str, user: str | None) -> None:
    assert (await spec_of(f"securityContext: {security}")).containers[0].process.user == user


async def test_a_group_alone_is_of_root_when_the_image_names_no_user() -> None:
    spec = await spec_of("securityContext: {runAsGroup: 8}", config=ImageConfig(command=("sh",)))

    assert spec.containers[0].process.user == "0:8"


async def test_the_security_context_reaches_the_process() -> None:
    security = (
        "{allowPrivilegeEscalation: true, readOnlyRootFilesystem: true, capabilities: {add: [kill], drop: [ALL]}}"
    )
    (container,) = (await spec_of(f"securityContext: {security}")).containers

    assert not container.process.no_new_privileges
    assert container.root_read_only
    assert (container.process.capabilities_add, container.process.capabilities_drop) == (("CAP_KILL",), ("ALL",))


async def test_privileges_cannot_be_raised_unless_the_manifest_says_so() -> None:
    assert (await spec_of("")).containers[0].process.no_new_privileges


async def test_standard_input_reaches_only_who_asks_for_it() -> None:
    spec = await spec_of("", "stdin: true", "tty: true, stdin: true", stdio=PIPED)

    assert [container.stdio for container in spec.containers] == [
        StdioOptions(Stdio.NULL, Stdio.PIPED, Stdio.PIPED),
        PIPED,
        StdioOptions(Stdio.PIPED, Stdio.PIPED, Stdio.NULL),
    ]
    assert [container.process.terminal for container in spec.containers] == [False, False, True]


async def test_streams_go_nowhere_by_default() -> None:
    assert (await spec_of("")).containers[0].stdio == StdioOptions()


async def test_standard_input_that_nobody_feeds_is_refused() -> None:
    with pytest.raises(ManifestError) as caught:
        await spec_of("", "stdin: true", stdio=StdioOptions(stdout=Stdio.PIPED))

    assert [problem.where for problem in caught.value.problems] == ["spec.containers[1].stdin"]


async def test_the_pod_keeps_volumes_host_name_and_grace() -> None:
    rest = ", volumes: [{name: v, emptyDir: {medium: Memory, sizeLimit: 1Mi}}], hostname: box"
    fields = "volumeMounts: [{name: v, mountPath: /v}], workingDir: /w, resources: {limits: {cpu: 2, memory: 1Gi}}"
    spec = await spec_of(fields, rest=rest + ", terminationGracePeriodSeconds: 0")

    assert (spec.id, spec.host_name) == ("pod", "box")
    assert [(volume.name, volume.size_limit) for volume in spec.empty_dirs] == [("v", 2**20)]
    (container,) = spec.containers
    assert container.empty_dir_mounts[0].container_path == "/v"
    assert container.process.working_dir == "/w"
    assert (container.resources.cpus, container.resources.memory_bytes) == (2.0, 2**30)
    assert container.grace_seconds == 0


async def test_sandbox_and_store_are_those_of_the_caller() -> None:
    images = MemoryImageSource()
    images.add("image", IMAGE)
    manifest = load_manifest(f"{HEAD}{{name: a, image: 'memory:image'}}]}}}}", "pod.yaml")
    asked: list[str] = []

    async def resolve(reference: str) -> ImageBundle:
        asked.append(reference)
        return await images.resolve(reference, Platform.current())

    vm_config, pod_store = VmConfig(cpus=2), PodStoreSpec(Path("/store"))
    spec = await pod_spec(manifest, resolve, vm_config=vm_config, pod_store=pod_store)

    assert (spec.vm_config, spec.pod_store) == (vm_config, pod_store)
    assert asked == ["memory:image"]


async def test_an_image_of_several_containers_is_resolved_once() -> None:
    spec = await spec_of("", "", "")
    first = spec.containers[0].rootfs

    assert isinstance(first, OciBundleRootfs)
    assert all(container.rootfs == first for container in spec.containers)


async def test_a_missing_image_names_the_container() -> None:
    images = MemoryImageSource()
    manifest = load_manifest(f"{HEAD}{{name: lonely, image: 'memory:absent'}}]}}}}", "pod.yaml")

    async def resolve(reference: str) -> ImageBundle:
        return await images.resolve(reference, Platform.current())

    with pytest.raises(ImageNotFound) as caught:
        await pod_spec(manifest, resolve)

    assert (caught.value.pod_id, caught.value.container_id) == ("pod", "lonely")
    assert caught.value.operation == "resolve image"


async def test_a_container_without_any_command_is_refused() -> None:
    with pytest.raises(InvalidPodSpec) as caught:
        await spec_of("", config=ImageConfig())

    assert [problem.code for problem in caught.value.problems] == ["command-missing"]


async def test_the_demo_is_a_pod_of_two_containers_that_share_memory() -> None:
    path = Path(__file__).parents[3] / "examples" / "hello-pod.yaml"
    manifest = load_manifest(path.read_text(), str(path))

    assert [container.name for container in manifest.containers] == ["alice", "bob"]
    assert {container.image for container in manifest.containers} == {f"oci:{path.parent}/../.demo/image:latest"}
