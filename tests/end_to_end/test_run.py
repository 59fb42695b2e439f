from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from firkin.host_side.tun_device import tun_obstacle

from .command import Command, finished, told_to_run

ALL_BYTES = bytes(range(256)) * 1000


def test_output_and_exit_code_are_those_of_the_command(firkin: Command, busybox_image: str) -> None:
    done = firkin.run("run", busybox_image, "--", "sh", "-c", "echo out; echo err >&2; exit 42")
    assert done == (42, b"out\n", "err\n")


def test_rm_is_taken_from_whoever_is_used_to_it(firkin: Command, busybox_image: str) -> None:
    assert firkin.run("run", "--rm", busybox_image, "echo", "out") == (0, b"out\n", "")


def test_standard_input_passes_as_bytes(firkin: Command, busybox_image: str) -> None:
    done = firkin.run("run", busybox_image, "cat", stdin=ALL_BYTES)
    assert done == (0, ALL_BYTES, "")


def test_a_command_ends_while_its_input_is_open(firkin: Command, busybox_image: str) -> None:
    with firkin.started("run", busybox_image, "head", "-n1", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"line\n")
        process.stdin.flush()
        assert process.wait(timeout=60) == 0


def test_a_megabyte_on_both_outputs_arrives_whole(firkin: Command, busybox_image: str) -> None:
    script = "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero | tr '\\0' e >&2"
    done = firkin.run("run", busybox_image, "sh", "-c", script)
    assert done.code == 0
    assert done.stdout == bytes(1_000_000)
    assert done.stderr == "e" * 1_000_000


@pytest.mark.needs_ids
def test_without_a_command_the_image_says_what_runs(firkin: Command, busybox_variant_image: str) -> None:
    assert firkin.run("run", busybox_variant_image).code == 0


@pytest.mark.needs_ids
def test_options_may_stand_before_and_after_the_image(firkin: Command, busybox_image: str) -> None:
    script = "echo $A $B; pwd; id -u"
    done = firkin.run(
        "run", "-e", "A=1", busybox_image, "-eB=x=y", "-w", "/tmp", "-u", "65534", "--", "sh", "-c", script
    )
    assert done.stdout == b"1 x=y\n/tmp\n65534\n"


def test_options_after_the_first_word_of_the_command_are_the_commands(firkin: Command, busybox_image: str) -> None:
    assert firkin.run("run", busybox_image, "echo", "-e", "A=1", "--", "-v").stdout == b"A=1 -- -v\n"


def test_the_pod_has_the_name_and_host_name_that_were_asked_for(firkin: Command, busybox_image: str) -> None:
    assert firkin.run("run", "--name", "my.pod-1", busybox_image, "hostname").stdout == b"my.pod-1\n"
    assert firkin.run("run", "--hostname", "elsewhere", busybox_image, "hostname").stdout == b"elsewhere\n"


@pytest.mark.needs_root
def test_the_command_writes_no_more_than_its_storage_limit(firkin: Command, busybox_image: str) -> None:
    done = firkin.run("run", "--storage-limit", "2MiB", busybox_image, "dd", "if=/dev/zero", "of=/file")
    assert done.code == 1
    assert "No space left on device" in done.stderr
    refused = firkin.run("run", "--storage-limit", "1KiB", busybox_image, "true")
    assert refused.code != 0
    assert "a writable layer is limited to 1 MiB at least" in refused.stderr


def test_a_signal_that_ends_the_command_is_128_and_its_number(firkin: Command, busybox_image: str) -> None:
    # A container's first process gets from its own namespace only the signals that it handles.
    done = firkin.run("run", busybox_image, "--", "sh", "-c", "trap 'exit 143' TERM; kill -TERM $$; exit 1")
    assert done.code == 143


@pytest.mark.parametrize(
    ("command", "code"), [("/no/such/command", 127), ("no-such-command", 127), ("/etc", 126), ("/etc/passwd", 126)]
)
def test_a_command_that_cannot_be_started_has_its_exit_code(
    firkin: Command, busybox_image: str, command: str, code: int
) -> None:
    done = firkin.run("run", busybox_image, "--", command)
    assert done.code == code
    assert command in done.error()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_command(firkin: Command, busybox_image: str, number: int) -> None:
    script = "trap 'echo stopping; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    with firkin.started("run", "-v", busybox_image, "--", "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        told_to_run(process)
        process.send_signal(number)
        assert finished(process)[:2] == (7, b"stopping\n")


def test_what_ignores_the_stop_is_killed_after_the_grace(firkin: Command, busybox_image: str) -> None:
    with firkin.started("run", "-v", "--grace", "0.2", busybox_image, "sleep", "1000") as process:
        told_to_run(process)
        process.send_signal(signal.SIGINT)
        assert finished(process).code == 128 + signal.SIGKILL


