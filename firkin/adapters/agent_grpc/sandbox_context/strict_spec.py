"""Runtime specs for agents whose decoders want keys that the OCI specification lets out."""

from __future__ import annotations

import msgspec

_Members = dict[str, msgspec.Raw]

_NAMESPACE = {"path": msgspec.Raw(b'""')}
_RESOURCES = {"devices": msgspec.Raw(b"[]"), "hugepageLimits": msgspec.Raw(b"[]")}
_CPU = {"cpus": msgspec.Raw(b'""'), "mems": msgspec.Raw(b'""')}


def completed_for_strict_agents(runtime_spec: bytes) -> bytes:
    """Add the keys without which such an agent rejects a spec (or, without `linux`, crashes), as empty ones.

    An OCI runtime may take an empty `path` for a file's name, so this is only for agents that are not firkin's.
    """
    spec = _members(runtime_spec)
    linux = _members(spec.get("linux", b"{}"))
    namespaces = msgspec.json.decode(linux.get("namespaces", b"[]"), type=list[_Members])
    linux["namespaces"] = _raw([_NAMESPACE | namespace for namespace in namespaces])
    if "resources" in linux:
        resources = _RESOURCES | _members(linux["resources"])
        if "cpu" in resources:
            resources["cpu"] = _raw(_CPU | _members(resources["cpu"]))
        linux["resources"] = _raw(resources)
    spec["linux"] = _raw(linux)
    return msgspec.json.encode(spec)


def _members(document: bytes | msgspec.Raw) -> _Members:
    return msgspec.json.decode(document, type=_Members)


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
