from __future__ import annotations

import copy
import pickle

from firkin.errors import AgentError, ContainerNotFound, FirkinError, Outcome, StoreFull


def test_the_innermost_operation_names_an_error() -> None:
    error = StoreFull("/a").during("write file", container_id="web").during("add container", pod_id="pod-1")
    assert (error.operation, error.pod_id, error.container_id) == ("write file", "pod-1", "web")


def test_an_error_knows_whether_it_happened() -> None:
    error = StoreFull("/a").during("write file", outcome=Outcome.MAY_HAVE)
    assert error.during("again", outcome=Outcome.DID_NOT).outcome is Outcome.MAY_HAVE


def test_an_error_of_the_agent_says_what_path_and_why() -> None:
    error = AgentError("mount pod store", "the kernel refused", path="/run/x", errno=13)
    assert str(error) == "guest agent failed to mount pod store /run/x: the kernel refused (Permission denied)"


def test_what_an_error_is_about_stays_with_it() -> None:
    error = ContainerNotFound("pod-1", "web")
    assert (error.pod_id, error.container_id) == ("pod-1", "web")
    assert not isinstance(error, StoreFull)
    assert isinstance(error, FirkinError)


def test_an_error_can_be_copied_and_pickled() -> None:
    error = AgentError("mount", "refused", path="/x", errno=5).during("spawn", pod_id="pod-1")
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert str(other) == str(error)
        assert (type(other), other.pod_id, other.errno) == (AgentError, "pod-1", 5)
