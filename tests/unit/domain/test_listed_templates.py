"""Templates put together as images have them."""

from __future__ import annotations

from firkin.domain.listed_templates import listed_templates
from firkin.domain.reclaiming import Reclaimable, ReclaimableKind


def template(identity: str, below: str = "", size: int = 10, used: float = 0.0) -> Reclaimable:
    return Reclaimable(ReclaimableKind.TEMPLATE, identity, size, used, below=below)


def shown(*templates: Reclaimable) -> list[tuple[str, int, int]]:
    """The layers of each, with its size and what of it is shared."""
    return [
        ("".join(layer.identity for layer in listed.layers), listed.size_bytes, listed.shared_bytes)
        for listed in listed_templates(templates)
    ]


def test_a_stack_is_one_template_of_all_its_layers() -> None:
    assert shown(template("a", size=1), template("b", "a", size=2), template("c", "b", size=4)) == [("cba", 7, 0)]


def test_what_two_images_have_in_common_is_shared() -> None:
    base, middle = template("a", size=1), template("b", "a", size=2)
    assert shown(base, middle, template("c", "b", size=4), template("d", "b", size=8), template("e", size=16)) == [
        ("cba", 7, 3),
        ("dba", 11, 3),
        ("e", 16, 0),
    ]


def test_what_its_layers_lack_it_lacks() -> None:
    base = Reclaimable(ReclaimableKind.TEMPLATE, "a", 1, 0.0, replaced={"device": 2, "owner": 1})
    top = Reclaimable(ReclaimableKind.TEMPLATE, "b", 1, 0.0, below="a", replaced={"device": 3})
    (listed,) = listed_templates([base, top])
    assert listed.replaced == {"device": 5, "owner": 1}


def test_the_last_used_comes_first() -> None:
    assert [each[0] for each in shown(template("a", used=1), template("c", used=3), template("b", used=2))] == [
        "c",
        "b",
        "a",
    ]


def test_a_layer_whose_lower_one_is_missing_is_listed_as_far_as_it_goes() -> None:
    assert shown(template("c", "b"), template("a")) == [("c", 10, 0), ("a", 10, 0)]


def test_templates_of_a_damaged_store_are_all_listed_and_none_endlessly() -> None:
    ring = [template("a", "b"), template("b", "a")]
    assert sorted(shown(*ring)) == [("a", 10, 0), ("b", 10, 0)]
    assert shown(template("c", "a"), *ring) == [("cab", 30, 0)]
    assert shown(template("s", "s")) == [("s", 10, 0)]
