"""Templates as images have them: a layer alone together with the templates that it lies on."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from .reclaiming import Reclaimable


class ListedTemplate(msgspec.Struct, frozen=True):
    """A template on which no other lies, and what it lies on.

    Attributes:
        layers: the uppermost first: itself, and those below it as far as they are there.
        size_bytes: of all its layers.
        shared_bytes: of the layers that other templates of the list have too.
    """

    layers: tuple[Reclaimable, ...]
    size_bytes: int
    shared_bytes: int

    @property
    def top(self) -> Reclaimable:
        """The uppermost layer: its chain id is the template's."""
        return self.layers[0]

    @property
    def replaced(self) -> Mapping[str, int]:
        """What is not in its layers as it is in the image, with its count."""
        return sum((collections.Counter(layer.replaced) for layer in self.layers), collections.Counter())


def listed_templates(templates: Iterable[Reclaimable]) -> tuple[ListedTemplate, ...]:
    """Put the templates of a store together, the last used first."""
    known = {template.identity: template for template in templates}
    covered = {template.below for template in known.values()}
    stacks = [_stack(template, known) for template in known.values() if template.identity not in covered]
    listed = {layer.identity for stack in stacks for layer in stack}
    # A damaged store may have templates that lie on each other in a ring.
    stacks += [[template] for template in known.values() if template.identity not in listed]
    uses = collections.Counter(layer.identity for stack in stacks for layer in stack)
    return tuple(
        ListedTemplate(
            tuple(stack),
            sum(layer.size_bytes for layer in stack),
            sum(layer.size_bytes for layer in stack if uses[layer.identity] > 1),
        )
        for stack in sorted(stacks, key=lambda stack: stack[0].last_used, reverse=True)
    )


def _stack(top: Reclaimable, known: Mapping[str, Reclaimable]) -> Sequence[Reclaimable]:
    stack = [top]
    while (below := known.get(stack[-1].below)) is not None and below not in stack:
        stack.append(below)
    return stack
