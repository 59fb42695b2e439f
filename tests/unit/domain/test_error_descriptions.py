from __future__ import annotations

from firkin.domain.errors import (
    CommandNotFound,
    ContainerAmbiguous,
    FirkinError,
    Outcome,
    PodNotRunning,
    SupervisorUnreachable,
)
from firkin.domain.errors.description import ErrorDescription, described, raised_again
from firkin.domain.ids import PodId


def test_an_error_comes_back_as_the_same_class_with_its_sentence_and_values() -> None:
    error = CommandNotFound("x").during("exec", pod_id=PodId("pod-1"), outcome=Outcome.DID_NOT)
    again = raised_again(described(error))
    assert type(again) is CommandNotFound
    assert (str(again), again.exit_code, again.command, again.pod_id) == (str(error), 127, "x", "pod-1")


def test_what_is_no_plain_value_is_left_behind() -> None:
    description = described(ContainerAmbiguous("pod-1", ("a", "b")))
    assert "containers" not in description.attributes
    assert str(raised_again(description)) == "pod 'pod-1' has containers a, b: name one with -c"


def test_ids_become_plain_strings_on_the_way() -> None:
    description = described(PodNotRunning(PodId("pod-1"), "stopped"))
    assert type(description.attributes["pod_id"]) is str


def test_what_may_be_tried_again_stays_so() -> None:
    assert raised_again(described(SupervisorUnreachable("pod-1", "no answer"))).retryable


def test_a_class_of_a_later_version_is_at_least_an_error() -> None:
    error = raised_again(ErrorDescription("from-the-future", "something went wrong"))
    assert (type(error), str(error), error.operation) == (FirkinError, "something went wrong", "")


def test_the_stages_of_what_failed_come_along() -> None:
    error = CommandNotFound("x").in_stage("start").after({"store": 0.5, "call": 0.25})
    again = raised_again(described(error))
    assert (again.stage_seconds, again.failed_stage) == ({"store": 0.5, "call": 0.25}, "start")
