"""Finding images by reference."""

from __future__ import annotations

from collections.abc import Iterable

from firkin.domain.errors import InvalidReference
from firkin.domain.image import ImageBundle, Platform
from firkin.ports.image_source import ImageSource


class Images:
    """Sends each reference to the source of its scheme."""

    def __init__(self, sources: Iterable[ImageSource], platform: Platform | None = None) -> None:
        self._sources = {source.scheme: source for source in sources}
        self._platform = platform or Platform.current()

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes that references may have."""
        return tuple(self._sources)

    async def resolve(self, reference: str, platform: Platform | None = None) -> ImageBundle:
        """Find an image, for this machine's platform unless another is given.

        Raises:
            InvalidReference: no source has the reference's scheme.
            ImageError: and its subclasses, as the source finds them.
        """
        scheme, colon, rest = reference.partition(":")
        source = self._sources.get(scheme)
        if not colon or source is None:
            known = ", ".join(f"{name}:" for name in self._sources) or "none"
            raise InvalidReference(reference, f"it must begin with the scheme of an image source; there are: {known}")
        if not rest:
            raise InvalidReference(reference, "it names nothing behind its scheme")
        return await source.resolve(reference, platform or self._platform)
