from __future__ import annotations

import msgspec
import pytest

from firkin.domain.container_spec import PodContainerSpec, ProcessOptions
from firkin.domain.guest_path import GuestPath
from firkin.domain.lowering import container_runtime_spec, encoded, exec_runtime_spec
from firkin.domain.oci_runtime import ConsoleSize, RuntimeSpec
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.terminal import LARGEST_SIDE, TerminalSize
from firkin.errors import InvalidTerminalSize


def container() -> PodContainerSpec:
    return PodContainerSpec("web", RootfsSource.guest_path("/srv/rootfs")).command("sh")


def lowered(spec: PodContainerSpec) -> RuntimeSpec:
    return container_runtime_spec(spec, None, GuestPath("/srv/rootfs"), "pod")


@pytest.mark.parametrize("side", [0, 1, LARGEST_SIDE])
def test_a_side_has_sixteen_bits(side: int) -> None:
    assert TerminalSize(side, side).rows == side


@pytest.mark.parametrize(("columns", "rows"), [(-1, 24), (80, -1), (LARGEST_SIDE + 1, 24), (80, 2**31)])
def test_a_side_beyond_them_is_refused_with_both_told(columns: int, rows: int) -> None:
    with pytest.raises(InvalidTerminalSize) as raised:
        container().tty(size=(columns, rows))
    assert (raised.value.columns, raised.value.rows) == (columns, rows)


def test_a_terminal_has_80_columns_and_24_rows_unless_said_otherwise() -> None:
    assert lowered(container().tty()).process.console_size == ConsoleSize(24, 80)
    assert lowered(container().tty(size=(120, 40))).process.console_size == ConsoleSize(40, 120)


def test_without_a_terminal_no_size_is_written() -> None:
    assert b"consoleSize" not in encoded(lowered(container()))
    assert b"consoleSize" not in encoded(lowered(container().tty().tty(False)))
    assert b'"consoleSize":{"height":24,"width":80}' in encoded(lowered(container().tty()))


def test_the_terminal_of_an_exec_is_its_own() -> None:
    main = lowered(container().tty(size=(120, 40)))
    assert exec_runtime_spec(main, ProcessOptions(args=("id",))).process.console_size is msgspec.UNSET
    options = ProcessOptions(args=("id",), terminal=True, terminal_size=TerminalSize(10, 20))
    assert exec_runtime_spec(main, options).process.console_size == ConsoleSize(20, 10)
