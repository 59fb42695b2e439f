from __future__ import annotations

import pytest

from firkin.domain.ids import ContainerId, PodId, ProcessId, VolumeName
from firkin.errors import InvalidId

KINDS = (PodId, ContainerId, ProcessId, VolumeName)
AnyId = type[PodId] | type[ContainerId] | type[ProcessId] | type[VolumeName]


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_is_the_text_it_was_made_of(kind: AnyId) -> None:
    made = kind("pod-1_a.B")
    assert made == "pod-1_a.B"
    assert kind(made) is made
    assert hash(made) == hash("pod-1_a.B")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "-a", ".a", "a" * 65, "é", "a\0", "\udcff"])
def test_a_bad_id_is_refused_with_its_kind(kind: AnyId, value: str) -> None:
    with pytest.raises(InvalidId) as raised:
        kind(value)
    assert (raised.value.kind, raised.value.value) == (kind.kind, value)
    assert raised.value.code == "invalid-id"
    assert str(raised.value).startswith(f"{kind.kind} id ")


def test_a_bad_id_is_a_value_error_too() -> None:
    with pytest.raises(ValueError, match="it is empty"):
        PodId("")
