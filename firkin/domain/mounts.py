"""Mounts of a container, as OCI runtime-spec config.md "Mounts" has them."""

from __future__ import annotations

import msgspec

_SECURE = ("nosuid", "noexec", "nodev")


class Mount(msgspec.Struct, frozen=True, omit_defaults=True):
    """One mount; `destination` is a path inside the container.

    Setters return a new mount: `Mount.bind("/run/x", "/x").read_only()`.
    """

    destination: str
    type: str = ""
    source: str = ""
    options: tuple[str, ...] = ()

    @classmethod
    def bind(cls, source: str, destination: str) -> Mount:
        """Bind the sandbox's file or directory `source`, with everything mounted below it."""
        return cls(destination, "bind", source, ("rbind", "rw"))

    @classmethod
    def tmpfs(cls, destination: str, *options: str) -> Mount:
        """A tmpfs of the container's own."""
        return cls(destination, "tmpfs", "tmpfs", options)

    @classmethod
    def proc(cls, destination: str = "/proc") -> Mount:
        """The container's processes."""
        return cls(destination, "proc", "proc", _SECURE)

    @classmethod
    def sysfs(cls, destination: str = "/sys") -> Mount:
        """The kernel's objects, read-only."""
        return cls(destination, "sysfs", "sysfs", (*_SECURE, "ro"))

    @classmethod
    def mqueue(cls, destination: str = "/dev/mqueue") -> Mount:
        """POSIX message queues."""
        return cls(destination, "mqueue", "mqueue", _SECURE)

    @classmethod
    def devpts(cls, destination: str = "/dev/pts") -> Mount:
        """Pseudo terminals of the container's own."""
        options = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
        return cls(destination, "devpts", "devpts", options)

    @classmethod
    def cgroup(cls, destination: str = "/sys/fs/cgroup") -> Mount:
        """The container's control groups, read-only."""
        return cls(destination, "cgroup", "cgroup", (*_SECURE, "relatime", "ro"))

    def read_only(self) -> Mount:
        """The same mount, without writing: for a bind, with everything mounted below it."""
        kept = tuple(option for option in self.options if option not in ("rw", "ro", "rro"))
        added = ("ro", "rro") if "rbind" in kept else ("ro",)
        return msgspec.structs.replace(self, options=(*kept, *added))

    def option(self, *options: str) -> Mount:
        """The same mount with further options, each once."""
        added = tuple(option for option in options if option not in self.options)
        return msgspec.structs.replace(self, options=(*self.options, *added))


def normalised_destination(destination: str) -> str:
    """`destination` without empty and `.` components; what is relative stays so, and `..` stays too."""
    start = "/" if destination.startswith("/") else ""
    return start + "/".join(part for part in destination.split("/") if part not in ("", "."))
