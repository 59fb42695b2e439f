from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .command import Command, finished

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def _manifest(directory: Path, image: str, containers: dict[str, str], grace_seconds: int = 1) -> str:
    """A manifest of containers that each run a script of the shell."""
    lines = ["apiVersion: v1", "kind: Pod", "metadata: {name: pod-1}", "spec:", "  restartPolicy: Never"]
    lines += [f"  terminationGracePeriodSeconds: {grace_seconds}", "  containers:"]
    for name, script in containers.items():
        lines += [f"  - name: {name}", f"    image: {image}", "    command: [sh, -c]", "    args:", "    - |"]
        lines += [f"      {line}" for line in script.splitlines()]
    path = directory / "pod.yaml"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_each_line_begins_with_its_container(firkin: Command, busybox_image: str, tmp_path: Path) -> None:
    manifest = _manifest(
        tmp_path, busybox_image, {"a": "echo out; echo err >&2", "longer": "printf 'one\\ntwo'; printf '\\377' >&2"}
    )
    with firkin.started("pod", "run", manifest) as process:
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    assert sorted(stdout.splitlines()) == [b"a      | out", b"longer | one", b"longer | two"]
    told = [line for line in stderr.splitlines() if not line.startswith(b"firkin: unpacking")]
    assert sorted(told) == [b"a      | err", b"longer | \xff"]
    assert stdout.endswith(b"\n")


def test_the_exit_code_is_that_of_the_first_container_that_failed(
    firkin: Command, busybox_image: str, tmp_path: Path
) -> None:
    containers = {"good": "exit 0", "late": "sleep 0.3; exit 3", "early": "exit 4"}
    assert firkin.run("pod", "run", _manifest(tmp_path, busybox_image, containers)).code == 3


@pytest.mark.needs_root
def test_a_container_that_had_no_more_memory_is_told(firkin: Command, busybox_image: str, tmp_path: Path) -> None:
    manifest = _manifest(tmp_path, busybox_image, {"goes-on": "echo fine", "eats": "exec tail /dev/zero"})
    with open(manifest, "a") as file:
        file.write("    resources: {limits: {memory: 16Mi}}\n")
    done = firkin.run("pod", "run", manifest)
    assert done.code == 128 + signal.SIGKILL
    told = [line for line in done.stderr.splitlines() if "killed" in line]
    assert told == ["firkin: container eats was killed for want of memory: it may have no more"]


def test_the_manifest_may_come_from_standard_input(firkin: Command, busybox_image: str, tmp_path: Path) -> None:
    manifest = _manifest(tmp_path, busybox_image, {"a": "echo hello"})
    done = firkin.run("pod", "run", "-", stdin=Path(manifest).read_bytes())
    assert (done.code, done.stdout) == (0, b"a | hello\n")


def test_a_signal_stops_all_containers_and_a_second_one_kills_those_that_go_on(
    firkin: Command, busybox_image: str, tmp_path: Path
) -> None:
    trapping = "trap 'echo stopping; exit 0' TERM\necho ready\nwhile :; do sleep 0.05; done"
    containers = {"a": trapping, "b": trapping, "deaf": "sleep 1000"}
    manifest = _manifest(tmp_path, busybox_image, containers, grace_seconds=1000)
    with firkin.started("pod", "run", manifest) as process:
        assert process.stdout is not None
        assert sorted(process.stdout.readline() for _ in range(2)) == [b"a    | ready\n", b"b    | ready\n"]
        process.send_signal(signal.SIGINT)
        assert sorted(process.stdout.readline() for _ in range(2)) == [b"a    | stopping\n", b"b    | stopping\n"]
        process.send_signal(signal.SIGINT)
        done = finished(process)
    assert (done.code, done.stdout) == (128 + signal.SIGKILL, b"")


def test_what_ignores_a_signal_is_killed_after_the_grace_of_the_manifest(
    firkin: Command, busybox_image: str, tmp_path: Path
) -> None:
    manifest = _manifest(tmp_path, busybox_image, {"deaf": "echo ready; sleep 1000"}, grace_seconds=1)
    with firkin.started("pod", "run", manifest) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"deaf | ready\n"
        process.send_signal(signal.SIGTERM)
        assert finished(process).code == 128 + signal.SIGKILL


