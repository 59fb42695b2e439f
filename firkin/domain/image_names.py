"""Names of images, and how references hold them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .digest import Digest
from .errors import InvalidDigest, InvalidReference

_NAME_MAX = 255
_COMPONENT = r"[A-Za-z0-9]+(?:(?:[-._:+]|--)[A-Za-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)


def path_readings(rest: str) -> Iterator[tuple[str, str | None]]:
    """All ways to read `PATH[:NAME]`, the longest path first, since both may contain colons."""
    yield rest, None
    end = rest.rfind(":")
    while end > 0:
        yield rest[:end], rest[end + 1 :]
        end = rest.rfind(":", 0, end)


def image_name(text: str) -> str:
    """Return `text` when it can name an image of the image directory.

    These are the names that `org.opencontainers.image.ref.name` can have (image-spec, annotations.md), but for `@`,
    behind which references have a digest.

    Raises:
        InvalidReference: it cannot.
    """
    if len(text) > _NAME_MAX or _NAME.fullmatch(text) is None:
        reason = f"a name has up to {_NAME_MAX} letters and digits, with single `-._:+/` between them"
        raise InvalidReference(text, reason)
    return text


def split_digest(rest: str, reference: str) -> tuple[str, Digest | None]:
    """Read `NAME[@DIGEST]`.

    Raises:
        InvalidReference: what follows the `@` is no digest, or nothing stands before it.
    """
    name, at, digest = rest.partition("@")
    try:
        pinned = Digest(digest) if at else None
    except InvalidDigest as error:
        raise InvalidReference(reference, str(error)) from error
    if not name:
        raise InvalidReference(reference, "it has no name")
    return name, pinned


def full_docker_name(name: str) -> str:
    """`busybox` as docker means it: `docker.io/library/busybox:latest`."""
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = "docker.io", name
    if first in ("docker.io", "index.docker.io"):
        first, rest = "docker.io", rest if "/" in rest else f"library/{rest}"
    return f"{first}/{rest}" if ":" in rest or "@" in rest else f"{first}/{rest}:latest"


def plain_docker_name(name: str) -> str:
    """`docker.io/library/busybox:latest` as docker shows it: `busybox:latest`."""
    return name.removeprefix("docker.io/").removeprefix("library/")
