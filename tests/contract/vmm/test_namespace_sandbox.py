"""What a sandbox of namespaces does beyond its port: what it shows inside, and what it leaves outside."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.adapters.vmm_namespace import DEFAULT_SEARCH_PATH, NamespaceVmm
from firkin.domain.errors import BootFailed, ConfigurationError, MissingTool, UnsupportedFeature
from firkin.domain.size import Size
from firkin.domain.vm_config import VmConfig
from firkin.ports.store import StoreMedium
from tests.descriptors import open_descriptors, opened_since

from .guests import (
    cgroups_of,
    guest_vmm,
    init_vmm,
    leftovers,
    processes_naming,
    request_for,
)

pytestmark = pytest.mark.real_time

SECONDS = 60.0
"""Far less than the processes of these tests sleep, and far more than what is waited for takes."""

_REPORT = """
print(json.dumps({report}))
sys.exit(0)
"""


async def _output_of(*command: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[3]
    environment = {"PYTHONPATH": str(root), "PATH": DEFAULT_SEARCH_PATH}
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, cwd=root, env=environment, check=False
    )


async def _reported(tmp_path: Path, expression: str, config: VmConfig | None = None) -> object:
    """Evaluate `expression` in a sandbox's init."""
    vmm = guest_vmm(tmp_path, _REPORT.format(report=expression))
    async with vmm.booted(request_for(tmp_path, config)) as sandbox:
        end = await sandbox.wait_ended()
    try:
        return json.loads(end.console_tail)
    except ValueError:
        pytest.fail(f"{end.reason}\n{end.console_tail}")


async def test_its_init_is_process_1_with_the_name_that_was_asked_for(tmp_path: Path) -> None:
    assert await _reported(tmp_path, "[os.getpid(), socket.gethostname()]") == [1, "guest-name"]


async def test_it_has_a_loopback_interface_that_works_and_no_other(tmp_path: Path) -> None:
    served = "socket.create_connection((server := socket.create_server(('127.0.0.1', 0))).getsockname()) and True"
    expression = f"[[name for _, name in socket.if_nameindex()], {served}]"
    assert await _reported(tmp_path, expression) == [["lo"], True]


async def test_its_run_directory_is_its_own_with_socket_directory_and_store_in_it(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "marker").touch()
    expression = "[host, sorted(os.listdir('/run')), os.listdir('/run/firkin/store-medium'), os.path.ismount(host)]"
    assert await _reported(tmp_path, expression) == ["/run/firkin/host", ["firkin"], ["marker"], True]


async def test_a_store_below_the_run_directory_is_reached_all_the_same() -> None:
    base = Path("/run") / f"firkin-test-{os.getpid()}"
    base.mkdir()
    try:
        (base / "store").mkdir()
        (base / "store" / "marker").touch()
        assert await _reported(base, "os.listdir('/run/firkin/store-medium')") == ["marker"]
    finally:
        shutil.rmtree(base)


async def test_it_sees_its_own_control_groups_only_and_the_runtime_accepts_them(tmp_path: Path) -> None:
    crun = "subprocess.run(['crun', '--root', '/run/crun-test', 'list'], capture_output=True, text=True).stderr"
    own = "sorted({line.strip().split(':')[2] for line in open('/proc/self/cgroup')})"
    groups, error = await _pair(tmp_path, f"[{own}, {crun}]")
    assert isinstance(groups, list)
    assert set(groups) <= {"/", "/init"}
    assert error == ""


