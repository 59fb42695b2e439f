"""Statistics from control groups of every version, as kernels write their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from firkin.domain.statistics import (
    BlockDeviceStatistics,
    CpuStatistics,
    InterfaceStatistics,
    MemoryEvents,
    ProcessStatistics,
)
from firkin.vminitd.cgroup_statistics.hierarchy import group_of, read_statistics
from firkin.vminitd.cgroup_statistics.interfaces import read_interfaces

VERSION_2 = {
    "cgroup.procs": "11\n12\n",
    "cpu.stat": (
        "usage_usec 5042\nuser_usec 2042\nsystem_usec 3000\nnice_usec 0\n"
        "nr_periods 9\nnr_throttled 4\nthrottled_usec 77\nnr_bursts 0\nburst_usec 0\n"
    ),
    "memory.current": "1048576\n",
    "memory.max": "max\n",
    "memory.swap.current": "4096\n",
    "memory.swap.max": "8192\n",
    "memory.stat": (
        "anon 262144\nfile 524288\nkernel_stack 16384\nslab 20480\ninactive_file 12288\npgfault 400\npgmajfault 3\n"
        "workingset_refault_anon 1\nworkingset_refault_file 2\n"
        "pgsteal_kswapd 5\npgsteal_direct 6\npgsteal_khugepaged 0\n"
    ),
    "memory.events": "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n",
    "pids.current": "2\n",
    "pids.max": "100\n",
    "io.stat": "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n7:3 rbytes=1\n253:0 \n",
}
VERSION_1 = {
    "cpu": {"cpu.stat": "nr_periods 9\nnr_throttled 4\nthrottled_time 77000\n"},
    "cpuacct": {"cpuacct.usage": "5042000\n", "cpuacct.stat": "user 3\nsystem 4\n"},
    "memory": {
        "memory.usage_in_bytes": "1048576\n",
        "memory.limit_in_bytes": "9223372036854771712\n",
        "memory.memsw.usage_in_bytes": "1052672\n",
        "memory.memsw.limit_in_bytes": "9223372036854771712\n",
        "memory.stat": "cache 1\nrss 2\ntotal_cache 524288\ntotal_rss 262144\ntotal_pgfault 400\n",
        "memory.failcnt": "1\n",
        "memory.memsw.failcnt": "2\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
        "cgroup.procs": "11\n",
    },
    "pids": {"pids.current": "2\n", "pids.max": "max\n"},
    "blkio": {
        "blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\n8:0 Write 8192\n8:0 Total 12288\nTotal 12288\n",
        "blkio.throttle.io_serviced": "8:0 Read 1\n8:0 Write 2\n7:0 Read 5\nTotal 8\n",
    },
}


def written(directory: Path, files: Mapping[str, str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)


def test_version_2_tells_everything(tmp_path: Path) -> None:
    written(tmp_path, {"cgroup.controllers": "cpu memory\n"})
    written(tmp_path / "container" / "c", VERSION_2)
    read = read_statistics("c", "/container/c", str(tmp_path))
    assert read.cpu == CpuStatistics(5042, 2042, 3000, 9, 4, 77)
    assert read.memory_events == MemoryEvents(1, 2, 3, 4, 5, 6)
    assert read.processes == ProcessStatistics(2, 100)
    assert read.block_devices == (
        BlockDeviceStatistics(8, 0, 4096, 8192, 1, 2),
        BlockDeviceStatistics(7, 3, 1),
        BlockDeviceStatistics(253, 0),
    )
    memory = read.memory
    assert (memory.usage_bytes, memory.limit_bytes) == (1048576, None)
    assert (memory.swap_usage_bytes, memory.swap_limit_bytes) == (4096, 8192)
    assert (memory.anonymous_bytes, memory.cache_bytes, memory.inactive_file_bytes) == (262144, 524288, 12288)
    assert (memory.page_faults, memory.major_page_faults, memory.slab_bytes) == (400, 3, 20480)
    assert (memory.pgsteal_kswapd, memory.pgsteal_direct, memory.pgsteal_khugepaged) == (5, 6, 0)


def test_version_1_tells_the_same_in_its_own_units(tmp_path: Path) -> None:
    for controller, files in VERSION_1.items():
        written(tmp_path / controller / "container" / "c", files)
    read = read_statistics("c", "/container/c", str(tmp_path))
    assert read.cpu == CpuStatistics(5042, 30_000, 40_000, 9, 4, 77)
    assert read.memory_events == MemoryEvents(max=3, oom_kill=5)
    assert read.processes == ProcessStatistics(2, None)
    assert read.block_devices == (
        BlockDeviceStatistics(7, 0, None, None, 5, None),
        BlockDeviceStatistics(8, 0, 4096, 8192, 1, 2),
    )
    memory = read.memory
    assert (memory.usage_bytes, memory.limit_bytes) == (1048576, None)
    assert (memory.swap_usage_bytes, memory.swap_limit_bytes) == (4096, None)
    assert (memory.anonymous_bytes, memory.cache_bytes, memory.page_faults) == (262144, 524288, 400)
    assert (memory.major_page_faults, memory.kernel_stack_bytes) == (None, None)


def test_a_hybrid_takes_from_version_2_what_version_1_does_not_tell(tmp_path: Path) -> None:
    for controller in ("cpuacct", "memory"):
        written(tmp_path / controller / "container" / "c", VERSION_1[controller])
    written(tmp_path / "unified" / "container" / "c", VERSION_2)
    read = read_statistics("c", "/container/c", str(tmp_path))
    assert read.cpu == CpuStatistics(5042, 30_000, 40_000, 9, 4, 77)
    assert read.memory_events == MemoryEvents(1, 2, 3, 4, 5, 6)
    assert (read.memory.page_faults, read.memory.major_page_faults) == (400, 3)
    assert read.processes == ProcessStatistics(2, 100)
    assert [device.major for device in read.block_devices] == [8, 7, 253]
    assert group_of("/container/c", str(tmp_path)).process_files()[-1].endswith("unified/container/c/cgroup.procs")


def test_without_control_groups_nothing_is_told_and_nothing_fails(tmp_path: Path) -> None:
    read = read_statistics("c", "/container/c", str(tmp_path))
    assert (read.cpu, read.memory_events, read.processes) == (CpuStatistics(), MemoryEvents(), ProcessStatistics())
    assert read.memory.usage_bytes is None
    assert read.block_devices == ()


def test_nonsense_in_a_control_file_tells_nothing(tmp_path: Path) -> None:
    written(tmp_path, {"cgroup.controllers": ""})
    nonsense = dict.fromkeys(VERSION_2, "x\n: y z\n8: 9\n\n1 2 3\n")
    written(tmp_path / "container" / "c", nonsense)
    read = read_statistics("c", "/container/c", str(tmp_path))
    assert (read.cpu, read.memory_events, read.processes) == (CpuStatistics(), MemoryEvents(), ProcessStatistics())


def test_interfaces_are_told_but_for_the_loopback(tmp_path: Path) -> None:
    text = (
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls\n"
        "    lo:     100       2    0    0    0     0          0         0      100       2    0    0    0     0\n"
        "  eth0:12345678     901    2    0    0     0          0         0     3456      78    9    0    0     0\n"
    )
    (tmp_path / "dev").write_text(text)
    assert read_interfaces(str(tmp_path / "dev")) == (InterfaceStatistics("eth0", 12345678, 3456, 901, 78, 2, 9),)
    assert read_interfaces(str(tmp_path / "missing")) == ()