def test_a_flood_of_output_arrives_in_whole_lines(firkin: Command, busybox_image: str, tmp_path: Path) -> None:
    flood = "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done"
    done = firkin.run("pod", "run", _manifest(tmp_path, busybox_image, {"a": flood, "b": flood}))
    lines = done.stdout.splitlines()
    for name in (b"a", b"b"):
        numbers = [int(line.removeprefix(name + b" | ")) for line in lines if line.startswith(name + b" | ")]
        assert numbers == list(range(20000))
    assert len(lines) == 40000


def test_a_reader_that_goes_away_ends_the_pod_quietly(firkin: Command, busybox_image: str, tmp_path: Path) -> None:
    manifest = _manifest(tmp_path, busybox_image, {"a": "while echo line; do :; done"})
    with firkin.started("pod", "run", manifest) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"a | line\n"
        process.stdout.close()
        process.stdout = None
        done = finished(process)
    assert (done.code, done.stderr) == (128 + signal.SIGPIPE, "")


def test_the_hello_pod_exchanges_a_file_and_a_message(firkin: Command, tmp_path: Path) -> None:
    maker = [sys.executable, str(EXAMPLES / "make_demo_image.py"), str(tmp_path / ".demo" / "image")]
    subprocess.run(maker, check=True, capture_output=True, timeout=60)
    (tmp_path / "examples").mkdir()
    manifest = Path(shutil.copy(EXAMPLES / "hello-pod.yaml", tmp_path / "examples"))
    done = firkin.run("pod", "run", str(manifest))
    assert done.code == 0, done.stderr
    assert b"alice | Bob answered: Thank you for the letter.\n" in done.stdout
    assert b"bob   | Alice replied: You are welcome, Bob!\n" in done.stdout


