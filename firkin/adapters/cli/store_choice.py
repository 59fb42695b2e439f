"""`--store directory` and `--store ext4[:SIZE]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from firkin.domain.store_spec import PodStoreSpec

KINDS = ("directory", "ext4")
T = TypeVar("T")

CLI_STORE = "directory"
"""What the commands use unless told otherwise: an image is unpacked once, for every later run."""


def store_for(vmm: object, configured: T) -> T | str:
    """The store of a sandbox of this kind: a virtual machine cannot see the directories of its host."""
    return "ext4" if vmm == "qemu" and configured == CLI_STORE else configured


class StoreChoice(NamedTuple):
    """A kind of store (None: the configured one), and the size of one that has a size."""

    kind: str | None = None
    size_bytes: int | None = None

    def spec(self) -> PodStoreSpec:
        """The store of one pod."""
        from firkin.domain.size import Size
        from firkin.domain.store_spec import PodStoreSpec

        return PodStoreSpec() if self.size_bytes is None else PodStoreSpec(size=Size(self.size_bytes))


class StoreChoiceType(click.ParamType[StoreChoice]):
    """Reads a StoreChoice."""

    name = "KIND[:SIZE]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> StoreChoice:
        if isinstance(value, StoreChoice):
            return value
        from firkin.domain.errors import InvalidSize
        from firkin.domain.size import Size

        kind, colon, size = str(value).partition(":")
        if kind not in KINDS:
            self.fail(f"{kind!r} is none of {', '.join(KINDS)}", param, ctx)
        if colon and kind != "ext4":
            self.fail(f"a {kind} store takes no size", param, ctx)
        try:
            return StoreChoice(kind, Size.parse(size) if colon else None)
        except InvalidSize as error:
            self.fail(str(error), param, ctx)
