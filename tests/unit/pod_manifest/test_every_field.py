"""No field is passed over: an unknown one is an error with its line wherever it stands, and a check tells of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from firkin.adapters.pod_manifest import check_manifest, load_manifest
from firkin.errors import ManifestError

TEXT = (Path(__file__).parent / "everything.yaml").read_text()
ALLOWED = ["/srv"]
# What people name themselves has no unknown fields; what is without effect is not looked into.
FREE = ("labels", "annotations", "data", "binaryData", "stringData", "nodeSelector", "status")
FREE_PLACE = re.compile(rf"\.({'|'.join(FREE)})$|^metadata$")


def objects(node: yaml.Node, place: str = "") -> Iterator[tuple[str, yaml.MappingNode]]:
    """Every object of a document, and its place."""
    if isinstance(node, yaml.MappingNode):
        if FREE_PLACE.search(place) is None:
            yield place, node
            for key, value in node.value:
                yield from objects(value, f"{place}.{key.value}".lstrip("."))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from objects(value, f"{place}[{index}]")


def composed() -> yaml.Node:
    document = yaml.compose(TEXT, Loader=yaml.SafeLoader)
    assert document is not None
    return document


PLACES = [place for place, _ in objects(composed())]


def test_the_manifest_with_every_field_is_in_order() -> None:
    manifest = load_manifest(TEXT, "everything.yaml", ALLOWED)
    assert (manifest.name, len(manifest.volumes), len(manifest.init_containers)) == ("everything", 7, 2)


@pytest.mark.parametrize("place", PLACES)
def test_an_unknown_field_is_an_error_with_its_line_wherever_it_stands(place: str) -> None:
    document = composed()
    (node,) = (node for where, node in objects(document) if where == place)
    node.flow_style = False
    tag = "tag:yaml.org,2002:str"
    node.value.append((yaml.ScalarNode(tag, "unheardOf"), yaml.ScalarNode(tag, "x")))
    text = yaml.serialize(document)
    line = next(number for number, told in enumerate(text.splitlines(), 1) if "unheardOf" in told)
    with pytest.raises(ManifestError) as caught:
        load_manifest(text, "everything.yaml", ALLOWED)
    (problem,) = caught.value.problems
    assert (problem.where, problem.code) == (f"{place}.unheardOf".lstrip("."), "unknown-field")
    assert problem.message.startswith(f"line {line}: ")


def leaves(node: yaml.Node, place: str = "") -> Iterator[tuple[str, int]]:
    """Every field without fields of its own, and its line."""
    for where, found in objects(node, place):
        for key, value in found.value:
            items = value.value if isinstance(value, yaml.SequenceNode) else []
            has_fields = isinstance(value, yaml.MappingNode) or any(isinstance(one, yaml.MappingNode) for one in items)
            if not has_fields:
                yield f"{where}.{key.value}".lstrip("."), key.start_mark.line + 1


def test_a_check_tells_of_every_field_once_with_its_line() -> None:
    document = composed()
    reports = check_manifest(TEXT, "everything.yaml", ALLOWED)
    places = [report.where for report in reports]
    assert sorted(places) == sorted(set(places))
    told = {report.where: report for report in reports}
    missing = [where for where, line in leaves(document) if where not in told or told[where].line != line]
    assert missing == []
    assert {report.verdict for report in reports} == {"honoured", "without effect"}
    assert all(report.detail for report in reports if report.verdict == "without effect")
