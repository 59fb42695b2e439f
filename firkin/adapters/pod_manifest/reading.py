"""From the text of a manifest to a `PodManifest`, with every problem told at once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from firkin.domain.errors import ManifestError, SpecProblem
from firkin.domain.ids import PodId
from firkin.domain.restarting import RestartPolicy

from .containers import PodContext, read_container
from .documents import DataDocument, Documents, read_config_map, read_secret
from .environment import PodFacts
from .manifest import DEFAULT_GRACE_SECONDS, ManifestContainer, PodManifest
from .nodes import Field, made
from .pod_fields import POD_INERT, POD_METADATA_INERT, POD_SWITCHES, check_switches
from .problems import FieldReport, Problems
from .security import read_pod_security
from .surroundings import read_surroundings
from .volumes import read_volumes
from .yaml_documents import composed

MANIFEST_MAX_BYTES = 2**20
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_RESTART_POLICIES = {
    "Never": RestartPolicy.NEVER,
    "OnFailure": RestartPolicy.ON_FAILURE,
    "Always": RestartPolicy.ALWAYS,
}
_STATUS_INERT = {"status": "it is what a server said of the pod"}
_WITH_TEMPLATE = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob")
_POD_FIELDS = (
    "initContainers", "containers", "volumes", "hostname", "terminationGracePeriodSeconds", "restartPolicy",
    "securityContext", "hostAliases", "dnsConfig", "dnsPolicy", "shareProcessNamespace",
)  # fmt: skip


def load_manifest(
    text: str, source: str, allow_host_paths: Sequence[str] = (), image_schemes: Sequence[str] = ()
) -> PodManifest:
    """Read a Kubernetes Pod manifest, with the ConfigMaps and Secrets of the same file.

    What is absent is as in Kubernetes: `restartPolicy` Always, `terminationGracePeriodSeconds` 30.

    Args:
        text: YAML, at most 1 MiB.
        source: the file it comes from: errors name it, and its directory is where relative images lie.
        allow_host_paths: what of the host it may mount, with everything below.
        image_schemes: what references of images may begin with; empty where that shows when they are resolved.

    Raises:
        ManifestError: with every problem: broken YAML, wrong types, and each field that firkin does not honour.
    """
    problems = Problems(source)
    manifest = _loaded(text, source, problems, allow_host_paths, image_schemes)
    if manifest is None or problems:
        raise problems.error()
    return manifest


def check_manifest(
    text: str, source: str, allow_host_paths: Sequence[str] = (), image_schemes: Sequence[str] = ()
) -> tuple[FieldReport, ...]:
    """What becomes of each field of a manifest, in the order of its lines; see `load_manifest`."""
    problems = Problems(source)
    _loaded(text, source, problems, allow_host_paths, image_schemes)
    return problems.reports()


def _loaded(
    text: str, source: str, problems: Problems, allow_host_paths: Sequence[str], image_schemes: Sequence[str]
) -> PodManifest | None:
    if len(text) > MANIFEST_MAX_BYTES:
        problem = SpecProblem("manifest", "too-long", f"it is longer than {MANIFEST_MAX_BYTES} bytes")
        raise ManifestError(source, (problem,))
    pods: list[Field] = []
    config_maps: dict[str, DataDocument] = {}
    secrets: dict[str, DataDocument] = {}
    for root in (one for document in composed(text, problems) for one in _members(document)):
        match _kind(root):
            case "Pod":
                pods.append(root)
            case "ConfigMap":
                _collect(root, "ConfigMap", read_config_map(root), config_maps)
            case "Secret":
                _collect(root, "Secret", read_secret(root), secrets)
    for further in pods[1:]:
        further.problem("several-pods", "firkin runs one Pod of a file")
    if not pods:
        if not problems:
            problems.add(1, "manifest", "missing-field", "there is no Pod in it")
        return None
    return _pod(pods[0], source, Documents(config_maps, secrets), allow_host_paths, image_schemes)


def _members(document: Field) -> list[Field]:
    """The documents of a List, or the document itself."""
    entries = document.entries() if document.is_object else {}
    kind, version = entries.get("kind"), entries.get("apiVersion")
    if kind is None or version is None or not (kind.is_text("List") and version.is_text("v1")):
        return [document]
    fields = document.fields(
        ("apiVersion", "kind", "items"), {"metadata": "there is no server that it would matter to"}
    )
    items = document.required(fields, "items")
    return [] if items is None else items.items()


def _collect(root: Field, kind: str, document: DataDocument | None, documents: dict[str, DataDocument]) -> None:
    if document is not None and document.name in documents:
        root.problem("duplicate-document", f"{kind} {document.name!r} is given twice")
    if document is not None:
        documents.setdefault(document.name, document)


def _kind(root: Field) -> str | None:
    """The kind of a document that firkin reads; None after noting what is wrong."""
    if not root.is_object:
        root.problem("wrong-type", "a manifest is an object with apiVersion, kind, metadata and spec")
        return None
    kinds = {name: field for name, field in root.entries().items() if name in ("apiVersion", "kind")}
    version, kind = kinds.get("apiVersion"), kinds.get("kind")
    if version is None or kind is None:
        for name in ("apiVersion", "kind"):
            if name not in kinds:
                root.problem("missing-field", f"{name} is missing: a manifest begins with apiVersion: v1, kind: Pod")
        return None
    stated = version.text(), kind.text()
    if None in stated:
        return None
    if stated[0] == "v1" and stated[1] in ("Pod", "ConfigMap", "Secret"):
        return stated[1]
    at = version if stated[1] in ("Pod", "ConfigMap", "Secret") else kind
    message = f"{stated[0]} {stated[1]} cannot be run: firkin runs a v1 Pod, with v1 ConfigMaps and Secrets beside it"
    if stated[1] in _WITH_TEMPLATE:
        message += f"; the Pod of a {stated[1]} is its spec.template, with a name"
    at.problem("unsupported-value", message)
    return None


def _pod(
    root: Field, source: str, documents: Documents, allow_host_paths: Sequence[str], image_schemes: Sequence[str]
) -> PodManifest | None:
    fields = root.fields(("apiVersion", "kind", "metadata", "spec"), _STATUS_INERT)
    metadata = root.required(fields, "metadata")
    spec = root.required(fields, "spec")
    if metadata is None or spec is None:
        return None
    names = metadata.fields(("name", "namespace", "labels", "annotations"), POD_METADATA_INERT)
    name = made(metadata.required(names, "name"), PodId)
    namespace = made(names.get("namespace"), str) or "default"
    labels, annotations = (_texts(names.get(kind)) for kind in ("labels", "annotations"))
    stated = spec.fields((*_POD_FIELDS, *POD_SWITCHES), POD_INERT)
    check_switches(stated)
    security, sysctls = read_pod_security(stated.get("securityContext"))
    surroundings = read_surroundings(
        stated.get("hostAliases"), stated.get("dnsConfig"), stated.get("dnsPolicy"), sysctls
    )
    shares_processes = stated.get("shareProcessNamespace")
    facts = PodFacts(name or "", namespace, labels, annotations, documents)
    volumes = read_volumes(stated.get("volumes"), facts, security.fs_group, allow_host_paths)
    context = PodContext(source, image_schemes, facts, volumes, security)
    init_containers = _containers(stated.get("initContainers"), context, is_init=True)
    containers = _containers(spec.required(stated, "containers"), context, is_init=False)
    for shared in {one.name for one in init_containers} & {one.name for one in containers}:
        spec.problem("duplicate-container", f"container {shared!r} is both an init container and a container")
    host_name = _host_name(stated.get("hostname"))
    grace = stated.get("terminationGracePeriodSeconds")
    grace_seconds = None if grace is None else grace.integer()
    manifest = PodManifest(
        source=source,
        name=name or PodId("unnamed"),
        containers=tuple(containers),
        volumes=tuple(volumes.values()),
        host_name=host_name,
        grace_seconds=DEFAULT_GRACE_SECONDS if grace_seconds is None else float(grace_seconds),
        labels=labels,
        annotations=annotations,
        init_containers=tuple(init_containers),
        security=security,
        restart_policy=_restart_policy(stated.get("restartPolicy")),
        surroundings=surroundings,
        shares_processes=shares_processes is not None and shares_processes.boolean() is True,
    )
    return None if name is None else manifest


def _texts(field: Field | None) -> dict[str, str]:
    entries = {} if field is None else field.entries()
    read = {name: entry.text() for name, entry in entries.items()}
    return {name: text for name, text in read.items() if text is not None}


def _restart_policy(field: Field | None) -> RestartPolicy:
    policy = None if field is None else field.text()
    if field is not None and policy is not None and policy not in _RESTART_POLICIES:
        field.problem("invalid-value", f"restartPolicy {policy!r} is none of {', '.join(_RESTART_POLICIES)}")
    return _RESTART_POLICIES.get(policy or "Always", RestartPolicy.ALWAYS)


def _host_name(field: Field | None) -> str | None:
    name = None if field is None else field.text()
    if field is not None and name is not None and _HOST_NAME.fullmatch(name) is None:
        message = f"host name {name!r} is not 1 to 63 lower-case letters, digits and inner hyphens"
        field.problem("invalid-value", message)
    return name


def _containers(field: Field | None, pod: PodContext, *, is_init: bool) -> list[ManifestContainer]:
    items = [] if field is None else field.items()
    if field is not None and not items and not is_init:
        field.problem("invalid-value", "a pod needs at least one container")
    read = [(item, read_container(item, pod, is_init=is_init)) for item in items]
    seen: set[str] = set()
    for item, container in read:
        if container is not None and container.name in seen:
            item.problem("duplicate-container", f"container {container.name!r} is declared twice")
        if container is not None:
            seen.add(container.name)
    return [container for _, container in read if container is not None]
