"""Content addresses of OCI images (image-spec, descriptor.md "Digests" and config.md "Layer ChainID")."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Self

from .errors import InvalidDigest

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


class Digest(str):
    """`sha256:` and 64 lower-case hexadecimal digits; nothing else is accepted."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check `text`.

        Raises:
            InvalidDigest: it is no such digest.
        """
        if type(text) is cls:
            return text
        if _DIGEST.fullmatch(text) is None:
            raise InvalidDigest(text)
        return super().__new__(cls, text)

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The digest of `data`."""
        return cls("sha256:" + hashlib.sha256(data).hexdigest())

    @property
    def hex(self) -> str:
        """The 64 hexadecimal digits."""
        return self.removeprefix("sha256:")


def chain_ids(diff_ids: Sequence[Digest]) -> tuple[Digest, ...]:
    """The chain id of each layer applied on all layers below it, lowest first."""
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(Digest.of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)
