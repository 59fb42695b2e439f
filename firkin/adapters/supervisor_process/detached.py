"""Starting a supervisor: a process of a session of its own, which reports until its pod runs (daemon(7))."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec

from firkin.domain.errors import FirkinError
from firkin.domain.errors.description import ErrorDescription, described, raised_again
from firkin.domain.json_decoding import decoded_json
from firkin.domain.json_encoding import encoded_json
from firkin.ports.agent_templates import TemplateProgress

_OUTPUT = "supervisor.log"
# An error has the last lines of a console twice, each of whose bytes may take six.
_MESSAGE_BYTES = 1 << 18
_GIVE_UP = b"!"
_TELL_SECONDS = 5.0


class _Message(msgspec.Struct, omit_defaults=True):
    """One of the three is set: how far templates are, the pod that runs, why there is none."""

    progress: TemplateProgress | None = None
    running: str = ""
    failed: ErrorDescription | None = None


class Starter:
    """The command that waits, as its supervisor sees it; it may go away at any time.

    Attributes:
        on_leave: called right before the connection is closed.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection: socket.socket | None = connection
        self.on_leave: Callable[[], None] = lambda: None
        # A command that is stopped must not hold its supervisor up for ever.
        connection.settimeout(_TELL_SECONDS)

    def progressed(self, progress: TemplateProgress) -> None:
        """Tell how far templates are."""
        # Progress that the command is too slow for is of no interest any more.
        self._tell(_Message(progress=progress), socket.MSG_DONTWAIT)

    def running(self, pod_id: str) -> None:
        """Tell that the pod runs, and let go of the command."""
        self._tell(_Message(running=str(pod_id)))
        self.leave()

    def failed(self, error: FirkinError) -> None:
        """Tell why the pod does not run, and let go of the command."""
        self._tell(_Message(failed=described(error)))
        self.leave()

    def fileno(self) -> int:
        """Readable once the command gives up, or has gone; see `wants_to_give_up`."""
        return -1 if self._connection is None else self._connection.fileno()

    def wants_to_give_up(self) -> bool:
        """True when the command asks for the pod's end; False when it has just gone, as with its terminal."""
        return self._connection is not None and self._connection.recv(1) == _GIVE_UP

    def _tell(self, message: _Message, flags: int = 0) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.send(encoded_json(message), flags)

    @property
    def is_waiting(self) -> bool:
        """True until the command was told how it went, or was seen to have gone."""
        return self._connection is not None

    def leave(self) -> None:
        """Let go of the command; twice is fine."""
        if self._connection is not None:
            self.on_leave()
            self._connection.close()
            self._connection = None


class DetachedStart:
    """A supervisor that is starting, as the command sees it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def wait(self, on_progress: Callable[[TemplateProgress], None]) -> str:
        """Wait until the pod runs, and return its name. Interrupting the wait gives the pod up.

        Raises:
            FirkinError: why it does not run; nothing of it is left.
        """
        before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGQUIT)}
        try:
            return self._waited(on_progress)
        except KeyboardInterrupt:
            self._give_up()
            raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._connection.close()

    def _waited(self, on_progress: Callable[[TemplateProgress], None]) -> str:
        while data := self._connection.recv(_MESSAGE_BYTES):
            message = decoded_json(data, _Message)
            if message.progress is not None:
                on_progress(message.progress)
            elif message.failed is not None:
                raise raised_again(message.failed)
            else:
                return message.running
        raise FirkinError("the supervisor of the pod was killed while it started; `firkin gc` removes what it left")

    def _give_up(self) -> None:
        """Ask for the end of what has begun, and wait for it: the supervisor closes its side when it is done."""
        try:
            self._connection.send(_GIVE_UP)
            while self._connection.recv(_MESSAGE_BYTES):
                continue
        except OSError:
            return


def _interrupt(number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def start_detached(work: Callable[[Starter], None]) -> DetachedStart:
    """Run `work` in a process that no terminal, session or parent can take down; call it before any thread begins."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        ours.close()
        _become_supervisor(work, theirs)
    theirs.close()
    os.waitpid(child, 0)
    return DetachedStart(ours)


def _become_supervisor(work: Callable[[Starter], None], connection: socket.socket) -> NoReturn:
    """Never returns: what the command has on its stack is the command's to undo."""
    code = 1
    try:
        os.setsid()
        # The leader of a session could get a terminal by opening one; its child cannot.
        if os.fork() == 0:
            _let_go_of_everything(connection.fileno())
            _work(work, Starter(connection))
        code = 0
    except BaseException as error:
        traceback.print_exception(error)
    finally:
        os._exit(code)


def _work(work: Callable[[Starter], None], starter: Starter) -> None:
    try:
        work(starter)
    except FirkinError as error:
        starter.failed(error)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        starter.failed(FirkinError(f"the pod's supervisor failed: {place}{error.strerror or error}"))
        raise
    except Exception as error:
        starter.failed(FirkinError(f"unexpected {type(error).__name__}: {error}; this is a defect of firkin"))
        raise


def _let_go_of_everything(kept: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) not in (0, 1, 2, kept):
            try:
                os.close(int(entry))
            except OSError:
                continue  # the one by which the listing was read
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def write_output_to(directory: Path) -> None:
    """Let what this process says from now on go to a file in the pod's directory."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    descriptor = os.open(directory / _OUTPUT, flags, 0o600)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
