"""What the files of vectors hold; `schema.json` is made from this."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import msgspec

HERE = Path(__file__).parent

Case = TypeVar("Case")
Json = dict[str, Any]
NodeKind = Literal["file", "directory", "symlink", "fifo", "character", "block"]


class Vectors(msgspec.Struct, Generic[Case], frozen=True, forbid_unknown_fields=True):
    """One file: what its cases are about, and the cases."""

    about: str
    cases: tuple[Case, ...]


class NameCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text, whether it is accepted, and why not.

    Attributes:
        why: one of the reasons in docs/rules.md; "" for what is accepted.
    """

    value: str
    accepted: bool
    why: str = ""


class NamesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The three kinds of names."""

    about: str
    ids: tuple[NameCase, ...]
    guest_paths: tuple[NameCase, ...]
    relative_paths: tuple[NameCase, ...]


class MemberCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tar member's name, and where it is in the rootfs; null when it is refused. The rootfs itself is ""."""

    name: str
    path: str | None


class LayoutCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where something of a pod lies.

    Attributes:
        arguments: what the place depends on: the ids `pod` and `container`, the name `volume`, a `chain_id`, and
            `file`, a relative path in the volume.
    """

    what: Literal["template", "template rootfs", "pod", "emptyDir", "emptyDir file", "upper", "work", "merged"]
    arguments: dict[str, str]
    path: str


class DigestCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text, and whether it is a digest."""

    value: str
    accepted: bool


class ContentCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes, and their digest."""

    content_base64: str
    digest: str


class ChainCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The diff ids of an image, lowest first, and the chain ids of its layers."""

    diff_ids: tuple[str, ...]
    chain_ids: tuple[str, ...]


class DigestsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Digests and chain ids."""

    about: str
    texts: tuple[DigestCase, ...]
    contents: tuple[ContentCase, ...]
    chains: tuple[ChainCase, ...]


class ContainerOverrides(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a user asks of a container, beside its image; what is absent leaves it to the image.

    Attributes:
        command: replaces the image's entrypoint and its command.
        environment: names and values; a name that the image has keeps its place.
        add_capabilities, drop_capabilities: without `CAP_`; `ALL` is all of them.
        cpus: in processors, 0.5 is half of one.
        terminal: columns and rows; absent for none.
        bind_mounts: pairs of a path in the sandbox and one in the container.
    """

    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    working_dir: str | None = None
    user: str | None = None
    read_only_rootfs: bool = False
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    memory_bytes: int | None = None
    cpus: float | None = None
    pids: int | None = None
    terminal: tuple[int, int] | None = None
    bind_mounts: tuple[tuple[str, str], ...] = ()


class RuntimeSpecCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image's config (the object `config` of the document), overrides, and the OCI runtime spec.

    Attributes:
        rootfs: where the container's root filesystem is in the sandbox.
        runtime_spec: without its seccomp filter; the container's id is `c`.
    """

    name: str
    image_config: Json
    overrides: ContainerOverrides
    host_name: str
    rootfs: str
    runtime_spec: Json


class TreeNode(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is at a path of a tree.

    Attributes:
        mode: permissions with the set-id and sticky bits, as a decimal number: 0o644 is 420.
        content_sha256: of a file's bytes, in hexadecimal digits; "" for everything else.
        target: of a symlink what it says, of a device `major:minor`; "" for everything else.
        mtime_ns: nanoseconds since 1970; null where nothing says it, so that any will do.
        names: all paths of a file that has several, itself among them; empty for one.
    """

    kind: NodeKind
    mode: int
    uid: int = 0
    gid: int = 0
    content_sha256: str = ""
    target: str = ""
    mtime_ns: int | None = None
    names: tuple[str, ...] = ()


class WhiteoutCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Layers (tar archives, lowest first), and the tree that they become below the rootfs; null when one is refused.

    Attributes:
        layers_base64: each a plain tar archive.
        tree: by path, without a `/` at its beginning; the rootfs itself is not among them.
    """

    name: str
    layers_base64: tuple[str, ...]
    tree: dict[str, TreeNode] | None


class TransitionCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A phase, an event, and the phase that follows; null when that may not happen."""

    machine: Literal["pod", "container"]
    phase: str
    event: str
    next: str | None


class ErrorCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A class of errors, its stable code, what it is a kind of, what a command line exits with, its Linux errno."""

    name: str
    code: str
    base: str
    retryable: bool
    exit_code: int
    errno: int


class VolumeView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An emptyDir; `size_limit` is in bytes, null for none."""

    name: str
    medium: Literal["disk", "memory"]
    size_limit: int | None


class EmptyDirView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a container has an emptyDir."""

    volume: str
    path: str
    read_only: bool


class ContainerView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The main fields of a container.

    Attributes:
        args: what it runs; empty when the image decides, which is so without `command` and `args` in the manifest.
        environment: what the manifest adds to the image's, names and values.
        working_dir: null when the image decides.
        user: `user:group`; null when the image decides.
        memory_bytes, cpus: limits; null for none.
    """

    id: str
    image: str
    args: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    working_dir: str | None
    user: str | None
    read_only_rootfs: bool
    empty_dirs: tuple[EmptyDirView, ...]
    memory_bytes: int | None
    cpus: float | None
    grace_seconds: float


class PodView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The main fields of a pod; `host_name` is null when it is the pod's id."""

    id: str
    host_name: str | None
    restart_policy: Literal["always", "on-failure", "never"]
    shares_processes: bool
    volumes: tuple[VolumeView, ...]
    init_containers: tuple[ContainerView, ...]
    containers: tuple[ContainerView, ...]


class ManifestCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A manifest in YAML, and the main fields of the pod that it describes; null when it is refused.

    Every image is `memory:image`, whose config has the entrypoint `/entry`, the command `image-command` and the user
    `app`.
    """

    name: str
    manifest: str
    pod: PodView | None


FILES: dict[str, Any] = {
    "names.json": NamesFile,
    "tar_members.json": Vectors[MemberCase],
    "layout.json": Vectors[LayoutCase],
    "digests.json": DigestsFile,
    "runtime_specs.json": Vectors[RuntimeSpecCase],
    "whiteouts.json": Vectors[WhiteoutCase],
    "global_headers.json": Vectors[WhiteoutCase],
    "lifecycle.json": Vectors[TransitionCase],
    "errors.json": Vectors[ErrorCase],
    "manifests.json": Vectors[ManifestCase],
}


def read(name: str) -> Any:
    """The vectors of a file."""
    return msgspec.json.decode((HERE / name).read_bytes(), type=FILES[name])


def schema() -> bytes:
    """A JSON schema with a definition per file."""
    names = list(FILES)
    schemas, components = msgspec.json.schema_components([FILES[name] for name in names])
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "firkin's test vectors: `files` says which definition is for which file",
        "files": dict(zip(names, schemas, strict=True)),
        "$defs": components,
    }
    text = msgspec.json.encode(document).replace(b"#/$defs/", b"#/$defs/")
    return msgspec.json.format(text, indent=2) + b"\n"
