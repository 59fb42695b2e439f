"""Completing a runtime spec with what only the guest knows: users, HOME, PATH, the control group's path.

Any valid runtime-spec document is accepted; what firkin does not know of it reaches the OCI runtime unchanged.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from firkin.domain.errors import InvalidArgument
from firkin.domain.json_decoding import decoded_json
from firkin.domain.layout import CONTAINER_INIT
from firkin.domain.users import ResolvedUser, resolved_user

from .control_groups import usable_controllers
from .executables import Command
from .seccomp_filter import ANNOTATION, compiled_filter
from .unprivileged_spec import mapped_groups_option, refuse_limits, refuse_unmapped_user
from .user_namespace import mapped_groups, mapped_users

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DATABASE_BYTES = 4 * 1024 * 1024
_INIT_PREFIX = (CONTAINER_INIT, "--")
_NEEDED_NAMESPACES = frozenset({"mount", "pid"})

ReadBeneath = Callable[[str, str, int], bytes | None]
"""Reads at most so many bytes of a file inside a root; None when there is no such file."""


class CompletedConfig(msgspec.Struct, frozen=True):
    """A document that an OCI runtime can run.

    Attributes:
        document: the whole configuration, JSON.
        process: its `process` alone, JSON, as `exec --process` takes it.
        command: args[0], or what follows the init that firkin puts before it, and where it is looked for.
        root: the root filesystem's path.
        cgroups_path: of the container.
        has_terminal: whether the process has a pseudo terminal.
        shares_processes: whether its process namespace is also that of others.
    """

    document: bytes
    process: bytes
    command: Command
    root: str
    cgroups_path: str
    has_terminal: bool
    shares_processes: bool = False


class _Process(msgspec.Struct):
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    cwd: str = ""
    terminal: bool = False


class _Mount(msgspec.Struct):
    destination: str
    source: str = ""
    options: tuple[str, ...] = ()


class _Root(msgspec.Struct):
    path: str = ""


class _User(msgspec.Struct, rename="camel"):
    username: str = ""
    uid: int = 0
    gid: int = 0
    additional_gids: tuple[int, ...] = ()


class _Namespace(msgspec.Struct):
    type: str
    path: str = ""


class _Linux(msgspec.Struct, rename="camel"):
    cgroups_path: str = ""
    namespaces: tuple[_Namespace, ...] = ()


_Members = dict[str, msgspec.Raw]
_NOTHING = msgspec.Raw(b"{}")
_T = TypeVar("_T")


def completed_config(
    spec: bytes, container_id: str, read_beneath: ReadBeneath, *, compile_seccomp: bool = False
) -> CompletedConfig:
    """Complete the spec of a container's init.

    With `compile_seccomp` its seccomp profile is replaced by a compiled one, which not every runtime takes.

    Raises:
        InvalidArgument: it is no runtime spec, or would not confine the container.
        UserUnknown: its user is not in the rootfs.
        UserNotMapped: its user has no id on the host.
        UnsupportedFeature: it has limits that nothing here would enforce.
    """
    document = _members(spec, "the runtime spec")
    root = _part(document, "root", _Root).path
    linux_members = _members(document.get("linux", _NOTHING), "linux")
    linux = _decoded(document.get("linux", _NOTHING), _Linux, "linux")
    missing = _NEEDED_NAMESPACES - {namespace.type for namespace in linux.namespaces}
    if missing:
        raise InvalidArgument(f"the runtime spec must list the namespaces {', '.join(sorted(missing))}")
    mounts = _decoded(document.get("mounts", msgspec.Raw(b"[]")), list[_Mount], "mounts")
    points = [mount.destination for mount in mounts]
    _fit_mounts(document, mounts)
    refuse_limits(_members(linux_members.get("resources", _NOTHING), "linux.resources"), usable_controllers())
    process, command, has_terminal = _completed_process(document, root, points, read_beneath)
    cgroups_path = linux.cgroups_path or f"/container/{container_id}"
    linux_members["cgroupsPath"] = _raw(cgroups_path)
    _drop_empty_values(linux_members)
    if compile_seccomp:
        _compile_seccomp(document, linux_members)
    document["linux"] = _raw(linux_members)
    document["process"] = process
    shares_processes = any(namespace.type == "pid" and namespace.path for namespace in linux.namespaces)
    return CompletedConfig(
        msgspec.json.encode(document), bytes(process), command, root, cgroups_path, has_terminal, shares_processes
    )


def _fit_mounts(document: _Members, mounts: Sequence[_Mount]) -> None:
    """Leave out of the mounts' options what the OCI runtime would fail at, and nothing is lost with."""
    fitted = {n: options for n, one in enumerate(mounts) if (options := _fitted_options(one)) != list(one.options)}
    if fitted:
        members = _decoded(document["mounts"], list[_Members], "mounts")
        for number, options in fitted.items():
            members[number]["options"] = _raw(options)
        document["mounts"] = _raw(members)


def _fitted_options(mount: _Mount) -> list[str]:
    # crun opens what it makes read-only recursively as a directory.
    options = [option for option in mount.options if option != "rro" or not _is_file(mount.source)]
    return mapped_groups_option(options, mapped_groups())