def test_init_containers_speak_first_and_documents_are_volumes(
    firkin: Command, busybox_image: str, tmp_path: Path
) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(
        f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data: {{word: hello}}
---
apiVersion: v1
kind: Pod
metadata: {{name: pod-1}}
spec:
  restartPolicy: Never
  volumes: [{{name: settings, configMap: {{name: settings}}}}]
  initContainers:
  - {{name: first, image: "{busybox_image}", command: [echo, prepared]}}
  containers:
  - name: main
    image: "{busybox_image}"
    command: [cat, /settings/word]
    volumeMounts: [{{name: settings, mountPath: /settings}}]
"""
    )
    done = firkin.run("pod", "run", str(path))
    assert (done.code, done.stdout) == (0, b"first | prepared\nmain | hello\n")


def test_a_failed_init_container_is_told_with_what_it_wrote(
    firkin: Command, busybox_image: str, tmp_path: Path
) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(
        f"""
apiVersion: v1
kind: Pod
metadata: {{name: pod-1}}
spec:
  restartPolicy: Never
  initContainers: [{{name: first, image: "{busybox_image}", command: [sh, -c, "echo no database >&2; exit 3"]}}]
  containers: [{{name: main, image: "{busybox_image}", command: ["true"]}}]
"""
    )
    done = firkin.run("pod", "run", str(path))
    assert done.code == 125
    assert "init container 'first' failed (exit code 3)" in done.stderr
    assert "no database" in done.stderr


def test_a_host_path_needs_a_flag_that_the_error_names(firkin: Command, busybox_image: str, tmp_path: Path) -> None:
    site, path = tmp_path / "site", tmp_path / "pod.yaml"
    site.mkdir()
    (site / "index").write_text("hello\n")
    path.write_text(
        f"""
apiVersion: v1
kind: Pod
metadata: {{name: pod-1}}
spec:
  restartPolicy: Never
  volumes: [{{name: site, hostPath: {{path: {site}, type: Directory}}}}]
  containers:
  - name: main
    image: "{busybox_image}"
    command: [cat, /site/index]
    volumeMounts: [{{name: site, mountPath: /site, readOnly: true}}]
"""
    )
    refused = firkin.run("pod", "run", str(path))
    assert refused.code == 125
    assert f"line 7: host path '{site}' is refused" in refused.stderr
    assert f"--allow-host-path {site}" in refused.stderr
    allowed = ("--allow-host-path", str(tmp_path))
    assert firkin.run("pod", "run", *allowed, str(path)).stdout == b"main | hello\n"
    assert firkin.run("pod", "check", str(path)).code == 1
    assert firkin.run("pod", "check", *allowed, str(path)).code == 0


def test_a_sidecar_speaks_beside_the_others_and_keeps_no_pod_running(
    firkin: Command, busybox_image: str, tmp_path: Path
) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(
        f"""
apiVersion: v1
kind: Pod
metadata: {{name: pod-1}}
spec:
  restartPolicy: Never
  initContainers:
  - name: side
    image: "{busybox_image}"
    restartPolicy: Always
    command: [sh, -c, "trap 'echo bye; exit 7' TERM; echo hello; touch /tmp/ready; sleep 1000 & wait"]
    startupProbe: {{exec: {{command: [test, -e, /tmp/ready]}}, periodSeconds: 1, failureThreshold: 60}}
  containers:
  - {{name: main, image: "{busybox_image}", command: [sh, -c, "exit 3"]}}
"""
    )
    done = firkin.run("pod", "run", str(path))
    assert (done.code, done.stdout) == (3, b"side | hello\nside | bye\n")


def test_a_container_that_its_probe_had_stopped_is_told_with_the_reason(
    firkin: Command, busybox_image: str, tmp_path: Path
) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(
        f"""
apiVersion: v1
kind: Pod
metadata: {{name: pod-1}}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: "{busybox_image}"
    command: [sh, -c, "trap 'exit 7' TERM; touch /tmp/ready; sleep 1000 & wait"]
    startupProbe: {{exec: {{command: [test, -e, /tmp/ready]}}, periodSeconds: 1, failureThreshold: 60}}
    livenessProbe: {{tcpSocket: {{port: 80}}, periodSeconds: 1, failureThreshold: 2}}
"""
    )
    done = firkin.run("pod", "run", str(path))
    assert done.code == 7
    assert "container main was stopped: its liveness probe got no answer from 127.0.0.1 port 80" in done.stderr


def test_pod_check_tells_what_becomes_of_each_field(firkin: Command, tmp_path: Path) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(
        """\
apiVersion: v1
kind: Pod
metadata: {name: pod-1}
spec:
  activeDeadlineSeconds: 5
  containers:
  - name: main
    image: oci:x
    imagePullPolicy: Always
"""
    )
    done = firkin.run("pod", "check", str(path))
    lines = [line.split(maxsplit=3) for line in done.stdout.decode().splitlines()]
    assert done.code == 1
    assert ["3", "metadata.name", "honoured"] in lines
    assert ["5", "spec.activeDeadlineSeconds", "refused", "firkin does not honour this field"] in lines
    assert lines[-1][:2] == ["9", "spec.containers[0].imagePullPolicy"]
    assert lines[-1][3].startswith("effect")
    path.write_text(path.read_text().replace("  activeDeadlineSeconds: 5\n", ""))
    assert firkin.run("pod", "check", "--json", str(path)).code == 0


def test_timings_tell_each_stage_of_the_start_also_of_one_that_fails(
    firkin: Command, busybox_image: str, tmp_path: Path
) -> None:
    done = firkin.run("pod", "run", "--timings", _manifest(tmp_path, busybox_image, {"a": "echo hello"}))
    stages = [line.split()[:2] for line in done.stderr.splitlines() if line.startswith(("pod-1 ", "a "))]
    assert (done.code, done.stdout) == (0, b"a | hello\n")
    for stage in (["pod-1", "boot"], ["pod-1", "agent"], ["pod-1", "mount"], ["a", "template"], ["a", "start"]):
        assert stage in stages
    for part in ("pull", "inflate", "hash", "write", "commit", "create"):
        assert ["a", part] in stages
    manifest = Path(_manifest(tmp_path, busybox_image, {"a": "true"}))
    manifest.write_text(manifest.read_text().replace("command: [sh, -c]", "command: [/nope]"))
    failed = firkin.run("pod", "run", "--timings", str(manifest))
    assert failed.code == 127
    assert "pod-1                containers" in failed.stderr
    assert "pod-1                failed in stage start" in failed.stderr
    detached = firkin.run("pod", "run", "-d", "--timings", str(manifest))
    assert (detached.code, detached.stdout) == (125, b"")
