"""Shows how images become templates: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from firkin.domain.size import Size
from firkin.ports.agent_templates import TemplateProgress

from .pod_end import tell
from .replaced_files import replaced_words


class TemplateProgressDisplay:
    """Call it with every progress report; on standard error, so that standard output stays the container's.

    Elsewhere than on a terminal it says one line for each layer of an image, and only when `plain_lines` is set.
    """

    def __init__(self, *, plain_lines: bool) -> None:
        self._console = Console(stderr=True)
        self._plain_lines = plain_lines
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._told: dict[str, int] = {}
        self._replaced: dict[str, Mapping[str, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away; the container's output follows. Twice is fine."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        for reference, replaced in self._replaced.items():
            if words := replaced_words(replaced):
                tell(f"note: of {reference}, {words}: what only root can make is not as it is in the image")
        self._replaced.clear()

    def __call__(self, progress: TemplateProgress) -> None:
        if progress.replaced:
            self._replaced[progress.reference] = progress.replaced
        if self._console.is_terminal:
            self._show_bar(progress)
            if progress.done_bytes >= progress.total_bytes:
                # The containers start next, and write to the same terminal.
                self.close()
        elif self._plain_lines and progress.layer_index > self._told.get(progress.reference, -1):
            self._told[progress.reference] = progress.layer_index
            layer = f"layer {progress.layer_index + 1} of {progress.layer_count}"
            click.echo(f"firkin: unpacking image, {layer} ({Size(progress.total_bytes)} in all)", err=True)

    def _show_bar(self, progress: TemplateProgress) -> None:
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(binary_units=True),
                TransferSpeedColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("unpacking image", total=progress.total_bytes)
            self._bar.start()
        assert self._task is not None
        description = f"unpacking image, layer {progress.layer_index + 1} of {progress.layer_count}"
        self._bar.update(self._task, description=description, completed=progress.done_bytes, total=progress.total_bytes)
