"""The first root filesystem: it loads drivers, mounts the real root, and hands over to the agent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .interpreter import INTERPRETER
from .kernel_modules import KernelModules, module_bytes
from .shared_libraries import shared_libraries
from .tools import tool_path
from .tree import GuestFile, GuestTree

_DRIVERS = ("virtio_pci", "virtio_blk", "erofs", "vmw_vsock_virtio_transport")
_FOR_PODS = ("overlay", "loop")
# Loaded when the kernel's command line has the parameter: each costs time at boot.
_WHEN_ASKED_FOR = {"firkin.quotas": "quota_v2", "firkin.network=user": "virtio_net"}

_MAIN = (
    "from module_archive import use_module_archive; use_module_archive();"
    " from firkin.vminitd.virtual_machine import main; main()"
)


# Times are seconds since the kernel's start, for `boot_timing`. Every failure ends the first process, hence the kernel
# in a panic, hence the VM.
def _init_script() -> bytes:
    return f"""#!/bin/busybox sh
fail() {{ echo "firkin: $*"; exit 1; }}
busybox mount -t proc proc /proc
read cmdline </proc/cmdline
case " $cmdline " in *" firkin.probe "*) echo "firkin: this processor runs"; busybox poweroff -f ;; esac
read started rest </proc/uptime
busybox mount -t devtmpfs dev /dev
busybox mount -t sysfs sys /sys
while read module parameter; do
    case "$parameter" in ?*) case " $cmdline " in *" $parameter "*) ;; *) continue ;; esac ;; esac
    busybox insmod "/modules/$module" || fail "the kernel does not take the module $module"
done </modules/order
for block in /sys/block/vd*; do
    read serial <$block/serial
    [ "$serial" = firkin-root ] && root=${{block##*/}}
done
[ -n "$root" ] || fail "there is no disk with the serial firkin-root"
read drivers rest </proc/uptime
busybox mount -t erofs -o ro "/dev/$root" /newroot || fail "the root filesystem cannot be mounted"
busybox mount -o move /dev /newroot/dev
busybox mount -o move /sys /newroot/sys
read mounted rest </proc/uptime
busybox mount -o move /proc /newroot/proc
export FIRKIN_BOOT="$started $drivers $mounted"
exec busybox switch_root /newroot /{INTERPRETER} -I -S -X utf8 -c '{_MAIN}'
fail "the agent cannot be started"
""".encode()


def initramfs(modules: KernelModules, search_path: str) -> GuestTree:
    """The tree of the initramfs.

    Raises:
        MissingTool: busybox is not installed.
    """
    tree = GuestTree()
    for directory in ("dev", "proc", "sys", "newroot"):
        tree.add(directory, GuestFile())
    busybox = Path(tool_path("busybox", "busybox-static", "making a guest image", search_path))
    tree.add("bin/busybox", GuestFile(source=busybox, is_executable=True))
    for library in shared_libraries([busybox], search_path):
        tree.add(str(library), GuestFile(source=library, is_executable=True))
    order = dict.fromkeys(_added(tree, modules, (*_DRIVERS, *_FOR_PODS)), "")
    for parameter, driver in _WHEN_ASKED_FOR.items():
        order |= {name: parameter for name in _added(tree, modules, (driver,)) if name not in order}
    lines = "".join(f"{name} {parameter}\n" for name, parameter in order.items())
    tree.add("modules/order", GuestFile(content=lines.encode()))
    tree.add("init", GuestFile(content=_init_script(), is_executable=True))
    return tree


def _added(tree: GuestTree, modules: KernelModules, names: Iterable[str]) -> Iterable[str]:
    """Put modules and those that they need into the tree; their names, in the order to load them in."""
    ordered = modules.in_load_order(names)
    for name, path in ordered.items():
        tree.add(f"modules/{name}", GuestFile(content=module_bytes(path)))
    return ordered
