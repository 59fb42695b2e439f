"""Fields of a pod that change nothing on a single machine, and those that only one value is honoured of."""

from __future__ import annotations

from collections.abc import Mapping

from .nodes import Field

_NOTHING_TO_SCHEDULE = "a single machine has nothing to schedule"
_NO_ACCOUNTS = "there are no service accounts"

POD_INERT = {
    **dict.fromkeys(
        ("nodeName", "nodeSelector", "affinity", "tolerations", "topologySpreadConstraints", "schedulerName",
         "schedulingGates", "priority", "priorityClassName", "preemptionPolicy", "overhead"),
        _NOTHING_TO_SCHEDULE,
    ),
    **dict.fromkeys(("serviceAccountName", "serviceAccount", "automountServiceAccountToken"), _NO_ACCOUNTS),
    "enableServiceLinks": "there are no services",
    "imagePullSecrets": "images are on this machine, and are pulled from nowhere",
}  # fmt: skip
POD_METADATA_INERT = dict.fromkeys(
    ("creationTimestamp", "uid", "resourceVersion", "generation", "managedFields", "ownerReferences", "finalizers",
     "selfLink"),
    "there is no server that it would matter to",
)  # fmt: skip

_OWN_NAMESPACES = "a pod has namespaces of its own: those of the host would show it the host"
_ONLY_FALSE = {
    "hostNetwork": _OWN_NAMESPACES,
    "hostPID": _OWN_NAMESPACES,
    "hostIPC": _OWN_NAMESPACES,
    "setHostnameAsFQDN": "the host name is that of `hostname`, or the pod's",
}
_ONLY_TRUE = {"hostUsers": "containers have the host's user ids: the pod cannot have users of its own"}
POD_SWITCHES = (*_ONLY_FALSE, *_ONLY_TRUE, "os")


def check_switches(fields: Mapping[str, Field]) -> None:
    """Note those of `POD_SWITCHES` that have another value than the only one."""
    for wanted, reasons in ((False, _ONLY_FALSE), (True, _ONLY_TRUE)):
        for name, reason in reasons.items():
            if name in fields and fields[name].boolean() is (not wanted):
                fields[name].problem("unsupported-value", reason)
    if "os" in fields:
        name_field = fields["os"].required(fields["os"].fields(("name",)), "name")
        if name_field is not None and name_field.text() not in ("linux", None):
            name_field.problem("unsupported-value", "only linux is honoured")