_VERSION_2_ONLY = """
import asyncio, sys
from pathlib import Path
from tests.contract.vmm.guests import guest_vmm, request_for

BODY = '''
print(sorted(name for name in os.listdir("/sys/fs/cgroup") if os.path.isdir(f"/sys/fs/cgroup/{name}")))
print([line.strip() for line in open("/proc/self/cgroup") if line.startswith("0::")])
print(repr(open("/sys/fs/cgroup/cgroup.procs").read()))
print(subprocess.run(["crun", "--root", "/run/crun-test", "list"], capture_output=True, text=True).stderr)
sys.exit(0)
'''

async def main(directory):
    async with guest_vmm(directory, BODY).booted(request_for(directory)) as sandbox:
        print((await sandbox.wait_ended()).console_tail)
    print(list(Path("/sys/fs/cgroup").rglob(f"firkin-{sandbox.id}")))

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_it_works_where_all_control_groups_are_of_version_2(tmp_path: Path) -> None:
    pure = 'umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'
    inner = (sys.executable, "-c", _VERSION_2_ONLY, str(tmp_path))
    result = await _output_of("unshare", "--mount", "sh", "-c", pure, "sh", *inner)
    assert result.stderr == ""
    assert result.stdout.splitlines() == ["['init']", "['0::/init']", "''", "[]"]


async def _pair(tmp_path: Path, expression: str) -> tuple[object, object]:
    result = await _reported(tmp_path, expression)
    assert isinstance(result, list)
    return result[0], result[1]


async def test_nothing_of_the_callers_environment_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "1")
    names = await _reported(tmp_path, "sorted(os.environ)")
    assert isinstance(names, list)
    assert set(names) <= {"PATH", "LANG", "LC_CTYPE", "PWD", "PYTHONPATH", "FIRKIN_PURE_PYTHON"}


async def test_the_host_stays_as_it_was(tmp_path: Path) -> None:
    def host() -> list[str]:
        places = (" / ", " /run ", " /sys/fs/cgroup", " /dev/shm ", " /proc ")
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        kept = [line for line in mounts if any(place in line for place in places)]
        return [socket.gethostname(), Path("/sys/class/net/lo/flags").read_text(), *kept, *os.listdir("/run")]

    before = host()
    async with guest_vmm(tmp_path).booted(request_for(tmp_path)) as sandbox:
        await sandbox.stop(SECONDS)
        assert host() == before
    assert host() == before


async def test_processors_and_memory_are_limited_by_its_control_group(tmp_path: Path) -> None:
    config = VmConfig(cpus=1, memory=Size.mib(160))
    hog = "import sys; block = bytearray(400 * 2**20); print(len(block))"
    expression = f"subprocess.run([{sys.executable!r}, '-c', {hog!r}]).returncode"
    assert await _reported(tmp_path, expression, config) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("config", "feature"),
    [
        (VmConfig(kernel=Path("/boot/vmlinuz")), "vm_config.kernel"),
        (VmConfig(command_line_extra=("quiet",)), "vm_config.command_line_extra"),
    ],
)
async def test_settings_of_a_kernel_are_refused(tmp_path: Path, config: VmConfig, feature: str) -> None:
    with pytest.raises(UnsupportedFeature) as caught:
        await _boot(guest_vmm(tmp_path), tmp_path, config)
    assert caught.value.feature == feature


async def _boot(vmm: NamespaceVmm, tmp_path: Path, config: VmConfig | None = None) -> None:
    async with vmm.booted(request_for(tmp_path, config)):
        pass


async def test_a_limit_that_the_kernel_refuses_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFeature, match="cpu control group refused"):
        await _boot(guest_vmm(tmp_path), tmp_path, VmConfig(cpus=10**15))
    assert leftovers(tmp_path) == []


async def test_a_missing_runtime_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(MissingTool) as caught:
        await _boot(NamespaceVmm(tmp_path / "run", runtime="no-such-runtime"), tmp_path)
    assert caught.value.tool == "no-such-runtime"
    assert not (tmp_path / "run").exists()


async def test_a_missing_unshare_is_told_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "crun").symlink_to("/usr/bin/crun")
    with pytest.raises(MissingTool) as caught:
        await _boot(NamespaceVmm(tmp_path / "run", search_path=str(tmp_path / "bin")), tmp_path)
    assert caught.value.package == "util-linux"
    assert not (tmp_path / "run").exists()


async def test_an_unshare_that_fails_is_a_failed_boot_with_its_words(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "crun").symlink_to("/usr/bin/crun")
    (tools / "unshare").write_text("#!/bin/sh\necho unshare failed: Operation not permitted >&2\nexit 1\n")
    (tools / "unshare").chmod(0o755)
    with pytest.raises(BootFailed, match="exited with status 1") as caught:
        await _boot(NamespaceVmm(tmp_path / "run", search_path=str(tools)), tmp_path)
    assert caught.value.console_tail == "unshare failed: Operation not permitted"
    assert leftovers(tmp_path) == []


async def test_an_init_that_exits_is_told_with_its_status_and_last_words(tmp_path: Path) -> None:
    vmm = init_vmm(tmp_path, "#!/bin/sh\necho I cannot import grpc >&2\nexit 3\n")
    reason, tail = await _early_end(vmm, tmp_path)
    assert "status 3" in reason
    assert tail == "I cannot import grpc"
    assert leftovers(tmp_path) == []


async def test_an_interpreter_that_is_missing_is_told(tmp_path: Path) -> None:
    _, tail = await _early_end(NamespaceVmm(tmp_path / "run", python="/no/such/python"), tmp_path)
    assert "/no/such/python" in tail


async def _early_end(vmm: NamespaceVmm, tmp_path: Path) -> tuple[str, str]:
    """How a sandbox ended that ends while it boots: an init that is quick enough is never seen alive."""
    try:
        async with vmm.booted(request_for(tmp_path)) as sandbox:
            end = await sandbox.wait_ended()
    except BootFailed as error:
        return error.reason, error.console_tail
    return end.reason, end.console_tail


async def test_only_the_tail_of_a_long_console_is_kept_and_the_log_has_all(tmp_path: Path) -> None:
    log = tmp_path / "boot.log"
    log.write_text("earlier\n")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    vmm = init_vmm(tmp_path, f"#!/bin/sh\necho ready > {fifo}\nseq 1 200000\n")
    async with vmm.booted(request_for(tmp_path, VmConfig(boot_log=log))) as sandbox:
        await _ready(fifo)
        end = await sandbox.wait_ended()
    assert end.console_tail.endswith("199999\n200000")
    assert len(end.console_tail) <= 16 * 1024
    assert log.read_text() == "earlier\n" + "".join(f"{number}\n" for number in range(1, 200001))


async def test_a_boot_log_that_cannot_be_opened_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BootFailed, match="open the boot log"):
        await _boot(guest_vmm(tmp_path), tmp_path, VmConfig(boot_log=tmp_path / "missing" / "log"))
    assert leftovers(tmp_path) == []


_LINGER = """#!/bin/sh
setsid sleep 1000 &
echo ready > {fifo}
trap '' TERM
while :; do sleep 1000; done
"""


async def _ready(fifo: Path) -> None:
    assert await asyncio.to_thread(fifo.read_text) == "ready\n"


def _lingering(tmp_path: Path) -> tuple[NamespaceVmm, Path]:
    """A VMM whose init ignores its lifeline and has a child; a pipe that tells when it is there."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    return init_vmm(tmp_path, _LINGER.format(fifo=fifo)), fifo


