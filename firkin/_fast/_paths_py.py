"""The path rules in readable Python: the twin of `paths.pyx`, over the same tests."""

from __future__ import annotations

_ID_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
_ID_FIRST_BYTES = _ID_BYTES - frozenset(b"_.-")
_ID_LENGTH = 64


def id_problem(value: bytes, /) -> str | None:
    """Say why `value` cannot be an id (1 to 64 of `[A-Za-z0-9_.-]`, the first a letter or digit), or None."""
    if not value:
        return "it is empty"
    if len(value) > _ID_LENGTH:
        return "it is longer than 64 characters"
    if not _ID_BYTES.issuperset(value):
        return "it has a character other than letters, digits, '_', '.' and '-'"
    if value[0] not in _ID_FIRST_BYTES:
        return "its first character is not a letter or digit"
    return None


def id_problems(values: list[bytes], /) -> list[str | None]:
    """What `id_problem` says of each of them.

    Raises:
        TypeError: one is no bytes.
    """
    return [id_problem(value) for value in values]


def guest_path_problem(path: bytes, /) -> str | None:
    """Say why `path` cannot be a guest path (absolute, not `/`, normalised), or None."""
    if not path:
        return "it is empty"
    if b"\0" in path:
        return "it contains NUL"
    if path == b"/":
        return "it is the root directory"
    if not path.startswith(b"/"):
        return "it is not absolute"
    return _component_problem(path[1:])


def relative_path_problem(path: bytes, /) -> str | None:
    """Say why `path` cannot name a file below a directory (relative, normalised), or None."""
    if not path:
        return "it is empty"
    if b"\0" in path:
        return "it contains NUL"
    if path.startswith(b"/"):
        return "it is not relative"
    return _component_problem(path)


def _component_problem(path: bytes) -> str | None:
    for component in path.split(b"/"):
        if component in (b"", b".", b".."):
            return "it is not normalised: it has an empty, '.' or '..' component"
    return None


def clean_member_name(name: bytes, /) -> bytes:
    """Rewrite a tar member's name relative to the rootfs, as containerd and umoci do.

    Absolute names, `.` and empty components are rewritten inside the rootfs; `a/../b` becomes `b`. The
    rootfs itself is b"". OCI image-spec, layer.md ("Change Types").

    Raises:
        ValueError: the name is empty, contains NUL, or climbs above the rootfs.
    """
    if not name:
        raise ValueError("its name is empty")
    if b"\0" in name:
        raise ValueError("its name contains NUL")
    kept: list[bytes] = []
    for component in name.split(b"/"):
        if component in (b"", b"."):
            continue
        if component == b"..":
            if not kept:
                raise ValueError("its name climbs above the rootfs with '..'")
            kept.pop()
        else:
            kept.append(component)
    return b"/".join(kept)
