"""The templates of a store, as they are found: flat ones, and layers alone over the template of those below."""

from __future__ import annotations

import errno
import os

from firkin.domain.digest import Digest
from firkin.domain.errors import AgentError, InvalidDigest
from firkin.domain.guest_path import GuestPath
from firkin.domain.layout import StoreLayout

from .failures import translating

_PREFIX = "sha256-"


class StoredTemplates:
    """Tells what is whole. A template may be both, when a host that knows no layers alone made it flat as well."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout

    def is_flat(self, chain_id: Digest) -> bool:
        """True for a template that is one directory."""
        return os.path.exists(self._layout.template_mark(chain_id))

    def is_alone(self, chain_id: Digest) -> bool:
        """True for a layer alone, whether or not those below it are there."""
        return os.path.exists(self._layout.template_stack(chain_id))

    def below(self, chain_id: Digest) -> Digest | None:
        """What a layer alone lies on; None when it hides everything below it.

        Raises:
            AgentError: it cannot be read.
        """
        stack = self._layout.template_stack(chain_id)
        with translating("read template", stack), open(stack) as file:
            named = file.read().strip()
        try:
            return Digest(named) if named else None
        except InvalidDigest:
            raise AgentError("read template", "it names no template", path=stack, errno=errno.EBADMSG) from None

    def directories(self, chain_id: Digest) -> list[str] | None:
        """The lower directories of a template, the uppermost first; None when one is missing.

        Raises:
            AgentError: it cannot be read.
        """
        found: list[str] = []
        looked_at: Digest | None = chain_id
        while looked_at is not None:
            if self.is_flat(looked_at):
                return [*found, self._layout.template_rootfs(looked_at)]
            if not self.is_alone(looked_at):
                return None
            found.append(self._layout.template_layer(looked_at))
            looked_at = self.below(looked_at)
        return found


def directories_of(rootfs: str) -> list[str]:
    """The lower directories, the uppermost first, that stand for a template's rootfs: itself, unless it is a stack.

    Raises:
        AgentError: a layer of it is missing.
    """
    template = os.path.dirname(rootfs)
    try:
        chain_id = Digest(os.path.basename(template).replace(_PREFIX, "sha256:", 1))
    except InvalidDigest:
        return [rootfs]
    templates = StoredTemplates(StoreLayout(GuestPath(os.path.dirname(os.path.dirname(template)))))
    if templates.is_flat(chain_id) or not templates.is_alone(chain_id):
        return [rootfs]
    found = templates.directories(chain_id)
    if found is None:
        raise AgentError("find template", "a layer of it is missing", path=rootfs, errno=errno.ENOENT)
    return found
