"""Modules as files of bytecode and as one archive, as an interpreter of the guest imports them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from firkin.adapters.guest_image_host.bytecode import write_bytecode
from firkin.domain.errors import GuestImageFailed
from firkin.vminitd.module_archive import BYTECODE, INDEX, ModuleArchive

HOME, LIBRARY = "usr/home", "usr/home/lib"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A guest's root with a package, a module in it and one beside it."""
    sources = {
        "alone": "value = 1\n",
        "pack/__init__": '"""Told to nobody."""\n',
        "pack/inner": "from alone import value\n",
    }
    return built(tmp_path, sources)


def built(directory: Path, sources: dict[str, str]) -> Path:
    root = directory / "root"
    modules = {}
    for name, text in sources.items():
        source = directory / f"{name.replace('/', '-')}.py"
        source.write_text(text)
        modules[f"{LIBRARY}/{name}.pyc"] = source
        (root / LIBRARY / name).parent.mkdir(parents=True, exist_ok=True)
    write_bytecode(root, modules, LIBRARY, HOME, os.environ["PATH"])
    return root


def said(root: Path, program: str) -> str:
    """What a program prints that imports from the archive, and otherwise from the standard library only."""
    start = (
        "import sys, runpy\n"
        f"archive = runpy.run_path({str(Path(sys.modules[ModuleArchive.__module__].__file__ or ''))!r})\n"
        f"archive = archive['ModuleArchive']({str(root / HOME)!r}, {str(root / LIBRARY)!r})\n"
        "sys.meta_path.insert(0, archive)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start + program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_modules_and_packages_come_from_the_archive_with_the_files_that_they_also_are(root: Path) -> None:
    library = root / LIBRARY
    program = (
        "import pack.inner as inner; print(inner.value, inner.__file__, inner.__loader__ is archive, inner.__package__)"
    )
    assert said(root, program) == f"1 {library}/pack/inner.pyc True pack\n"
    assert (library / "pack/inner.pyc").is_file()
    assert said(root, "import pack; print(pack.__path__, pack.__doc__)") == f"[{str(library / 'pack')!r}] None\n"


def test_a_module_may_be_run_and_its_file_as_well(root: Path) -> None:
    assert said(root, "import runpy; print(runpy.run_module('alone')['value'])") == "1\n"
    assert said(root, f"import runpy; print(runpy.run_path({str(root / LIBRARY / 'alone.pyc')!r})['value'])") == "1\n"


def test_what_is_not_in_the_archive_is_looked_for_elsewhere(root: Path) -> None:
    program = (
        "import sys, colorsys\n"
        "print(colorsys.__loader__ is archive)\n"
        "try:\n    import pack.absent\n"
        "except ModuleNotFoundError as error:\n    print(error.name)\n"
    )
    assert said(root, program) == "False\npack.absent\n"


def test_a_module_of_machine_code_is_found_beside_its_package(root: Path) -> None:
    (root / LIBRARY / "pack/plain.py").write_text("value = 2\n")
    assert said(root, "import pack.plain; print(pack.plain.value)") == "2\n"


def test_the_same_modules_make_the_same_archive(tmp_path: Path) -> None:
    sources = {"alone": "value = frozenset('abc')\n", "other": "text = 'alone'\n"}
    first, second = (tmp_path / name for name in ("first", "second"))
    for directory in (first, second):
        directory.mkdir()
        built(directory, sources)
    for name in (BYTECODE, INDEX):
        assert (first / "root" / HOME / name).read_bytes() == (second / "root" / HOME / name).read_bytes()


def test_what_is_no_python_fails_the_image(tmp_path: Path) -> None:
    with pytest.raises(GuestImageFailed):
        built(tmp_path, {"broken": "def\n"})
