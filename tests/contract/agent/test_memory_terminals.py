"""Terminals in memory, whose programs are told of them."""

from __future__ import annotations

from pathlib import Path

from firkin.domain.terminal import TerminalSize

from .roads import MEMORY, OUTPUT_PIPED, Road, init_of


async def test_programs_in_memory_learn_of_each_new_size(tmp_path: Path) -> None:
    async with Road(MEMORY, tmp_path).opened() as it:
        started = await it.started("c", "sizes", stdio=OUTPUT_PIPED, terminal=TerminalSize(100, 30))
        stdout = started.streams.stdout
        assert stdout is not None
        assert await stdout.read() == b"30 100\r\n"
        for columns, rows in ((120, 40), (30, 10)):
            await it.agent.resize_process(init_of("c"), columns, rows)
            assert await stdout.read() == f"{rows} {columns}\r\n".encode()
