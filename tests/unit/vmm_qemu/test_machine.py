"""What QEMU is told."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from firkin.adapters.vmm_qemu.machine import NETWORK_PARAMETER, QUOTAS_PARAMETER, Disk, Machine
from firkin.domain.size import Size
from firkin.ports.guest_image import GuestImage

_IMAGE = GuestImage("key", Path("/images/vmlinuz"), "6.1", Path("/images/initramfs"), Path("/images/root"))
_MACHINE = Machine(
    name="pod-1-abc",
    image=_IMAGE,
    accelerator="tcg",
    cpus=2,
    memory=Size(Size.mib(300) + 1),
    disks=(Disk(Path("/stores/with,comma"), "store"), Disk(Path("/images/root"), "root", True)),
    vsock_arguments=("-device", "vsock"),
    monitor_socket=Path("/run/a,b/monitor.sock"),
    host_name="pod-1",
    command_line_extra=("nokaslr",),
)


def _values(option: str, machine: Machine = _MACHINE) -> list[str]:
    arguments = machine.arguments()
    return [arguments[index + 1] for index, word in enumerate(arguments) if word == option]


def test_memory_is_rounded_up_and_shared_with_the_vsock_device() -> None:
    assert _values("-m") == ["301M"]
    assert _values("-object") == ["memory-backend-memfd,id=memory,size=301M,share=on"]


def test_commas_in_paths_do_not_end_a_value() -> None:
    assert any("path=/run/a,,b/monitor.sock" in value for value in _values("-chardev"))
    assert json.loads(_values("-blockdev")[0])["file"]["filename"] == "/stores/with,comma"


def test_disks_are_found_by_their_serials_and_a_read_only_one_stays_so() -> None:
    store, root = (json.loads(value) for value in _values("-blockdev"))
    assert (store["read-only"], root["read-only"]) == (False, True)
    serials = [json.loads(value)["serial"] for value in _values("-device") if value.startswith("{")]
    assert serials == ["store", "root"]


def test_the_kernels_command_line_ends_with_the_users_own_words() -> None:
    (words,) = _values("-append")
    assert words.split()[-2:] == ["firkin.host_name=pod-1", "nokaslr"]
    assert "panic=-1" in words.split()


def test_the_driver_for_quotas_is_asked_for_by_who_has_a_store_with_them() -> None:
    (words,) = _values("-append")
    assert QUOTAS_PARAMETER not in words.split()
    (words,) = _values("-append", msgspec.structs.replace(_MACHINE, keeps_quotas=True))
    assert QUOTAS_PARAMETER in words.split()


def test_there_is_a_network_card_only_for_who_asks_for_a_network() -> None:
    (words,) = _values("-append")
    assert (_values("-nic"), _values("-netdev"), NETWORK_PARAMETER in words.split()) == (["none"], [], False)
    networked = msgspec.structs.replace(_MACHINE, has_user_network=True)
    (words,) = _values("-append", networked)
    assert (_values("-nic", networked), NETWORK_PARAMETER in words.split()) == ([], True)
    assert _values("-netdev", networked) == ["user,id=network,ipv6=off"]


def test_the_processor_is_the_hosts_only_where_it_runs_the_guest() -> None:
    assert _values("-cpu") == ["max"]
    assert _values("-cpu", msgspec.structs.replace(_MACHINE, accelerator="kvm")) == ["host"]
