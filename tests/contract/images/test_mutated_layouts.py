"""Whatever a layout's documents hold, only errors of firkin come out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from firkin.adapters.images_oci_layout import OciLayoutImageSource
from firkin.domain.image import Platform
from firkin.errors import FirkinError

from .layouts import CONFIG, MANIFEST, LayoutWriter

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("sha256:" + "0" * 64),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def _places(value: object, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    below: list[tuple[str | int, ...]] = []
    if isinstance(value, dict):
        below = [found for key, inner in value.items() for found in _places(inner, (*place, key))]
    elif isinstance(value, list):
        below = [found for key, inner in enumerate(value) for found in _places(inner, (*place, key))]
    return [place, *below]


def _replaced(value: object, place: tuple[str | int, ...], new: object) -> object:
    if not place:
        return new
    head, *rest = place
    if isinstance(value, dict):
        return {key: _replaced(inner, tuple(rest), new) if key == head else inner for key, inner in value.items()}
    assert isinstance(value, list)
    return [_replaced(inner, tuple(rest), new) if key == head else inner for key, inner in enumerate(value)]


@st.composite
def _changed(draw: st.DrawFn, document: object) -> bytes:
    if draw(st.booleans()):
        place = draw(st.sampled_from(_places(document)))
        return json.dumps(_replaced(document, place, draw(_VALUES))).encode()
    data = bytearray(json.dumps(document).encode())
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(data) - 1))
        data[position : position + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
        data = data or bytearray(b" ")
    return bytes(data)


@settings(max_examples=250, deadline=None)
@given(data=st.data(), which=st.sampled_from(["oci-layout", "index", "manifest", "config"]))
def test_mutated_documents_raise_nothing_but_errors_of_firkin(data: st.DataObject, which: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        writer = LayoutWriter(Path(directory) / "image")
        config = writer.config(process={"Cmd": ["sh"], "Env": ["A=1"], "Labels": {"a": "b"}})
        manifest = writer.manifest(config)
        # Blobs are written anew under the digest of their changed bytes: digests hide nothing from the readers.
        if which == "config":
            manifest["config"] = writer.blob(data.draw(_changed(config)), CONFIG)
        manifest_data = data.draw(_changed(manifest)) if which == "manifest" else json.dumps(manifest).encode()
        writer.index(writer.blob(manifest_data, MANIFEST))
        if which in ("index", "oci-layout"):
            path = writer.directory / ("index.json" if which == "index" else which)
            path.write_bytes(data.draw(_changed(json.loads(path.read_bytes()))))

        with contextlib.suppress(FirkinError):
            asyncio.run(OciLayoutImageSource().resolve(writer.reference(), Platform.current()))
