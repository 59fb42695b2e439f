"""Write the generated files of vectors into a directory; what changes has to be looked at like any other change."""

from __future__ import annotations

import asyncio
import base64
import inspect
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from firkin import errors
from firkin.domain.digest import Digest
from firkin.domain.ids import ContainerId, PodId, VolumeName
from firkin.domain.layout import StoreLayout
from firkin.domain.lifecycle import (
    CONTAINER_TRANSITIONS,
    POD_TRANSITIONS,
    ContainerEvent,
    ContainerPhase,
    PodEvent,
    PodPhase,
)
from tests.integration.layers.golden.case import Golden, Refused
from tests.integration.layers.golden.global_headers import GLOBAL
from tests.integration.layers.golden.trees import ANY_TIME, Node
from tests.integration.layers.golden.whiteouts import WHITEOUTS
from tests.vectors.formats import (
    ErrorCase,
    LayoutCase,
    ManifestCase,
    NodeKind,
    RuntimeSpecCase,
    TransitionCase,
    TreeNode,
    Vectors,
    WhiteoutCase,
    schema,
)
from tests.vectors.subjects import manifest_pod, runtime_spec

from .inputs import MANIFESTS, RUNTIME_SPECS

_BLOCK_BYTES = 512
_LONG_BYTES = 40_000


def _layout() -> Iterable[LayoutCase]:
    layout, pod, volume = StoreLayout(), PodId("pod-1"), VolumeName("db")
    chain_id = Digest.of(b"")
    overlay = layout.overlay(pod, ContainerId("web"))
    yield LayoutCase("template", {"chain_id": chain_id}, layout.template(chain_id))
    yield LayoutCase("template rootfs", {"chain_id": chain_id}, layout.template_rootfs(chain_id))
    yield LayoutCase("pod", {"pod": pod}, layout.pod(pod))
    yield LayoutCase("emptyDir", {"pod": pod, "volume": volume}, layout.empty_dir(pod, volume))
    file = {"pod": pod, "volume": volume, "file": "requests/slot-1"}
    yield LayoutCase("emptyDir file", file, layout.empty_dir_file(pod, volume, "requests/slot-1"))
    for name in ("upper", "work", "merged"):
        yield LayoutCase(name, {"pod": pod, "container": "web"}, getattr(overlay, name))


def _lifecycle() -> Iterable[TransitionCase]:
    for phase in PodPhase:
        for event in PodEvent:
            yield TransitionCase("pod", phase, event, POD_TRANSITIONS[phase].get(event))
    for container_phase in ContainerPhase:
        for container_event in ContainerEvent:
            following = CONTAINER_TRANSITIONS[container_phase].get(container_event)
            yield TransitionCase("container", container_phase, container_event, following)


def _errors() -> Iterable[ErrorCase]:
    for name in sorted(dir(errors)):
        kind = getattr(errors, name)
        if inspect.isclass(kind) and issubclass(kind, errors.FirkinError):
            base = kind.__bases__[0].__name__
            yield ErrorCase(name, kind.code, base, kind.retryable, kind.exit_code, kind.errno)


def _trees(table: Mapping[str, Golden]) -> Iterable[WhiteoutCase]:
    for name, golden in table.items():
        tree = None
        if not isinstance(golden.outcome, Refused):
            tree = {path.decode(): _node(node) for path, node in sorted(golden.outcome.items()) if path != b"."}
        layers = tuple(base64.b64encode(_without_padding(layer)).decode() for layer in golden.layers)
        yield WhiteoutCase(name, layers, tree)


def _is_told_whole(golden: Golden) -> bool:
    """Whether the form of the vectors has room for it: for no limits, no attributes and no long archives."""
    has_attributes = not isinstance(golden.outcome, Refused) and any(node.xattrs for node in golden.outcome.values())
    return golden.limits is None and not has_attributes and max(map(len, golden.layers)) < _LONG_BYTES


def _without_padding(tar: bytes) -> bytes:
    """The archive with no more than the two blocks of zeros that end it."""
    used = -(-len(tar.rstrip(b"\0")) // _BLOCK_BYTES) * _BLOCK_BYTES
    return tar[:used] + bytes(2 * _BLOCK_BYTES)


def _node(node: Node) -> TreeNode:
    is_file = node.kind == "file"
    return TreeNode(
        msgspec.convert(node.kind, NodeKind),
        node.mode,
        node.uid,
        node.gid,
        node.content.hex() if is_file else "",
        "" if is_file else node.content.decode(),
        None if node.mtime_ns == ANY_TIME else node.mtime_ns,
        tuple(sorted(name.decode() for name in node.names)) if len(node.names) > 1 else (),
    )


def _runtime_specs() -> Iterable[RuntimeSpecCase]:
    rootfs = "/run/firkin/pod-store/pods/pod-1/containers/c/merged"
    for name, (config, overrides) in RUNTIME_SPECS.items():
        document = runtime_spec(config, overrides, "pod-1", rootfs)
        yield RuntimeSpecCase(name, config, overrides, "pod-1", rootfs, document)


async def _manifests() -> list[ManifestCase]:
    cases = []
    for name, text in MANIFESTS.items():
        try:
            pod = await manifest_pod(text)
        except errors.FirkinError:
            pod = None
        cases.append(ManifestCase(name, text, pod))
    return cases


def main(directory: Path) -> None:
    """Write them all."""
    files = {
        "layout.json": ("Where things lie in a sandbox.", _layout()),
        "lifecycle.json": ("Every phase with every event.", _lifecycle()),
        "errors.json": ("Every error, with its stable code.", _errors()),
        "whiteouts.json": ("What layers with whiteouts become; OCI image-spec, layer.md.", _trees(WHITEOUTS)),
        "global_headers.json": (
            "What layers with pax global headers become; docs/rules.md.",
            _trees({name: golden for name, golden in GLOBAL.items() if _is_told_whole(golden)}),
        ),
        "runtime_specs.json": ("From an image's config and a user's wishes to an OCI runtime spec.", _runtime_specs()),
        "manifests.json": ("From a Kubernetes Pod manifest to a pod.", asyncio.run(_manifests())),
    }
    for name, (about, cases) in files.items():
        encoded = msgspec.json.encode(Vectors(about, tuple(cases)), enc_hook=str)
        (directory / name).write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")
    (directory / "schema.json").write_bytes(schema())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
