"""What only real processes and real layers show of an agent."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import os
from pathlib import Path

import pytest

from firkin.domain.digest import Digest
from firkin.domain.errors import (
    BlobCorrupt,
    BlobMissing,
    CommandNotExecutable,
    DiffIdMismatch,
    FirkinError,
    LayerRefused,
    MediaTypeUnsupported,
    UserUnknown,
)
from firkin.domain.process import ExitStatus
from firkin.domain.stages import CALL_STAGES

from ..agent_place import AgentPlace
from ..launches import ALL_PIPED, OUTPUT_PIPED
from ..opened_agent import OpenAgent, everything, init_of, same_bytes
from .agent_copies import into, out_of

GZIP_TAR = "application/vnd.oci.image.layer.v1.tar+gzip"
PLAIN_TAR = "application/vnd.oci.image.layer.v1.tar"
ZEROS = Digest("sha256:" + "0" * 64)
_LONG_SECONDS = 120.0
"""Whatever takes longer hangs."""


async def test_exit_codes_are_told_exactly(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        for code in (0, 3, 127):
            await it.started("c", "/bin/sh", "-c", f"exit {code}")
            assert await it.agent.wait_process(init_of("c")) == ExitStatus(code)
            await it.removed("c")


async def test_a_user_that_the_rootfs_does_not_know_is_named(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        with pytest.raises(UserUnknown) as raised:
            await it.started("c", "/bin/true", user="nobody-host_directory")
        assert raised.value.user.startswith("nobody-host_directory")
        assert raised.value.failed_stage in CALL_STAGES


async def test_a_file_that_is_no_program_cannot_be_executed(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        with pytest.raises(CommandNotExecutable) as raised:
            await it.started("c", "/bin/garbage")
        assert raised.value.command == "/bin/garbage"
        assert raised.value.failed_stage in CALL_STAGES
        with pytest.raises(CommandNotExecutable):
            await it.started("d", "/etc/passwd")


async def test_a_flood_of_output_is_read_to_its_end(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        # From a file: to make up so many lines takes a slow processor longer than to carry them.
        script = "yes | head -c 2000000 > /lines; for n in $(seq 10); do cat /lines; done; echo end >&2"
        started = await it.started("c", "/bin/sh", "-c", script, stdio=ALL_PIPED)
        stdout, stderr = await asyncio.gather(everything(started.streams.stdout), everything(started.streams.stderr))
        assert (len(stdout), stderr) == (20_000_000, b"end\n")
        assert same_bytes(stdout, b"y\n" * 10_000_000)
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)


async def test_closing_a_stream_ends_who_writes_to_it(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        started = await it.started("c", "/bin/sh", "-c", "while echo x; do :; done; exit 9", stdio=OUTPUT_PIPED)
        assert started.streams.stdout is not None
        await started.streams.stdout.read(1)
        await started.streams.stdout.aclose()
        async with asyncio.timeout(60):
            assert not (await it.agent.wait_process(init_of("c"))).success


async def test_writing_to_a_process_that_ended_is_a_broken_pipe(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        started = await it.started("c", "/bin/true", stdio=ALL_PIPED)
        await it.agent.wait_process(init_of("c"))
        assert started.streams.stdin is not None
        with pytest.raises(BrokenPipeError):
            await started.streams.stdin.write(bytes(16 * 2**20))


@pytest.mark.empty_store
async def test_the_bytes_of_a_layer_must_have_its_digest(agent_place: AgentPlace, tmp_path: Path) -> None:
    async with agent_place.opened() as it:
        (layer,) = it.bundle.layers
        damaged = bytearray(layer.path.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        (tmp_path / "blob").write_bytes(damaged)
        with pytest.raises(BlobCorrupt) as raised:
            await it.agent.ensure_template(it.with_layer(path=tmp_path / "blob"), it.layout)
        assert raised.value.expected == layer.digest
        _failed_in(raised.value, "hash", "inflate", "write")
        await _is_undone_and_can_be_made(it)


@pytest.mark.empty_store
async def test_a_layer_that_was_cut_off_is_corrupt(agent_place: AgentPlace, tmp_path: Path) -> None:
    async with agent_place.opened() as it:
        (layer,) = it.bundle.layers
        (tmp_path / "blob").write_bytes(layer.path.read_bytes()[:-1000])
        with pytest.raises(BlobCorrupt):
            await it.agent.ensure_template(it.with_layer(path=tmp_path / "blob"), it.layout)
        await _is_undone_and_can_be_made(it)


@pytest.mark.empty_store
async def test_the_tar_of_a_layer_must_have_its_diff_id(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        (layer,) = it.bundle.layers
        with pytest.raises(DiffIdMismatch) as raised:
            await it.agent.ensure_template(it.with_layer(diff_id=ZEROS), it.layout)
        assert (raised.value.expected, raised.value.actual) == (ZEROS, layer.diff_id)
        _failed_in(raised.value, "hash")
        await _is_undone_and_can_be_made(it)


@pytest.mark.empty_store
async def test_a_layer_that_is_not_there_is_missing(agent_place: AgentPlace, tmp_path: Path) -> None:
    async with agent_place.opened() as it:
        with pytest.raises(BlobMissing) as raised:
            await it.agent.ensure_template(it.with_layer(path=tmp_path / "nowhere"), it.layout)
        assert raised.value.digest == it.bundle.layers[0].digest
        _failed_in(raised.value, "pull")
        await _is_undone_and_can_be_made(it)


@pytest.mark.empty_store
async def test_a_layer_must_be_of_the_kind_that_its_media_type_says(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        with pytest.raises(MediaTypeUnsupported):
            await it.agent.ensure_template(it.with_layer(media_type="text/plain"), it.layout)
        with pytest.raises(MediaTypeUnsupported):
            await it.agent.ensure_template(it.with_layer(media_type=PLAIN_TAR), it.layout)
        await _is_undone_and_can_be_made(it)


@pytest.mark.empty_store
async def test_a_layer_that_is_no_archive_is_refused(agent_place: AgentPlace, tmp_path: Path) -> None:
    async with agent_place.opened() as it:
        garbage = os.urandom(100_000)
        blob = gzip.compress(garbage)
        (tmp_path / "blob").write_bytes(blob)
        bundle = it.with_layer(
            path=tmp_path / "blob",
            digest=Digest.of(blob),
            diff_id=Digest.of(garbage),
            size_bytes=len(blob),
            media_type=GZIP_TAR,
        )
        with pytest.raises(LayerRefused) as raised:
            await it.agent.ensure_template(bundle, it.layout)
        _failed_in(raised.value, "write")
        await _is_undone_and_can_be_made(it)


@pytest.mark.empty_store
async def test_a_cancelled_materialisation_leaves_nothing(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        for pause in (0.0, 0.005, 0.02):
            making = asyncio.ensure_future(it.agent.ensure_template(it.bundle, it.layout))
            await asyncio.sleep(pause)
            making.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await making
                break  # it was quicker
        assert list(it.sandbox.socket_directory.glob("host-*.sock")) == []
        await it.agent.ensure_template(it.bundle, it.layout)
        await it.started("c", "/bin/true")
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)


async def test_a_copy_that_is_cancelled_leaves_whole_files_only(agent_place: AgentPlace, host_directory: Path) -> None:
    (host_directory / "tree").mkdir()
    (host_directory / "tree" / "small").write_text("small")
    with (host_directory / "tree" / "zeros").open("wb") as file:
        # More than anything copies in the moment that it is given.
        file.truncate(2**34)
    async with agent_place.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await it.agent.copy_in(into(it, host_directory / "tree", "/tmp"))
        await _until_undone(it)
        await it.agent.copy_out(out_of(it, "/tmp", host_directory / "first"))
        copied = [path.name for path in (host_directory / "first").rglob("*")]
        assert "zeros" not in copied
        assert not [name for name in copied if name.startswith(".firkin")]
        (host_directory / "tree" / "zeros").unlink()
        await it.agent.copy_in(into(it, host_directory / "tree", "/tmp"))
        await it.agent.copy_out(out_of(it, "/tmp/tree/small", host_directory))
    assert (host_directory / "small").read_text() == "small"


async def _until_undone(it: OpenAgent) -> None:
    """Whoever cancels a copy does not wait for the agent, which takes away what was not finished."""
    async with asyncio.timeout(_LONG_SECONDS):
        for number in itertools.count():
            launch = it.exec("c", f"look-{number}", "/bin/ls", "-AR", "/tmp", stdio=OUTPUT_PIPED)
            started = await it.agent.start_process(launch)
            if b".firkin" not in await everything(started.streams.stdout):
                return


async def _is_undone_and_can_be_made(it: OpenAgent) -> None:
    assert list(it.sandbox.socket_directory.glob("host-*.sock")) == []
    assert (await it.agent.ensure_template(it.bundle, it.layout)).created


def _failed_in(error: FirkinError, *stages: str) -> None:
    """The error tells which stage failed, one of these, and what the stages took until then."""
    assert error.failed_stage in stages
    assert error.stage_seconds["pull"] > 0
    assert all(seconds >= 0 for seconds in error.stage_seconds.values())
