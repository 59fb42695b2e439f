"""Names of images, and how references hold them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import msgspec

from .digest import Digest
from .errors import ImageNotFound, InvalidDigest, InvalidReference

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


class DockerName(msgspec.Struct, frozen=True):
    """A name as docker has it: `example.org/team/app:1`.

    Attributes:
        host: of the registry that it names, or "" for a short name.
        path: without the `library/` that docker puts before the names of its own images.
        tag: what follows the last colon, or the digest behind an `@`; `latest` when there is neither.
    """

    host: str
    path: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> DockerName:
        """Read a name, short or full; docker takes a first part with a dot or colon for a host."""
        first, slash, rest = text.partition("/")
        is_full = bool(slash) and ("." in first or ":" in first or first == "localhost")
        host, rest = (first, rest) if is_full else ("", text)
        mark = "@" if "@" in rest else ":"
        path, _, tag = rest.partition(mark)
        return cls(host, path.removeprefix("library/"), tag or "latest")

    def means(self, other: DockerName) -> bool:
        """True when both can be the same image: a short name is that of any host."""
        same_host = not self.host or not other.host or self.host == other.host
        return same_host and (self.path, self.tag) == (other.path, other.tag)


def kept_name(name: str, reference: str, names: Collection[str]) -> str:
    """The one of `names` that `name` means: itself, or with `:latest`, or the only one that it is a short form of.

    Raises:
        ImageNotFound: none is meant, or several are.
    """
    for exact in (name, f"{name}:latest"):
        if exact in names:
            return exact
    wanted = DockerName.parse(name)
    meant = [other for other in names if wanted.means(DockerName.parse(other))]
    if not meant:
        raise ImageNotFound(
            reference, f"nothing is kept under the name {name!r}; there are: {', '.join(names) or 'none'}"
        )
    if len(meant) > 1:
        raise ImageNotFound(reference, f"the name {name!r} may mean any of {', '.join(meant)}; use the whole one")
    return meant[0]


def shown_docker_name(name: str) -> str:
    """The name of an image of docker's own as docker shows it, `busybox:latest`; any other as it is."""
    _, slash, rest = name.partition("/")
    return rest.removeprefix("library/") if slash and rest.startswith("library/") else name.removeprefix("library/")
