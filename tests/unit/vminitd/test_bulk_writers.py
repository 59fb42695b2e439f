"""Writing bulk streams to the host."""

from __future__ import annotations

import errno
import socket

import pytest

from firkin.domain.errors import AgentError
from firkin.vminitd.bulk_writer import BulkWriter


def failure_of_a_cancelled_write() -> AgentError:
    near, far = socket.socketpair()
    with far, BulkWriter(near) as writer:
        writer.cancel()
        with pytest.raises(AgentError, match="cancelled") as failure:
            writer.write(b"data")
    return failure.value


def test_each_write_that_is_called_off_has_an_error_of_its_own() -> None:
    first, second = failure_of_a_cancelled_write(), failure_of_a_cancelled_write()
    first.during("copy out of container", container_id="one")
    assert (first.errno, second.errno) == (errno.ECANCELED, errno.ECANCELED)
    assert (first.container_id, second.container_id) == ("one", None)
