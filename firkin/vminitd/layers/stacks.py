"""Templates as stacks: layers applied beside each other, each to a directory of its own, shared by chain id.

Images that have their lower layers in common have them in common on the store and in the page cache too. Up to
`STACKED_AT_MOST` directories are stacked: every further one makes the first look for a name that does not exist dearer
(`python -m benchmarks.layers.stacking` measures it); the lower layers of longer images are flattened to one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Self

from firkin.domain.digest import Digest, chain_ids
from firkin.domain.errors import AgentError, FirkinError
from firkin.domain.errors.base import failing_in
from firkin.domain.guest_path import GuestPath
from firkin.domain.layer_limits import LayerLimits
from firkin.domain.layout import StoreLayout
from firkin.vminitd.filesystem.beneath import DIRECTORY, opened_directory
from firkin.vminitd.filesystem.failures import translating
from firkin.vminitd.filesystem.lower_directories import opaque_attribute, opened_merged
from firkin.vminitd.filesystem.store import sync
from firkin.vminitd.filesystem.stored_templates import StoredTemplates

from .blob import ByteSource
from .meter import LayerMeter
from .stages import PROCESSORS
from .templates import TemplateBuilder, TemplateLayer, make_read_only

STACKED_AT_MOST = 16
_AT_ONCE = 2

LayerSource = Callable[[int], contextlib.AbstractContextManager[ByteSource]]
"""Opens the bytes of a layer, by its index."""


class _Part(NamedTuple):
    """What becomes a template of its own.

    Attributes:
        top: the index of its uppermost layer.
        layers: the indices of all its layers, the lowest first.
        is_alone: True for a layer that needs those below it.
        builder: writes it.
        applied: set when no more is written to it.
    """

    top: int
    layers: range
    is_alone: bool
    builder: TemplateBuilder
    applied: threading.Event

    def wait(self) -> None:
        """Until no more is written to it; by a thread of another part, which leaves its processor to this one."""
        if not self.applied.is_set():
            with PROCESSORS.lent():
                self.applied.wait()


class TemplateStack:
    """Makes what is missing of an image's templates; leaving without `commit` removes what was written.

    Attributes:
        entries: applied so far.
        replaced: what could not be made as it is in the image, by kind (see `LayerResult`), with its count.
    """

    def __init__(
        self,
        store_path: str,
        chain_id: Digest,
        layers: Sequence[TemplateLayer],
        limits: LayerLimits | None = None,
    ) -> None:
        self._store_path = store_path
        self._layout = StoreLayout(GuestPath(store_path))
        self._stored = StoredTemplates(self._layout)
        self._chain_id = chain_id
        self._layers = layers
        self._limits = limits
        self._chain = (*chain_ids([layer.diff_id for layer in layers])[:-1], chain_id)
        self._undo = contextlib.ExitStack()
        self._parts: dict[int, _Part] = {}
        self._failed = threading.Event()
        self._done: set[int] = set()
        self._counting = threading.Lock()
        self._meters: list[LayerMeter] = []
        self._commit_seconds = 0.0
        self.entries = 0
        self.replaced: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._undo.close()

    @property
    def layer_index(self) -> int:
        """The lowest layer that is not applied yet; the uppermost one when all are."""
        last = max(len(self._layers) - 1, 0)
        return min((index for index in range(last) if index not in self._done), default=last)

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        """What each of `TEMPLATE_STAGES` took so far, over all layers; empty before the first of them."""
        told: dict[str, float] = {}
        for meter in tuple(self._meters):
            for stage, seconds in meter.stage_seconds.items():
                told[stage] = told.get(stage, 0.0) + seconds
        return told | ({"commit": self._commit_seconds} if told and self._commit_seconds else {})

    def exists(self) -> bool:
        """True when the template is there and whole; it is read-only from now on.

        Raises:
            AgentError: it cannot be read, or made read-only.
        """
        directories = self._stored.directories(self._chain_id)
        if directories is None:
            return False
        make_read_only(directories)
        return True

    def build(self, opened: LayerSource, cancel: Callable[[], None]) -> None:
        """Apply the layers that are missing; the first failure, by layer, is told after all have ended.

        `cancel` makes the reading of every layer that is opened fail.

        Raises:
            BlobCorrupt, DiffIdMismatch, MediaTypeUnsupported, LayerRefused, StoreFull, AgentError: as apply_layer.
        """
        self._plan()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="layer") as threads:
            # In order, so that whatever a part waits for is at work or done.
            running = [
                threads.submit(self._applied, part, opened, cancel)
                for part in sorted(self._parts.values(), key=lambda part: part.top)
            ]
        failures = [failure for each in running if (failure := each.exception()) is not None]
        for failure in failures:
            # One there is that no other has induced: the first that set the mark.
            if not isinstance(failure, _Induced):
                raise failure

    def commit(self) -> bool:
        """Sync what was written and put it in its place, the lowest first; False when somebody else was faster.

        Raises:
            StoreFull: no space left.
            AgentError: it cannot be put there, or made read-only.
        """
        began = time.perf_counter()
        try:
            with failing_in("commit"):
                return self._committed()
        finally:
            self._commit_seconds = time.perf_counter() - began

    def _committed(self) -> bool:
        parts = sorted(self._parts.values(), key=lambda part: part.top)
        for part in parts:
            part.builder.seal(self._chain[part.top - 1] if part.is_alone else None)
        sync(self._layout.templates)
        created = [part.builder.place() for part in parts]
        with translating("commit template", self._layout.templates), opened_directory(self._layout.templates) as it:
            os.fsync(it)
        if not self.exists():
            path = self._layout.template(self._chain_id)
            raise AgentError("commit template", "it was removed meanwhile", path=path, errno=errno.ENOENT)
        return bool(created) and created[-1]

    def _plan(self) -> None:
        index = len(self._layers) - 1
        lowest_alone = max(1, len(self._layers) - STACKED_AT_MOST + 1)
        if index < lowest_alone or not self._can_stack():
            self._add(index, range(len(self._layers)), is_alone=False)
            return
        while not self._stored.is_flat(self._chain[index]):
            if self._stored.is_alone(self._chain[index]):
                if self._stored.below(self._chain[index]) is None:
                    return
            elif index < lowest_alone:
                self._add(index, range(index + 1), is_alone=False)
                return
            else:
                self._add(index, range(index, index + 1), is_alone=True)
            index -= 1

    def _add(self, index: int, layers: range, *, is_alone: bool) -> None:
        builder = TemplateBuilder(self._store_path, self._chain[index], is_alone=is_alone)
        self._parts[index] = _Part(index, layers, is_alone, self._undo.enter_context(builder), threading.Event())

    def _can_stack(self) -> bool:
        """Whether this filesystem holds, and lets this process make, what overlayfs reads as whiteouts."""
        with TemplateBuilder(self._store_path, self._chain_id, is_alone=True) as probe:
            directory = probe.directory
            try:
                os.setxattr(directory, opaque_attribute(), b"y")
                os.mknod(f"{directory}/whiteout", stat.S_IFCHR, 0)
            except OSError as error:
                if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL):
                    return False
                raise
        return True

    def _applied(self, part: _Part, opened: LayerSource, cancel: Callable[[], None]) -> None:
        try:
            with contextlib.ExitStack() as undo:
                for index in part.layers:
                    self._apply(part, index, opened, undo)
        except BaseException as failure:
            if self._failed.is_set() and isinstance(failure, FirkinError):
                raise _Induced from failure
            self._failed.set()
            cancel()
            raise
        finally:
            part.applied.set()

    def _apply(self, part: _Part, index: int, opened: LayerSource, undo: contextlib.ExitStack) -> None:
        def lower() -> int:
            descriptor = self._merged_below(index)
            undo.callback(os.close, descriptor)
            return descriptor

        if self._failed.is_set():
            raise AgentError("apply layer", "another layer failed", errno=errno.ECANCELED)
        meter = LayerMeter()
        self._meters.append(meter)
        with opened(index) as source:
            applied = part.builder.apply(
                self._layers[index],
                source,
                limits=self._limits,
                lower=lower if part.is_alone else None,
                large_window=lambda: self._wait_for_lower(part.top),
                meter=meter,
            )
        with self._counting:
            self.entries += applied.entries
            self.replaced.update(applied.replaced)
            self._done.add(index)

    def _wait_for_lower(self, index: int) -> None:
        """Only one layer at a time has a large window: those below go first, as they wait for none above."""
        for part in self._parts.values():
            if part.top < index:
                part.wait()
        self._raise_if_failed()

    def _raise_if_failed(self) -> None:
        if self._failed.is_set():
            raise AgentError("apply layer", "a layer below it failed", errno=errno.ECANCELED)

    def _merged_below(self, index: int) -> int:
        """What lies below a layer, merged; waits until it was applied."""
        lowers = self._directories_below(index)
        self._raise_if_failed()
        if len(lowers) == 1:
            with translating("open lower layer", lowers[0]):
                return os.open(lowers[0], DIRECTORY)
        mount_point = f"{self._parts[index].builder.directory}.below"
        os.mkdir(mount_point, 0o700)
        try:
            return opened_merged(lowers, mount_point)
        finally:
            os.rmdir(mount_point)

    def _directories_below(self, index: int) -> list[str]:
        """The uppermost first, down to one that has everything below it or hides it."""
        found: list[str] = []
        is_lowest = index == 0
        while not is_lowest:
            index -= 1
            part = self._parts.get(index)
            if part is not None:
                part.wait()
                found.append(part.builder.directory)
                is_lowest = not part.is_alone or opaque_attribute() in os.listxattr(part.builder.directory)
            elif self._stored.is_flat(self._chain[index]):
                found.append(self._layout.template_rootfs(self._chain[index]))
                is_lowest = True
            else:
                found.append(self._layout.template_layer(self._chain[index]))
                is_lowest = self._stored.below(self._chain[index]) is None
        return found


class _Induced(Exception):
    """A layer that ended because another one failed."""