async def test_an_init_that_ignores_its_lifeline_is_killed_after_the_grace(tmp_path: Path) -> None:
    vmm, fifo = _lingering(tmp_path)
    async with vmm.booted(request_for(tmp_path)) as sandbox:
        await _ready(fifo)
        async with asyncio.timeout(SECONDS):
            end = await sandbox.stop(0.05)
        assert "SIGKILL" in end.reason
    assert leftovers(tmp_path) == []


async def test_cutting_the_lifeline_is_an_orderly_end(tmp_path: Path) -> None:
    async with guest_vmm(tmp_path).booted(request_for(tmp_path)) as sandbox:
        assert "status 0" in (await sandbox.stop(SECONDS)).reason


async def test_the_real_agent_answers_ends_in_order_and_leaves_nothing(tmp_path: Path) -> None:
    async with NamespaceVmm(tmp_path / "run").booted(request_for(tmp_path)) as sandbox:
        async with GrpcAgentConnector().connected(sandbox, timeout_seconds=SECONDS) as agent:
            assert "crun" in (await agent.info()).runtime
        end = await sandbox.stop(SECONDS)
        assert "status 0" in end.reason
        assert end.console_tail == ""
    assert leftovers(tmp_path) == []
    assert cgroups_of(sandbox.id) == []


async def test_killing_its_init_from_outside_completes_every_waiter_at_once(tmp_path: Path) -> None:
    vmm, fifo = _lingering(tmp_path)
    async with vmm.booted(request_for(tmp_path)) as sandbox:
        await _ready(fifo)
        (init,) = [pid for pid in processes_naming("--lifeline-fd") if _is_init_of(pid, sandbox.id)]
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
            waiters = [group.create_task(sandbox.wait_ended()) for _ in range(3)]
            os.kill(init, signal.SIGKILL)
        assert all("SIGKILL" in waiter.result().reason for waiter in waiters)
    assert leftovers(tmp_path) == []
    assert cgroups_of(sandbox.id) == []


async def test_killing_unshare_alone_leaves_nothing_running(tmp_path: Path) -> None:
    vmm, fifo = _lingering(tmp_path)
    async with vmm.booted(request_for(tmp_path)) as sandbox:
        await _ready(fifo)
        (holder,) = [pid for pid in processes_naming("--kill-child") if _names(pid, sandbox.id)]
        os.kill(holder, signal.SIGKILL)
        await sandbox.wait_ended()
    assert leftovers(tmp_path) == []
    assert cgroups_of(sandbox.id) == []


def _names(pid: int, sandbox_id: str) -> bool:
    return os.fsencode(sandbox_id) in Path(f"/proc/{pid}/cmdline").read_bytes()


def _is_init_of(pid: int, sandbox_id: str) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("NSpid:")]
    return line.split()[1:] == [str(pid), "1"] and _names(pid, sandbox_id)