def test_the_second_signal_kills_at_once(firkin: Command, busybox_image: str) -> None:
    script = "trap 'echo stopping' TERM; echo ready; while :; do sleep 0.05; done"
    with firkin.started("run", "-v", "--grace", "1000", busybox_image, "sh", "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        told_to_run(process)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"stopping\n"
        process.send_signal(signal.SIGINT)
        assert finished(process).code == 128 + signal.SIGKILL


def test_closed_standard_streams_do_no_harm(firkin: Command, busybox_image: str) -> None:
    script = f'exec "$0" -m firkin run {busybox_image} -- sh -c "cat; exit 5" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", script, sys.executable], env=firkin.environment(), timeout=60, check=False)
    assert done.returncode == 5


@pytest.mark.parametrize(("script", "code"), [("echo out", 125), ("echo out; exit 3", 3)])
def test_output_that_a_full_disk_does_not_take_is_an_error_unless_the_command_failed_itself(
    firkin: Command, busybox_image: str, script: str, code: int
) -> None:
    command = [sys.executable, "-m", "firkin", "run", busybox_image, "--", "sh", "-c", script]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, env=firkin.environment(), stdout=full, stderr=subprocess.PIPE, text=True)
    told = "firkin: error: output is lost: descriptor 1 cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (code, told)


def test_a_reader_that_goes_away_ends_the_command_quietly(firkin: Command, busybox_image: str) -> None:
    with firkin.started("run", busybox_image, "--", "sh", "-c", "while echo line; do :; done") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        process.stdout = None
        assert "Traceback" not in finished(process).stderr


def test_the_second_run_starts_from_the_template(firkin: Command, debian_image: str) -> None:
    script = "test -e /root/mark && exit 1; touch /root/mark; . /etc/os-release; echo $ID"
    templates = firkin.state_dir / "store" / "templates"
    first = firkin.run("run", debian_image, "--", "sh", "-c", script)
    assert first[:2] == (0, b"debian\n")
    # Root can make whatever is in an image; an ordinary user is told once of what he cannot.
    assert first.stderr == "" if os.geteuid() == 0 else "device files are empty files" in first.stderr
    made = {path: path.stat().st_ino for path in templates.iterdir()}
    assert firkin.run("run", debian_image, "--", "sh", "-c", script) == (0, b"debian\n", "")
    assert {path: path.stat().st_ino for path in templates.iterdir()} == made


@pytest.mark.needs_root
def test_an_ext4_store_is_the_pods_own_and_has_its_size(firkin: Command, busybox_image: str) -> None:
    script = "dd if=/dev/zero of=/large bs=1M count=200"
    done = firkin.run("run", "--store", "ext4:64MiB", busybox_image, "--", "sh", "-c", script)
    assert done.code == 1
    assert "No space left on device" in done.stderr


@pytest.mark.needs_root
def test_verbose_tells_on_standard_error_what_happens(firkin: Command, busybox_image: str) -> None:
    done = firkin.run("run", "-v", "--store", "ext4:64MiB", busybox_image, "echo", "out")
    assert done[:2] == (0, b"out\n")
    assert "container runs as process" in done.stderr
    assert "exit code 0; the pod was removed in" in done.stderr


def test_a_port_of_the_host_leads_to_the_command_and_is_told(firkin: Command, busybox_image: str) -> None:
    with firkin.started(
        "run", "--grace", "0", "-p", "8080", busybox_image, "httpd", "-f", "-p", "8080", "-h", "/etc"
    ) as process:
        assert process.stderr is not None
        told = process.stderr.readline().decode()
        found = re.fullmatch(r"firkin: port 8080 of the pod is 127\.0\.0\.1:(\d+) here\n", told)
        assert found is not None, told
        assert b"root:" in answer_of(int(found[1]), "/passwd")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 137


def answer_of(port: int, path: str) -> bytes:
    """What a server answers to GET, once somebody listens: until then connections are closed at once."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as peer, contextlib.suppress(ConnectionError):
            peer.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            if answer := b"".join(iter(lambda: peer.recv(65536), b"")):
                return answer
    raise AssertionError(f"nobody answered on port {port}")


@pytest.mark.parametrize("ports", ["53:53/udp", "0", "localhost:80:80", "8000-8010:80"])
def test_ports_that_cannot_be_forwarded_are_refused_at_once(firkin: Command, busybox_image: str, ports: str) -> None:
    done = firkin.run("run", "-p", ports, busybox_image, "true")
    assert done.code == 125
    assert f"port forward '{ports}' is invalid" in done.stderr


def test_a_port_in_use_is_an_error_that_names_it(firkin: Command, busybox_image: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = firkin.run("run", "-p", f"{port}:80", busybox_image, "true")
    assert done.code == 125
    assert f"cannot listen on port {port} of 127.0.0.1: Address already in use" in done.error()


def test_a_network_is_there_only_when_it_is_asked_for(firkin: Command, busybox_image: str) -> None:
    script = "ip route | grep -c default; cat /etc/resolv.conf"
    asked = firkin.run("run", "--network", "user", busybox_image, "--", "sh", "-c", script)
    if (obstacle := tun_obstacle()) is None:
        assert asked == (0, b"1\nnameserver 10.0.2.3\n", "")
    else:
        # Distributions open the device to everybody, some machines to root alone.
        assert os.geteuid() != 0
        assert asked.code == 125
        assert f"({obstacle.detail}): sudo " in asked.error()
    assert firkin.run("run", busybox_image, "--", "sh", "-c", script).stdout.startswith(b"0\n")
