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

from .put_off_signals import PutOffSignals

_OUTPUT = "supervisor.log"
# An error has the last lines of a console twice, each of whose bytes may take six.
_MESSAGE_BYTES = 1 << 18
_GIVE_UP = b"!"
_TELL_SECONDS = 5.0
_KILLED = "the supervisor of the pod was killed while it started; `firkin gc` removes what it left"


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

    def __init__(self, connection: socket.socket, signals: PutOffSignals) -> None:
        self._connection = connection
        self._signals = signals

    def wait(self, on_progress: Callable[[TemplateProgress], None]) -> str:
        """Wait until the pod runs, and return its name. A signal that comes before gives the pod up.

        Raises:
            KeyboardInterrupt: it was given up.
            FirkinError: why it does not run; nothing of it is left.
        """
        while not self._signals.came_before(self._connection):
            message = self._next()
            if message is None:
                raise FirkinError(_KILLED)
            if message.progress is not None:
                on_progress(message.progress)
            elif message.failed is not None:
                raise raised_again(message.failed)
            else:
                return message.running
        return self._given_up()

    def _given_up(self) -> str:
        """Ask for the end of what has begun, and wait for it: the supervisor closes its side when it is done.

        Returns the name of a pod that ran already when the supervisor was asked; a second signal ends the wait.
        """
        with contextlib.suppress(OSError):
            self._connection.send(_GIVE_UP)
        while not self._signals.came_before(self._connection):
            message = self._next()
            if message is None:
                break
            if message.running:
                return message.running
        raise KeyboardInterrupt

    def _next(self) -> _Message | None:
        """What the supervisor tells next; None once it has told all and is gone."""
        try:
            data = self._connection.recv(_MESSAGE_BYTES)
        except ConnectionResetError:
            # It let go before it read that it was given up. What it told before that is still to be read.
            data = self._connection.recv(_MESSAGE_BYTES)
        return decoded_json(data, _Message) if data else None


def start_detached(
    work: Callable[[Starter], None],
    on_progress: Callable[[TemplateProgress], None],
    on_running: Callable[[str], None],
) -> None:
    """Run `work` in a process that no terminal, session or parent can take down; call it before any thread begins.

    Returns after `on_running` was called with the pod's name. SIGINT, SIGTERM and SIGQUIT give a pod up that does not
    run yet, and come too late for one that does.

    Raises:
        KeyboardInterrupt: it was given up; nothing of it is left, unless a second signal ended the wait for that.
        FirkinError: why it does not run; nothing of it is left.
    """
    with PutOffSignals() as signals:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            sys.stdout.flush()
            sys.stderr.flush()
            child = os.fork()
            if child == 0:
                ours.close()
                _become_supervisor(work, theirs, signals)
            theirs.close()
            os.waitpid(child, 0)
            on_running(DetachedStart(ours, signals).wait(on_progress))


def _become_supervisor(work: Callable[[Starter], None], connection: socket.socket, signals: PutOffSignals) -> NoReturn:
    """Never returns: what the command has on its stack is the command's to undo."""
    code = 1
    try:
        os.setsid()
        # The leader of a session could get a terminal by opening one; its child cannot.
        if os.fork() == 0:
            signals.restore()
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
