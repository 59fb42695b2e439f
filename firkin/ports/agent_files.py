"""The agent's part in copies between the host and a container."""

from __future__ import annotations

from typing import Protocol

import msgspec

from firkin.domain.copying import CopyReport
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId


class CopyIn(msgspec.Struct, frozen=True):
    """A copy from the host into a container.

    Attributes:
        rootfs: the container's root filesystem, in the sandbox.
        source: a path of the host; a symlink is followed, those below it are copied as what they are.
        destination: a path in the container.
        user: `user[:group]` of the container, whose everything is to be; None keeps the host's numbers.
        create_parents: make missing directories above the destination, mode 0755.
    """

    container_id: ContainerId
    rootfs: GuestPath
    source: str
    destination: str
    user: str | None = None
    create_parents: bool = False


class CopyOut(msgspec.Struct, frozen=True):
    """A copy from a container to the host.

    Attributes:
        rootfs: the container's root filesystem, in the sandbox.
        source: a path in the container; a symlink is followed inside it, those below it are copied as they are.
        destination: a path of the host.
        keep_ownership: keep the container's numbers; otherwise everything is the caller's.
    """

    container_id: ContainerId
    rootfs: GuestPath
    source: str
    destination: str
    keep_ownership: bool = False


class AgentFiles(Protocol):
    """Copying files and directories."""

    async def copy_in(self, copy: CopyIn) -> CopyReport:
        """Copy a file, or a directory with everything below it, into a container.

        A container that runs is shown the copy in its own view, volumes and all; one that has ended keeps it in its
        root filesystem. A directory that exists takes the source in under the source's name (unless that ends in
        `/.`), and keeps its own mode, owner and time. A failed or cancelled copy leaves whole files only.

        Raises:
            CopyFailed: the host's or the container's file stands in the way; the path in it tells which.
            UserUnknown: the container has no such user.
            PathRefused: the destination leads where nothing may be written.
            StoreFull: no space left.
        """
        ...

    async def copy_out(self, copy: CopyOut) -> CopyReport:
        """Copy a file, or a directory with everything below it, out of a container, by the same rules.

        Nothing is written outside the destination, whatever the container holds.

        Raises:
            CopyFailed, PathRefused: as for `copy_in`.
        """
        ...
