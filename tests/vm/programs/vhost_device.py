"""Takes addresses from the kernel's vhost_vsock, as firkin does before it starts QEMU."""

import errno
import fcntl
import struct
import sys
from pathlib import Path

sys.path.insert(0, "/tmp")

from firkin.adapters.vmm_qemu.vhost_device import DEVICE, VhostDevice, vhost_obstacle

SET_GUEST_CID = 0x4008AF60


def refusal(device: VhostDevice, cid: int) -> int:
    """The error of giving a device an address, 0 for none."""
    try:
        fcntl.ioctl(device.fileno(), SET_GUEST_CID, struct.pack("=Q", cid))
    except OSError as error:
        return error.errno or -1
    return 0


def main() -> None:
    assert vhost_obstacle() == ""
    assert vhost_obstacle(Path("/dev/absent")) == "there is no /dev/absent"
    first, second = VhostDevice(DEVICE), VhostDevice(DEVICE)
    assert first.guest_cid != second.guest_cid
    assert first.guest_cid >= 0x400
    # As QEMU will, which sets it once more on the file that it inherits.
    assert refusal(first, first.guest_cid) == 0
    assert refusal(second, first.guest_cid) == errno.EADDRINUSE
    taken = first.guest_cid
    first.close()
    first.close()
    assert refusal(second, taken) == 0
    second.close()
    print("addresses are taken and given back")


main()
