"""JSON is read from any thread."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from firkin.domain.json_decoding import decoded_json

# In a process of its own: where this goes wrong, the interpreter crashes.
_FIRST_USES = """
import sys, threading, msgspec
from firkin.domain.json_decoding import decoded_json

sys.setswitchinterval(1e-6)
for number in range(40):
    inner = msgspec.defstruct(f"Inner{number}", [(f"field{index}", int | None, None) for index in range(20)])
    lists = [(f"list{index}", list[inner] | None, None) for index in range(20)]
    outer = msgspec.defstruct(f"Outer{number}", [("first", inner), *lists])
    barrier, found = threading.Barrier(6), []

    def read():
        barrier.wait()
        found.append(decoded_json(b'{"first": {"field19": 1}, "list3": [{"field4": 7}]}', outer).first.field19)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 6
"""


def test_many_threads_may_be_the_first_to_read_a_type() -> None:
    subprocess.run([sys.executable, "-c", _FIRST_USES], check=True)


def test_what_is_no_such_value_is_an_error_of_msgspec() -> None:
    with pytest.raises(msgspec.ValidationError):
        decoded_json(b"[1]", list[str])
    with pytest.raises(msgspec.DecodeError):
        decoded_json(b"[", list[str])


def test_text_that_is_not_utf8_is_no_json() -> None:
    with pytest.raises(msgspec.DecodeError, match="not UTF-8"):
        decoded_json(b'["\xa8"]', list[str])


class _Small(msgspec.Struct):
    name: str


def test_what_is_nested_too_deep_where_nobody_looks_is_no_json() -> None:
    with pytest.raises(msgspec.DecodeError, match="nested too deep"):
        decoded_json(b'{"more": ' + b"[" * 100_000, _Small)
