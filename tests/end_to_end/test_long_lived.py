"""Pods that go on by themselves: their whole life, by the commands that people type."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

from .command import Command, Finished, finished, has_other_ids

WAITING = "while :; do sleep 0.05; done"


def _done(firkin: Command, *arguments: str, stdin: bytes = b"") -> str:
    """Run a command that must succeed in silence; returns what it printed."""
    done = firkin.run(*arguments, stdin=stdin)
    assert (done.code, done.stderr) == (0, ""), done
    return done.stdout.decode()


def _remove(firkin: Command, *names: str) -> None:
    assert firkin.run("rm", "-f", *names).code == 0


def test_the_whole_life_of_a_pod(firkin: Command, busybox_image: str, tmp_path: Path) -> None:
    script = f"trap 'echo bye; exit 9' TERM; echo ready; echo warned >&2; {WAITING}"
    assert _done(firkin, "run", "-d", "--name", "web", busybox_image, "sh", "-c", script) == "web\n"
    firkin.until(lambda: b"ready\n" in firkin.run("logs", "web").stdout)
    _check_exec(firkin)
    _check_copies(firkin, tmp_path)
    _check_copies_that_are_broken_off(firkin, tmp_path / "moment")
    _check_what_is_told(firkin)
    with firkin.started("logs", "-f", "web") as following, firkin.started("wait", "web") as waiting:
        assert following.stdout is not None
        assert following.stdout.readline() == b"ready\n"
        assert firkin.run("rm", "web").stderr.count("is running") == 1
        assert _done(firkin, "stop", "web") == "web\n"
        assert finished(following) == Finished(0, b"bye\n", "warned\n")
        assert finished(waiting) == Finished(0, b"9\n", "")
    logs = firkin.run("logs", "web")
    assert (logs.stdout, logs.stderr) == (b"ready\nbye\n", "warned\n")
    assert firkin.run("logs", "-n", "1", "web").stdout == b"bye\n"
    assert _done(firkin, "ps", "-q") == ""
    assert _done(firkin, "ps", "-aq", "--filter", "status=exited") == "web\n"
    assert "is exited, not running" in firkin.run("exec", "web", "true").error()
    assert _done(firkin, "stop", "web") + _done(firkin, "wait", "web") + _done(firkin, "rm", "web") == "web\n9\nweb\n"
    assert "there is no pod 'web'" in firkin.run("logs", "web").error()


def _check_exec(firkin: Command) -> None:
    assert firkin.run("exec", "web", "sh", "-c", "echo out; echo err >&2; exit 3") == Finished(3, b"out\n", "err\n")
    assert _done(firkin, "exec", "-i", "web", "cat", stdin=bytes(200_000)) == "\0" * 200_000
    told, user = "echo $A $(pwd) $(id -u)", "7" if has_other_ids() else "0"
    done = _done(firkin, "exec", "-e", "A=1", "-w", "/tmp", "-u", user, "web", "sh", "-c", told)
    assert done == f"1 /tmp {user}\n"
    missing = firkin.run("exec", "web", "nonsense")
    assert (missing.code, "'nonsense' was not found" in missing.error()) == (127, True)
    assert firkin.run("exec", "web", "sh", "-c", "kill -9 $$").code == 128 + signal.SIGKILL
    assert firkin.run("exec", "-c", "other", "web", "true").error() == "pod 'web' has no container 'other'"


def _check_copies(firkin: Command, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index").write_text("hello")
    _done(firkin, "cp", str(tmp_path / "site"), "web:/srv")
    _done(firkin, "cp", str(tmp_path / "site/."), "web:/srv")
    assert _done(firkin, "exec", "web", "cat", "/srv/index", "/srv/site/index") == "hellohello"
    _done(firkin, "cp", "web:/srv/index", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "hello"
    archive = firkin.run("cp", "web:/srv/site", "-").stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as reading:
        # Nothing of the directory above: unpacking would change the one that it is unpacked in.
        assert reading.getnames() == ["site", "site/index"]
    _done(firkin, "cp", "-", "web:/tmp", stdin=archive)
    assert "cannot copy '-'" in firkin.run("cp", "-", "web:/tmp", stdin=b"no archive").stderr
    assert _done(firkin, "exec", "web", "cat", "/tmp/site/index") == "hello"
    assert "it does not exist" in firkin.run("cp", "web:/absent", str(tmp_path / "no")).stderr
    assert firkin.run("cp", "web:/a", "web:/b").code == 2


def _check_copies_that_are_broken_off(firkin: Command, directory: Path) -> None:
    directory.mkdir()
    for number in (signal.SIGINT, signal.SIGTERM):
        environment = {"TMPDIR": str(directory)}
        with firkin.started("cp", "-", "web:/tmp", env=environment, stdin=subprocess.PIPE) as copying:
            firkin.until(lambda: any(directory.iterdir()))
            copying.send_signal(number)
            assert copying.wait(120) == 128 + number
        assert list(directory.iterdir()) == []


def _check_what_is_told(firkin: Command) -> None:
    header, row = _done(firkin, "ps").splitlines()
    assert header.split()[:4] == ["POD", "SOURCE", "CONTAINERS", "STATUS"]
    assert row.split()[0] == "web"
    assert "running" in row
    (record,) = json.loads(_done(firkin, "inspect", "web"))
    assert (record["phase"], record["exit_code"]) == ("running", None)
    template = "{{.phase}} {{.containers.main.ready}} {{json .containers.0.command}}"
    assert _done(firkin, "inspect", "--format", template, "web").startswith('running true ["sh", "-c", ')
    (usage,) = json.loads(_done(firkin, "stats", "--no-stream", "--json", "web"))
    assert (usage["pod"], usage["container_id"]) == ("web", "main")
    assert usage["processes"]["current"] is None or usage["processes"]["current"] >= 1
    header, row = _done(firkin, "stats", "--no-stream").splitlines()
    assert row.split()[:2] == ["web", "main"]


def test_a_pod_that_ends_by_itself_stays_readable_and_one_with_rm_is_forgotten(
    firkin: Command, busybox_image: str
) -> None:
    started = _done(firkin, "run", "-d", "--name", "job", busybox_image, "sh", "-c", "echo result; exit 4")
    assert started == "job\n"
    assert _done(firkin, "wait", "job") == "4\n"
    assert _done(firkin, "logs", "job") == "result\n"
    assert "exited (4)" in _done(firkin, "ps", "-a")
    _done(firkin, "run", "-d", "--rm", "--name", "brief", busybox_image, "true")
    firkin.until(lambda: [record.id for record in firkin.registry.records()] == ["job"])
    _remove(firkin, "job")


def test_a_start_that_fails_is_told_with_its_exit_code_and_leaves_nothing(firkin: Command, busybox_image: str) -> None:
    failed = firkin.run("run", "-d", "--name", "bad", busybox_image, "nonsense")
    assert (failed.code, failed.stdout, "'nonsense' was not found" in failed.error()) == (127, b"", True)
    assert firkin.run("run", "-d", "--name", "../bad", busybox_image).code == 125
    assert firkin.run("run", "-d", "oci:/nowhere").code == 125
    assert firkin.run("run", "--restart", "always", busybox_image).code == 125
    assert _done(firkin, "ps", "-aq") == ""


def test_a_supervisor_that_cannot_write_its_record_says_so(firkin: Command, busybox_image: str) -> None:
    # What a process may write to files at most stands for a disk without space.
    limited = ["prlimit", "--fsize=0:0", sys.executable, "-m", "firkin"]
    command = [*limited, "run", "-d", "--name", "unwritten", busybox_image]
    done = subprocess.run(command, env=firkin.environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 125
    assert done.stderr.startswith(f"firkin: error: the pod's supervisor failed: {firkin.state_dir}/pods/")
    assert done.stderr.endswith(": File too large\n")
    assert _done(firkin, "ps", "-aq") == ""


def test_of_two_with_one_name_one_runs_and_others_run_beside_it(firkin: Command, busybox_image: str) -> None:
    arguments = ("run", "-d", "--name", "twin", busybox_image, "sh", "-c", WAITING)
    with firkin.started(*arguments) as first, firkin.started(*arguments) as second:
        with firkin.started("run", "-d", "--name", "other", busybox_image, "sh", "-c", WAITING) as third:
            assert finished(third).code == 0
        outcomes = sorted([finished(first), finished(second)])
    assert outcomes[0] == Finished(0, b"twin\n", "")
    assert "pod 'twin' exists and is" in outcomes[1].error()
    assert sorted(_done(firkin, "ps", "-q").split()) == ["other", "twin"]
    _done(firkin, "kill", "twin")
    assert _done(firkin, "wait", "twin") == "137\n"
    assert _done(firkin, "ps", "-q") == "other\n"
    _remove(firkin, "twin", "other")


def test_a_manifest_runs_on_with_its_probes_restarts_and_several_logs(
    firkin: Command, busybox_image: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "pod.yaml"
    manifest.write_text(_MANIFEST.replace("IMAGE", busybox_image))
    assert firkin.run("pod", "run", "-d", str(manifest)).stdout == b"duo\n"
    firkin.until(lambda: all(one.ready for one in firkin.registry.record("duo").containers if not one.is_init))
    firkin.until(lambda: firkin.run("logs", "duo").stdout.count(b" | ") >= 3)
    assert sorted(_done(firkin, "logs", "duo").splitlines())[:2] == ["app  | from app", "init | prepared"]
    assert _done(firkin, "logs", "-c", "init", "duo") == "prepared\n"
    assert firkin.run("exec", "duo", "true").error() == "pod 'duo' has containers app, side: name one with -c"
    _done(firkin, "kill", "-c", "side", "duo")
    # It is started again after its first pause, 10 seconds.
    firkin.until(lambda: firkin.registry.record("duo").container("side").restarts == 1)
    status = firkin.registry.record("duo").container("side").status
    assert status is not None
    assert status.signal == signal.SIGKILL
    assert _done(firkin, "stop", "-t", "0", "duo") == "duo\n"
    _remove(firkin, "duo")


_MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: duo}
spec:
  restartPolicy: Always
  initContainers:
  - {name: init, image: "IMAGE", command: [sh, -c, "echo prepared"]}
  containers:
  - name: app
    image: "IMAGE"
    command: [sh, -c, "echo from app; sleep 0.5; touch /tmp/ready; while :; do sleep 0.05; done"]
    readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}
  - {name: side, image: "IMAGE", command: [sh, -c, "echo from side; while :; do sleep 0.05; done"]}
"""


