"""What `firkin doctor` says of KVM."""

from __future__ import annotations

import pytest

from firkin.adapters.cli.check import Verdict
from firkin.adapters.cli.machine_checks import kvm_check


@pytest.mark.parametrize(
    ("obstacle", "finding", "verdict", "detail"),
    [
        ("there is no kvm", None, Verdict.NOTE, "there is no kvm: machines run without it, some thirty times slower"),
        ("there is no kvm", "", Verdict.NOTE, "there is no kvm: machines run without it, some thirty times slower"),
        ("", "it hangs", Verdict.NOTE, "it hangs: machines run without it, some thirty times slower"),
        ("", None, Verdict.OK, "it opens, and the processor has it; the first machine proves it by a boot"),
        ("", "", Verdict.OK, "a machine was seen to run by it since this computer was started"),
    ],
)
def test_kvm_is_as_it_was_found_when_a_machine_was_tried_with_it(
    obstacle: str, finding: str | None, verdict: Verdict, detail: str
) -> None:
    assert kvm_check(obstacle, finding) == ("kvm", verdict, detail, "")
