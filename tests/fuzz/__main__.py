"""Applies random layers for some time, and ends with 1 when one of them did what none may do.

    unshare --mount python -m tests.fuzz --seconds 60 --case FILE

It works on a tmpfs over /mnt, hence in a mount namespace of its own. A crash or a hang ends the process by a
signal; FILE then has the case it was at, and `--replay FILE` applies it once more.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import faulthandler
import io
import os
import pickle
import random
import resource
import shutil
import signal
import sys
import threading
import time
import traceback
import zlib
from pathlib import Path

import hypothesis
from hypothesis import strategies as st

from firkin.domain.errors import FirkinError
from firkin.domain.layer_limits import LayerLimits
from firkin.vminitd.filesystem.mounts import mount
from firkin.vminitd.layers.applier import Whiteouts, apply_layer
from tests.integration.layers.archives import Trickle
from tests.integration.layers.golden.trees import ANY_TIME, Tree, read_tree

from .canaries import lay_out, state
from .stacks import comparable, stacked_tree
from .tar_grammar import OUTSIDE, Case, cases, reshuffled

_BATCH = 100
_RESHUFFLES = 10
_CASE_SECONDS = 60  # of milliseconds: only what hangs takes so long
_LIMITS = LayerLimits(tar_bytes=64 * 2**20)


class Escaped(AssertionError):
    """A layer did what none may do."""


class Fuzzer:
    """Applies cases to rootfs after rootfs beside the same canaries."""

    def __init__(self, directory: Path, case_file: Path) -> None:
        self._directory = directory
        self._case_file = case_file.resolve()
        self._rootfs = directory / "rootfs"
        self._outside = directory / "outside"
        lay_out(self._outside)
        self._before = state(self._outside)
        self._descriptors = 0
        self._memory: list[int] = []
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.count = 0
        self.stacks = 0
        # What is named relative to the process would be found at once.
        os.chdir(self._outside)

    def run(self, case: Case) -> None:
        """Apply the layers, and look at everything around them.

        Raises:
            Escaped: something is not as it was.
        """
        pickled = pickle.dumps(case)
        self._case_file.write_bytes(pickled)
        # Told by the case alone, so that one that failed fails again.
        chance = zlib.crc32(pickled) % 4
        self._rootfs.mkdir()
        self._rootfs.chmod(0o755)
        if not self._descriptors:
            self._descriptors = len(os.listdir("/proc/self/fd"))
        signal.setitimer(signal.ITIMER_REAL, _CASE_SECONDS)
        try:
            outcome = self._apply(self._rootfs, case, None)
            self._check()
            if chance == 0:
                self._check_that_steps_do_not_matter(case, outcome)
            elif len(case.layers) > 1 and not case.rootless and case.whiteouts is Whiteouts.APPLIED:
                self._check_that_a_stack_is_the_same(case, outcome)
        finally:
            # hypothesis runs a case that failed once more: what it finds then must not hide the first failure.
            signal.setitimer(signal.ITIMER_REAL, 0)
            shutil.rmtree(self._rootfs)
        self.outcomes[outcome] += 1
        self.count += 1

    def _apply(self, rootfs: Path, case: Case, step: int | None) -> str:
        for blob in case.layers:
            stream = Trickle(blob.packed(), step or blob.step)
            try:
                apply_layer(
                    str(rootfs),
                    stream,
                    layer_name="layer",
                    limits=_LIMITS,
                    whiteouts=case.whiteouts,
                    rootless=case.rootless,
                )
            except FirkinError as error:
                return type(error).__name__
        return "applied"

    def _check(self) -> None:
        if state(self._outside) != self._before:
            changed = {path for path, each in state(self._outside).items() if self._before.get(path) != each}
            raise Escaped(
                f"the canaries changed: {sorted(changed | (self._before.keys() - state(self._outside).keys()))}"
            )
        beside = set(os.listdir(self._directory))
        if beside != {"outside", "rootfs"}:
            raise Escaped(f"something is beside the rootfs: {beside}")
        if threading.active_count() != 1:
            raise Escaped(f"threads were left: {threading.enumerate()}")
        descriptors = len(os.listdir("/proc/self/fd"))
        if descriptors != self._descriptors:
            raise Escaped(f"{descriptors - self._descriptors} descriptors were left open")
        canaries = {each[1] for each in self._before.values()}
        for directory, _, files in os.walk(self._rootfs):
            for name in files:
                if os.lstat(os.path.join(directory, name)).st_ino in canaries:
                    raise Escaped(f"{directory}/{name} is a canary")

    def _check_that_steps_do_not_matter(self, case: Case, outcome: str) -> None:
        if any(len(blob.packed()) > 20_000 for blob in case.layers) or self._is_large():
            return
        first = _timeless(read_tree(self._rootfs))
        shutil.rmtree(self._rootfs)
        self._rootfs.mkdir()
        self._rootfs.chmod(0o755)
        again = self._apply(self._rootfs, case, 61)
        self._check()
        if again != outcome or (outcome == "applied" and _timeless(read_tree(self._rootfs)) != first):
            raise Escaped(f"read in other steps, the layers are {again} instead of {outcome}, or another tree")

    def _check_that_a_stack_is_the_same(self, case: Case, outcome: str) -> None:
        if self._is_large():
            return
        flat = comparable(read_tree(self._rootfs, is_whole=False)) if outcome == "applied" else {}
        if any((node.kind, node.content) == ("character", b"0:0") for node in flat.values()):
            return  # to an overlay it is a whiteout, which is listed where nothing is merged
        again, tree = stacked_tree(self._rootfs / "stack", case, _LIMITS)
        self.stacks += 1
        if again != outcome:
            raise Escaped(f"as a stack, the layers are {again} instead of {outcome}")
        now, then = _timeless(tree), _timeless(flat)
        different = {path: (then.get(path), now.get(path)) for path in now.keys() | then.keys()}
        different = {path: (one, other) for path, (one, other) in different.items() if one != other}
        if different:
            raise Escaped(f"as a stack, the layers show another tree: {different}")

    def _is_large(self) -> bool:
        """True when reading the files would take long: sparse ones may claim anything."""
        return any(
            os.lstat(os.path.join(directory, name)).st_size > 10**6
            for directory, _, files in os.walk(self._rootfs)
            for name in files
        )

    def check_memory(self) -> None:
        """Fail when the process grows from batch to batch.

        Raises:
            Escaped: it does.
        """
        self._memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())
        settled = self._memory[3:]
        if len(settled) > 20 and min(settled[-10:]) > max(settled[:10]) + 64 * 2**20:
            raise Escaped(f"the process grew from {max(settled[:10])} to {min(settled[-10:])} bytes")


def _timeless(tree: Tree) -> dict[bytes, object]:
    """The tree without the times that directories got by chance."""
    now = (time.time() - 3600) * 10**9
    return {
        path: (node.kind, node.mode, node.uid, node.gid, node.size, node.content, dict(node.xattrs), node.names)
        + ((ANY_TIME,) if node.mtime_ns > now else (node.mtime_ns,))
        for path, node in tree.items()
    }


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--case", type=Path, required=True, help="the file that has the case at work")
    parser.add_argument("--memory-mib", type=int, default=2048, help="of address space; 0 sets no limit")
    parser.add_argument("--replay", type=Path, help="a case to apply instead")
    options = parser.parse_args()
    faulthandler.enable()
    if options.memory_mib:
        resource.setrlimit(resource.RLIMIT_AS, (options.memory_mib * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    replayed = pickle.loads(options.replay.read_bytes()) if options.replay else None
    work = Path(os.fsdecode(OUTSIDE)).parent
    mount("tmpfs", "tmpfs", str(work), ["size=512m"])
    fuzzer = Fuzzer(work, options.case)
    if replayed is not None:
        fuzzer.run(replayed)
        print(dict(fuzzer.outcomes))
        return 0
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    try:
        _run_batches(fuzzer, options.seed, began + options.seconds, is_watched=options.memory_mib > 0)
    except BaseException as error:
        # Without what hypothesis notes: the case, which is in its file.
        error.__notes__ = []
        traceback.print_exc()
        print(
            f"failed after {fuzzer.count} cases of seed {options.seed}; the case is {options.case}",
            flush=True,
        )
        return 1
    peak = _peak_mebibytes()
    print(f"{fuzzer.stacks} of the cases were stacks as well")
    print(f"{fuzzer.count} cases in {time.monotonic() - began:.0f} s, {peak} MiB at most: {dict(fuzzer.outcomes)}")
    return 0


def _peak_mebibytes() -> int:
    """Of this process alone; getrusage(2) counts what its parent was when it forked."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM:"))


def _run_batches(fuzzer: Fuzzer, seed: int, end: float, *, is_watched: bool) -> None:
    batch = 0

    def apply(case: Case, chance_seed: int) -> None:
        chance = random.Random(chance_seed)
        for number in range(_RESHUFFLES + 1):
            if time.monotonic() < end:
                fuzzer.run(reshuffled(case, chance) if number else case)

    settings = hypothesis.settings(
        max_examples=_BATCH,
        deadline=None,
        database=None,
        phases=(hypothesis.Phase.generate,),
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    while time.monotonic() < end:
        with contextlib.redirect_stdout(io.StringIO()):
            hypothesis.seed(seed + batch)(settings(hypothesis.given(cases(), st.integers(0, 2**32))(apply)))()
        if is_watched:
            fuzzer.check_memory()
        batch += 1


if __name__ == "__main__":
    sys.exit(main())