def test_the_log_on_disk_is_bounded(firkin: Command, busybox_image: str) -> None:
    script = "seq 1 20000; echo end"
    _done(firkin, "run", "-d", "--log-max", "64KiB", "--name", "loud", busybox_image, "sh", "-c", script)
    assert _done(firkin, "wait", "loud") == "0\n"
    files = list((firkin.state_dir / "pods" / "loud" / "logs").iterdir())
    assert sum(file.stat().st_size for file in files) <= 64 * 1024
    lines = _done(firkin, "logs", "loud").splitlines()
    assert (lines[-2:], len(lines) > 500) == (["20000", "end"], True)
    _remove(firkin, "loud")


def test_names_of_pods_and_containers_are_completed(firkin: Command, busybox_image: str) -> None:
    _done(firkin, "run", "-d", "--name", "completed", busybox_image, "true")
    assert _done(firkin, "wait", "completed") == "0\n"
    for words, position, expected in (
        ("firkin logs com", "2", "plain,completed\n"),
        ("firkin logs completed -c m", "4", "plain,main\n"),
        ("firkin cp comp", "2", "plain,completed:\n"),
        ("firkin insp", "1", "plain,inspect\n"),
    ):
        variables = {"_FIRKIN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": position}
        assert firkin.run(env=variables).stdout.decode() == expected
    for shell in ("bash", "zsh", "fish"):
        assert "_FIRKIN_COMPLETE" in _done(firkin, "completion", shell)
    _remove(firkin, "completed")