def _drop_empty_values(linux: _Members) -> None:
    """Leave out what hosts with strict decoders must send as "" and an OCI runtime would take for a name."""
    if "namespaces" in linux:
        linux["namespaces"] = _raw([_without(_members(one, "linux.namespaces"), "path") for one in _parts(linux)])
    resources = _members(linux.get("resources", _NOTHING), "linux.resources")
    if "cpu" in resources:
        resources["cpu"] = _raw(_without(_members(resources["cpu"], "linux.resources.cpu"), "cpus", "mems"))
        linux["resources"] = _raw(resources)


def _is_file(path: str) -> bool:
    return os.path.exists(path) and not os.path.isdir(path)


def _parts(linux: _Members) -> list[msgspec.Raw]:
    return _decoded(linux["namespaces"], list[msgspec.Raw], "linux.namespaces")


def _without(members: _Members, *names: str) -> _Members:
    return {name: value for name, value in members.items() if name not in names or bytes(value) != b'""'}


def _compile_seccomp(document: _Members, linux: _Members) -> None:
    profile = compiled_filter(bytes(linux["seccomp"])) if "seccomp" in linux else None
    if profile is not None:
        del linux["seccomp"]
        annotations = _members(document.get("annotations", _NOTHING), "annotations")
        document["annotations"] = _raw({**annotations, ANNOTATION: profile})


def completed_process(spec: bytes, container: CompletedConfig, read_beneath: ReadBeneath) -> CompletedConfig:
    """Complete the process of an exec in a container.

    Raises:
        InvalidArgument: it has no usable process.
        UserUnknown: its user is not in the rootfs.
    """
    document = _members(spec, "the runtime spec")
    process, command, has_terminal = _completed_process(
        document, container.root, container.command.mounts, read_beneath
    )
    return CompletedConfig(b"", bytes(process), command, container.root, container.cgroups_path, has_terminal)


def _completed_process(
    document: _Members, root: str, mounts: Sequence[str], read_beneath: ReadBeneath
) -> tuple[msgspec.Raw, Command, bool]:
    process = _part(document, "process", _Process)
    if not process.args or not process.args[0]:
        raise InvalidArgument("the runtime spec's process has no args")
    if not root.startswith("/"):
        raise InvalidArgument(f"the runtime spec's root path {root!r} is not absolute")
    members = _members(document["process"], "process")
    user_members = _members(members.get("user", _NOTHING), "process.user")
    user = _decoded(members.get("user", _NOTHING), _User, "process.user")
    has_home = any(variable.startswith("HOME=") for variable in process.env)
    uid, gid = user.uid, user.gid
    if user.username or not has_home:
        resolved = _resolved(user, root, read_beneath)
        if user.username:
            uid, gid = resolved.uid, resolved.gid
            # What the image's files add to the user's groups is left out where it has no id on the host.
            listed = [gid for gid in resolved.additional_gids if gid in mapped_groups()]
            gids = dict.fromkeys((*user.additional_gids, *listed))
            user_members |= {"uid": _raw(uid), "gid": _raw(gid), "additionalGids": _raw(list(gids))}
        members["user"] = _raw(user_members)
        environment = _environment(process, resolved.home)
    else:
        environment = _environment(process, "")
    refuse_unmapped_user(user.username, uid, (gid, *user.additional_gids), mapped_users(), mapped_groups())
    members["env"] = _raw(environment)
    working_directory = process.cwd or "/"
    members["cwd"] = _raw(working_directory)
    search_path = next(variable[5:] for variable in environment if variable.startswith("PATH="))
    has_init = process.args[:2] == _INIT_PREFIX and len(process.args) > 2
    name = process.args[2 if has_init else 0]
    return _raw(members), Command(name, working_directory, search_path, mounts, has_init), process.terminal


def _resolved(user: _User, root: str, read_beneath: ReadBeneath) -> ResolvedUser:
    passwd = read_beneath(root, "/etc/passwd", _DATABASE_BYTES) or b""
    group = read_beneath(root, "/etc/group", _DATABASE_BYTES) or b"" if user.username else b""
    wanted = user.username or str(user.uid)
    return resolved_user(wanted, passwd.decode("utf-8", "replace"), group.decode("utf-8", "replace"))


def _environment(process: _Process, home: str) -> list[str]:
    wanted = [DEFAULT_PATH]
    if home:
        wanted.append(f"HOME={home}")
    if process.terminal:
        wanted.append("TERM=xterm")
    names = {variable.partition("=")[0] for variable in process.env}
    return [*process.env, *(variable for variable in wanted if variable.partition("=")[0] not in names)]


def _part(document: _Members, name: str, kind: type[_T]) -> _T:
    if name not in document:
        raise InvalidArgument(f"the runtime spec has no {name}")
    return _decoded(document[name], kind, name)


def _members(data: bytes | msgspec.Raw, what: str) -> _Members:
    return _decoded(data, _Members, what)


def _decoded(data: bytes | msgspec.Raw, kind: type[_T], what: str) -> _T:
    try:
        return decoded_json(data, kind)
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"{what} is not as the OCI runtime specification has it: {error}") from error


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
