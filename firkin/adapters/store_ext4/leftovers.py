"""What pods left in an image that is kept, when their sandboxes did not end in order."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import tempfile
from pathlib import Path

from firkin.domain.errors import StoreDamaged

# In a mount namespace of its own: whatever happens to it, the mount and the loop device end with the shell.
_REMOVE = 'mount -t ext4 -o loop,noatime,nodev,nosuid,noexec,noinit_itable "$1" "$2" && rm -rf -- "$2/pods"'


async def remove_pods(image: Path, search_path: str) -> None:
    """Remove all pods from an image that nobody has mounted; templates stay.

    Only root can mount; for anybody else the agent of the next pod does it.

    Raises:
        StoreDamaged: the image cannot be mounted.
    """
    debugfs = shutil.which("debugfs", path=search_path)
    unshare = shutil.which("unshare", path=search_path)
    if debugfs is None or unshare is None or os.geteuid() != 0:
        return
    _, listing = await _run(search_path, debugfs, "-R", "ls -p /pods", str(image))
    if not _has_entries(listing):
        return
    with tempfile.TemporaryDirectory(prefix="firkin-store-") as mount_point:
        command = (unshare, "--mount", "--", "sh", "-c", _REMOVE, "sh", str(image), mount_point)
        status, output = await _run(search_path, *command)
    if status != 0:
        reason = f"what pods left in it cannot be removed: {output.strip()}; run `e2fsck -f {shlex.quote(str(image))}`"
        raise StoreDamaged(str(image), reason)


def _has_entries(listing: str) -> bool:
    """Whether lines of `ls -p`, which are /inode/mode/uid/gid/name/size/, name anything but `.` and `..`."""
    names = [line.split("/")[5] for line in listing.splitlines() if line.startswith("/") and line.count("/") > 5]
    return bool(set(names) - {".", ".."})


async def _run(search_path: str, *command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"LANG": "C", "PATH": search_path, "DEBUGFS_PAGER": "cat"},
        start_new_session=True,  # Ctrl-C must not end what tidies up
    )
    output, _ = await process.communicate()
    return await process.wait(), output.decode(errors="replace")
