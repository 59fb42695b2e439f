"""OCI bundles (runtime-spec, bundle.md): one private directory per container, flat."""

from __future__ import annotations

import contextlib
import itertools
import os

import msgspec

from firkin.domain.terminal import TerminalSize

from .runtime_config import CompletedConfig

_SOCKET_NUMBERS = itertools.count()


class LaunchFiles(msgspec.Struct, frozen=True):
    """The files of one process's start.

    Attributes:
        command: args[0], for messages.
        config_file: config.json of the bundle, or the process document of an exec.
        log_file: where the OCI runtime logs, apart from the process's own stderr.
        pid_file: where the OCI runtime leaves the process's id.
        console_socket: where it leaves the master of the process's terminal; "" for a process without one.
    """

    command: str
    config_file: str
    log_file: str
    pid_file: str
    console_socket: str = ""


class Bundle(msgspec.Struct, frozen=True):
    """The bundle of one container, written."""

    container_id: str
    path: str
    config: CompletedConfig
    launch: LaunchFiles

    def write_process(self, process_id: str, config: CompletedConfig) -> LaunchFiles:
        """Write the process document of an exec."""
        launch = LaunchFiles(
            config.command.name,
            f"{self.path}/exec-{process_id}.json",
            f"{self.path}/exec-{process_id}.log",
            f"{self.path}/exec-{process_id}.pid",
            _console_socket(self.path, config),
        )
        _write(launch.config_file, config.process)
        return launch

    def forget_process(self, launch: LaunchFiles) -> None:
        """Remove what `write_process` and the runtime left."""
        for path in (launch.config_file, launch.log_file, launch.pid_file):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def remove(self) -> None:
        """Remove the directory; twice is fine."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self.path):
                os.unlink(f"{self.path}/{name}")
            os.rmdir(self.path)


def write_bundle(directory: str, container_id: str, config: CompletedConfig) -> Bundle:
    """Make the bundle of a container below `directory`; what an earlier start left is replaced."""
    path = f"{directory}/{container_id}"
    launch = LaunchFiles(
        config.command.name,
        f"{path}/config.json",
        f"{path}/runtime.log",
        f"{path}/init.pid",
        _console_socket(path, config),
    )
    bundle = Bundle(container_id, path, config, launch)
    bundle.remove()
    os.makedirs(path, mode=0o700)
    _write(launch.config_file, config.document)
    return bundle


def write_console_size(launch: LaunchFiles, size: TerminalSize) -> None:
    """Give a process that was not started another size for its terminal (config.md "consoleSize")."""
    with open(launch.config_file, "rb") as file:
        document = msgspec.json.decode(file.read(), type=dict[str, msgspec.Raw])
    console_size = msgspec.Raw(msgspec.json.encode({"height": size.rows, "width": size.columns}))
    if "process" in document:
        process = msgspec.json.decode(document["process"], type=dict[str, msgspec.Raw])
        document["process"] = msgspec.Raw(msgspec.json.encode({**process, "consoleSize": console_size}))
    else:
        document["consoleSize"] = console_size
    _write(launch.config_file, msgspec.json.encode(document))


def _console_socket(path: str, config: CompletedConfig) -> str:
    # Not named for the process: a socket's path has room for 107 bytes, and ids alone may take 64 each.
    return f"{path}/tty{next(_SOCKET_NUMBERS)}" if config.has_terminal else ""


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
