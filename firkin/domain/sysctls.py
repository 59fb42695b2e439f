"""Which kernel settings belong to whom: to the whole kernel, to a pod's network, or to one container."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_NAME = re.compile(r"[A-Za-z0-9_-]+([./][A-Za-z0-9_:@-]+)+")
_NAME_CHARACTERS_LIMIT = 253
_OF_IPC = ("kernel.shm", "kernel.msg", "fs.mqueue.")
_OF_IPC_EXACTLY = ("kernel.sem",)
_OF_UTS = ("kernel.hostname", "kernel.domainname")
_OF_NETWORK = ("net.",)


def is_sysctl_name(name: str) -> bool:
    """True for names as sysctl(8) has them, with dots or, where a part has dots of its own, slashes."""
    return len(name) <= _NAME_CHARACTERS_LIMIT and _NAME.fullmatch(name) is not None


def sysctl_path(name: str) -> str:
    """The path below /proc/sys: the first separator is the separator, and the other one stands for itself."""
    first = re.search(r"[./]", name)
    if first is None or first.group() == "/":
        return name
    return name.translate(str.maketrans("./", "/."))


def is_network_sysctl(name: str) -> bool:
    """True for settings of a network namespace, which the containers of a pod share."""
    return _dotted(name).startswith(_OF_NETWORK)


def is_ipc_sysctl(name: str) -> bool:
    """True for settings of an IPC namespace, of which every container has its own."""
    dotted = _dotted(name)
    return dotted.startswith(_OF_IPC) or dotted in _OF_IPC_EXACTLY


def is_namespaced_sysctl(name: str) -> bool:
    """True when setting it in a sandbox changes nothing outside."""
    return is_network_sysctl(name) or is_ipc_sysctl(name) or _dotted(name) in _OF_UTS


def pod_sysctl_problems(settings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (name, sentence) for settings that a pod cannot have."""
    for name, value in settings.items():
        if not is_sysctl_name(name):
            yield name, f"{name!r} is not the name of a kernel setting"
        elif not (is_network_sysctl(name) or is_ipc_sysctl(name)):
            yield (
                name,
                f"{name} belongs to the whole kernel, not to a pod (net.*, kernel.shm*, .msg*, .sem, fs.mqueue.*)",
            )
        yield from _value_problems(name, value)


def container_sysctl_problems(settings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (name, sentence) for settings that one container of a pod cannot have."""
    for name, value in settings.items():
        if not is_sysctl_name(name):
            yield name, f"{name!r} is not the name of a kernel setting"
        elif is_network_sysctl(name):
            yield name, f"{name} belongs to the network, which the containers of a pod share: set it for the pod"
        elif not is_ipc_sysctl(name):
            yield name, f"{name} belongs to the whole kernel, not to a container"
        yield from _value_problems(name, value)


def _value_problems(name: str, value: str) -> Iterator[tuple[str, str]]:
    if not value or not value.isascii() or not value.replace("\t", " ").isprintable():
        yield name, f"the value {value!r} of {name} is not one line of printable ASCII"


def _dotted(name: str) -> str:
    return sysctl_path(name).replace("/", ".")
