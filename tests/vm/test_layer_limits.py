"""What containers write to their root filesystems, held to a size by project quotas of the guest's kernel."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

import firkin
from firkin.adapters.guest_image_host.shared_libraries import shared_libraries
from firkin.domain.volumes import VolumeFile
from tests.integration.pod.pods import shell
from tests.integration.pod.test_layer_limits import FILL

from .machines import SEARCH_PATH, guest_images, machine_runtime, small_machine

pytestmark = pytest.mark.real_time

MIB = 2**20
LIMIT = 2 * MIB
# Each way out of a project that its owner has (ioctl_xfs(2), ioctl_iflags(2)), and one bit more than the kernel reads.
_LEAVE = r"""
mkdir "/d" or die; open(my $d, "<", "/d") or die; open(my $f, "+>", "/f") or die;
my $none = pack("L5x8", 0, 0, 0, 0, 0); my $flags = pack("q", 0);
for my $high (0, 1 << 32, 1 << 63) {
  for my $file ($d, $f) {
    for my $try ([0x401c5820, $none], [0x40086602, $flags], [0x40046602, $flags]) {
      my $buffer = $try->[1];
      # syscall, for the function ioctl knows 32 bits only.
      print syscall(16, fileno($file), $try->[0] | $high, $buffer) == 0 ? "left " : 0 + $! . " ";
    }
  }
}
print "\n";
my ($written, $block) = (0, "x" x 4096);
for my $n (1 .. 2000) {
  open(my $new, ">", "/d/$n") or last; my $got = syscall(1, fileno($new), $block, 4096);
  last if $got != 4096; $written += $got;
}
print "$written ", 0 + $!, "\n";
"""


def _perl() -> firkin.EmptyDirVolume:
    """A volume with this computer's perl, and what it loads."""
    perl = Path(shutil.which("perl", path=SEARCH_PATH) or "")
    paths = (perl, *shared_libraries([perl], SEARCH_PATH))
    return firkin.EmptyDirVolume("tools", files=tuple(VolumeFile(one.name, one.read_bytes(), 0o755) for one in paths))


async def test_root_of_a_container_cannot_leave_its_quota_nor_write_beyond_it(
    tmp_path: Path, busybox_image: str
) -> None:
    async with machine_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = firkin.PodBuilder("pod-1", small_machine()).empty_dir(_perl())
        async with runtime.spawn(spec.build()) as pod:
            command = "/t/ld-linux-x86-64.so.2", "--library-path", "/t", "/t/perl", "-e", _LEAVE
            escaper = shell("escaper", bundle, "").command(*command).empty_dir_mount("tools", "/t", read_only=True)
            await pod.add_container(escaper.writable_layer_limit(LIMIT))
            output = await pod.wait_container("escaper")
            answers, filled = output.stdout.decode().splitlines()
            assert set(answers.split()) == {"1"}, answers  # EPERM
            written, number = map(int, filled.split())
            assert number == 122  # EDQUOT
            assert LIMIT * 0.9 < written < LIMIT * 1.03
            # Its project goes with it: the next one begins with nothing.
            await pod.remove_container("escaper")
            empty = await pod.store_used_bytes()
            for name in ("one", "two"):
                await pod.add_container(shell(name, bundle, f"{FILL}; df -k / | tail -n 1").writable_layer_limit(LIMIT))
                told, size, usage = (await pod.wait_container(name)).stdout.decode().splitlines()
                assert told.endswith("Disk quota exceeded")
                assert LIMIT <= int(size) < LIMIT * 1.03
                assert int(usage.split()[1]) * 1024 < LIMIT * 1.05
                await pod.remove_container(name)
            assert await pod.store_used_bytes() <= empty + MIB
            assert (await pod.stop()).clean


async def test_a_kernel_of_ones_own_is_given_a_store_that_it_can_write_to(tmp_path: Path, busybox_image: str) -> None:
    """Of it nobody knows whether it keeps quotas; what containers write is held by images then."""
    kept = await guest_images().image()
    (own,) = (kept.kernel.parents[2] / "kernels").glob("*/boot/vmlinuz-*")
    config = replace(small_machine(), kernel=own)
    async with machine_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        container = shell("a", bundle, FILL).writable_layer_limit(LIMIT)
        async with runtime.spawn(firkin.PodBuilder("pod-1", config).container(container).build()) as pod:
            assert b"No space left on device" in (await pod.wait_container("a")).stdout
