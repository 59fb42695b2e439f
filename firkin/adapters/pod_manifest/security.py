"""Reading `securityContext`, of a pod and of a container."""

from __future__ import annotations

from collections.abc import Mapping

from firkin.domain.linux_capabilities import normalised_capability

from .manifest import PodSecurity, SecurityContext
from .nodes import Field, made

_SHARED = ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile")
_POD_FIELDS = (*_SHARED, "fsGroup", "supplementalGroups", "sysctls")
_CONTAINER_FIELDS = (
    *_SHARED, "readOnlyRootFilesystem", "capabilities", "allowPrivilegeEscalation", "privileged", "procMount",
)  # fmt: skip
_ID_MAX = 2**32 - 2


def read_pod_security(field: Field | None) -> tuple[PodSecurity, Field | None]:
    """Read that of the pod; its `sysctls` are handed on."""
    inert = {"fsGroupChangePolicy": "volumes are new, and belong to the group from the beginning"}
    fields = {} if field is None else field.fields(_POD_FIELDS, inert)
    _check_seccomp(fields.get("seccompProfile"))
    groups = [] if "supplementalGroups" not in fields else fields["supplementalGroups"].items()
    security = PodSecurity(
        run_as_user=_account(fields.get("runAsUser")),
        run_as_group=_account(fields.get("runAsGroup")),
        run_as_non_root=_flag(fields.get("runAsNonRoot")),
        fs_group=_account(fields.get("fsGroup")),
        supplemental_groups=tuple(gid for gid in map(_account, groups) if gid is not None),
    )
    return security, fields.get("sysctls")


def read_security(field: Field | None, pod: PodSecurity) -> SecurityContext:
    """Read that of a container; what it leaves out is the pod's."""
    fields = {} if field is None else field.fields(_CONTAINER_FIELDS)
    _check_seccomp(fields.get("seccompProfile"))
    if _flag(fields.get("privileged")):
        message = "a privileged container would be root of the host: name the capabilities that it needs"
        fields["privileged"].problem("unsupported-value", message)
    proc_mount = fields.get("procMount")
    if proc_mount is not None and proc_mount.text() not in ("Default", None):
        proc_mount.problem("unsupported-value", "only Default is honoured: it hides what is not the container's")
    capabilities = fields.get("capabilities")
    changes = {} if capabilities is None else capabilities.fields(("add", "drop"))
    return SecurityContext(
        run_as_user=_first(_account(fields.get("runAsUser")), pod.run_as_user),
        run_as_group=_first(_account(fields.get("runAsGroup")), pod.run_as_group),
        run_as_non_root=_flag(fields.get("runAsNonRoot")) if "runAsNonRoot" in fields else pod.run_as_non_root,
        read_only_root=_flag(fields.get("readOnlyRootFilesystem")),
        allow_privilege_escalation=_flag(fields.get("allowPrivilegeEscalation")),
        capabilities_add=_capabilities(changes, "add"),
        capabilities_drop=_capabilities(changes, "drop"),
    )


def _first(own: int | None, inherited: int | None) -> int | None:
    return inherited if own is None else own


def _flag(field: Field | None) -> bool:
    return field is not None and field.boolean() is True


def _check_seccomp(field: Field | None) -> None:
    fields = {} if field is None else field.fields(("type",))
    profile = fields.get("type")
    if profile is not None and profile.text() not in ("RuntimeDefault", None):
        profile.problem("unsupported-value", "only RuntimeDefault is honoured, which every container has")


def _account(field: Field | None) -> int | None:
    number = None if field is None else field.integer()
    if field is not None and number is not None and number > _ID_MAX:
        field.problem("invalid-value", f"{number} is more than {_ID_MAX}, the highest id there is")
    return number


def _capabilities(changes: Mapping[str, Field], name: str) -> tuple[str, ...]:
    items = changes[name].items() if name in changes else []
    read = [made(item, _capability) for item in items]
    return tuple(capability for capability in read if capability is not None)


def _capability(name: str) -> str:
    return "ALL" if name.upper() == "ALL" else normalised_capability(name)
