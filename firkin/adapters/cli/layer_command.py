"""`firkin layer apply`: layer files to a directory."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from .layer_limits import LAYER_LIMITS, LayerLimitType
from .pod_end import tell
from .services import CliServices, LayerFile, LayerReport

_KEYS = ("media-type", "digest", "diff-id")
REFUSED = 1

_APPLY_HELP = """Apply layer files in order, the lowest first, to the empty directory ROOTFS, which is made when absent.

A LAYER is a file, plain or compressed with gzip or zstd (its content tells), or
FILE,media-type=T,digest=sha256:..,diff-id=sha256:.. : each key is optional, and checked when given. `digest` is of
the file, `diff-id` of the tar inside it.

\b
  firkin layer apply rootfs base.tar.gz app.tar.zst
  firkin layer apply -v rootfs base.tar.gz,digest=sha256:0f5e...,diff-id=sha256:88ab...
  firkin layer apply --limit tar-bytes=2GiB --limit entries=100000 rootfs untrusted.tar.gz

What a layer may amount to is limited, generously: {limits}.

\b
Exit codes: 0 applied; 1 a layer was refused, and ROOTFS is empty again; 125 firkin itself failed."""


class _LayerType(click.ParamType[LayerFile]):
    name = "LAYER"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> LayerFile:
        if isinstance(value, LayerFile):
            return value
        text = str(value)
        name, *pairs = text.split(",")
        if Path(text).is_file():
            name, pairs = text, []
        known: dict[str, str] = {}
        for pair in pairs:
            key, equals, setting = pair.partition("=")
            if key not in _KEYS or not equals or not setting or key in known:
                self.fail(f"{pair!r} in {text!r} is none of {', '.join(f'{key}=...' for key in _KEYS)}", param, ctx)
            known[key] = setting
        digests = [self._digest(known.get(key), param, ctx) for key in ("digest", "diff-id")]
        return LayerFile(Path(name), known.get("media-type"), *digests)

    def _digest(self, value: str | None, param: click.Parameter | None, ctx: click.Context | None) -> str | None:
        from firkin.domain.digest import Digest
        from firkin.domain.errors import InvalidDigest

        try:
            return None if value is None else Digest(value)
        except InvalidDigest as error:
            self.fail(str(error), param, ctx)


@click.group("layer", help="Apply image layers to a directory.")
def command() -> None: ...


@command.command("apply", help=_APPLY_HELP.replace("{limits}", ", ".join(LAYER_LIMITS)))
@click.option("-v", "--verbose", is_flag=True, help="Tell what each layer held, and where the time went.")
@click.option(
    "--limit", "limits", multiple=True, type=LayerLimitType(), help="Another limit than firkin's for each layer."
)
@click.argument("rootfs", type=click.Path(file_okay=False, path_type=Path))
@click.argument("layers", metavar="LAYER...", nargs=-1, required=True, type=_LayerType())
@click.pass_obj
def apply(
    services: CliServices,
    verbose: bool,
    limits: tuple[tuple[str, int], ...],
    rootfs: Path,
    layers: tuple[LayerFile, ...],
) -> int:
    from firkin.domain.errors import FirkinError

    # So that SIGTERM, like Ctrl-C, leaves the directory empty.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for layer in layers:
        with layer.path.open("rb"):
            pass
    with _empty_directory(rootfs) as keep:
        for index, layer in enumerate(layers):
            begun = time.perf_counter()
            try:
                with _progress(layer, index, len(layers)) as advance:
                    report = services.apply_layer(rootfs, layer, dict(limits), advance)
            except FirkinError as error:
                tell(f"error: {error}")
                return REFUSED
            if verbose:
                seconds = time.perf_counter() - begun
                tell(_told(layer, report, seconds))
        keep()
    return 0


def _told(layer: LayerFile, report: LayerReport, seconds: float) -> str:
    speed = report.archive_bytes / 2**20 / seconds if seconds else 0.0
    stages = ", ".join(f"{stage} {spent:.2f} s" for stage, spent in report.stage_seconds.items() if stage != "total")
    return (
        f"{layer.path}: {report.entries} entries, {report.archive_bytes} bytes, diff id {report.diff_id}, "
        f"{seconds:.2f} s ({stages}), {speed:.0f} MiB/s"
    )


@contextmanager
def _empty_directory(path: Path) -> Iterator[Callable[[], None]]:
    """Make sure that the directory exists and is empty, and empty it again unless `keep` was called."""
    if existed := path.is_dir():
        if any(path.iterdir()):
            raise click.ClickException(f"{path} is not empty; layers are applied to an empty directory")
    else:
        path.mkdir()
    kept: list[bool] = []
    before = path.stat()
    try:
        yield lambda: kept.append(True)
    finally:
        if not kept:
            _remove_all(path.iterdir())
            if existed:
                os.chmod(path, before.st_mode & 0o7777)
            else:
                path.rmdir()


def _remove_all(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def _progress(layer: LayerFile, index: int, count: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"layer {index + 1} of {count}", total=layer.path.stat().st_size)
        yield lambda done_bytes: bar.update(task, completed=done_bytes)