async def test_twenty_sandboxes_in_a_row_leave_nothing(tmp_path: Path) -> None:
    vmm = guest_vmm(tmp_path)
    await _boot(vmm, tmp_path)
    before = open_descriptors()
    ids = []
    for _ in range(20):
        async with vmm.booted(request_for(tmp_path)) as sandbox:
            ids.append(sandbox.id)
    assert leftovers(tmp_path) == []
    assert not opened_since(before)
    assert [group for sandbox_id in ids for group in cgroups_of(sandbox_id)] == []


async def test_cancelling_a_boot_at_any_moment_leaves_nothing(tmp_path: Path) -> None:
    vmm = guest_vmm(tmp_path)
    await _boot(vmm, tmp_path)
    before = open_descriptors()
    for milliseconds in range(0, 12, 2):
        task = asyncio.ensure_future(_boot_and_wait(vmm, tmp_path))
        await asyncio.sleep(milliseconds / 1000)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert leftovers(tmp_path) == []
    assert not opened_since(before)


async def _boot_and_wait(vmm: NamespaceVmm, tmp_path: Path) -> None:
    async with vmm.booted(request_for(tmp_path)) as sandbox:
        await sandbox.wait_ended()


async def test_an_image_is_attached_to_a_loop_device_while_the_sandbox_lives(tmp_path: Path) -> None:
    image = tmp_path / "store.ext4"
    await _output_of("mke2fs", "-q", "-t", "ext4", str(image), "32M")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    body = f"""
subprocess.run(["mount", "-o", "noatime,noinit_itable", "/dev/" + open({str(fifo)!r}).read(), "/mnt"], check=True)
open("/mnt/marker", "w").write("kept")
"""
    vmm = guest_vmm(tmp_path, body)
    medium = StoreMedium(image, "ext4", "the-image")
    async with vmm.booted(request_for(tmp_path, store=medium)) as sandbox:
        device = Path(sandbox.store_mount.source)
        assert sandbox.store_mount.type == "ext4"
        assert (Path("/sys/block") / device.name / "loop/backing_file").read_text().strip() == str(image)
        await asyncio.to_thread(fifo.write_text, device.name)
        end = await sandbox.stop(SECONDS)
        assert end.console_tail == ""
    assert leftovers(tmp_path) == []
    assert (await _output_of("debugfs", "-R", "cat /marker", str(image))).stdout == "kept"


async def test_a_missing_image_is_a_failed_boot_that_leaves_nothing(tmp_path: Path) -> None:
    medium = StoreMedium(tmp_path / "missing.ext4", "ext4", "the-image")
    with pytest.raises(BootFailed, match="attach the pod store"):
        async with guest_vmm(tmp_path).booted(request_for(tmp_path, store=medium)):
            pass
    assert leftovers(tmp_path) == []


async def test_socket_paths_stay_short_enough_whatever_the_pod_is_called(tmp_path: Path) -> None:
    request = request_for(tmp_path)
    async with guest_vmm(tmp_path).booted(request) as sandbox:
        longest = sandbox.socket_directory / "host-4294967295.sock"
        assert len(os.fsencode(longest)) <= 107
        assert sandbox.socket_directory.stat().st_mode & 0o777 == 0o700


async def test_a_runtime_directory_that_is_too_long_for_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="too long"):
        await _boot(NamespaceVmm(tmp_path / ("x" * 100)), tmp_path)


_CRASHING_HOST = """
import asyncio, os, sys
from pathlib import Path
from tests.contract.vmm.guests import guest_vmm, request_for

async def main(directory):
    async with guest_vmm(directory).booted(request_for(directory)) as sandbox:
        print(sandbox.id, flush=True)
        os.kill(os.getpid(), 9)

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_what_a_crashed_host_left_goes_with_the_next_boot(tmp_path: Path) -> None:
    crashed = await _output_of(sys.executable, "-c", _CRASHING_HOST, str(tmp_path))
    sandbox_id = crashed.stdout.strip()
    assert crashed.returncode == -signal.SIGKILL, crashed.stderr
    vmm = NamespaceVmm(tmp_path / "run", python="/bin/true")
    async with asyncio.timeout(SECONDS):
        # The lifeline ends the orphaned sandbox; until then its control groups cannot be removed.
        while leftovers(tmp_path) or cgroups_of(sandbox_id):
            await _early_end(vmm, tmp_path)


def test_this_machine_is_described_truthfully(tmp_path: Path) -> None:
    capabilities = guest_vmm(tmp_path).capabilities()
    assert capabilities["kernel isolation"].promise == "not here"
    assert capabilities["network isolation"].promise == "enforced"
    assert not (tmp_path / "run").exists()
