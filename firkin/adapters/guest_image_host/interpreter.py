"""The interpreter of the running process, its standard library and the agent's packages, for the guest."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from firkin.domain.errors import GuestImageFailed

from .tree import GuestFile, GuestTree

HOME = "usr/lib/firkin"
INTERPRETER = f"{HOME}/bin/python3"
_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
LIBRARY = f"{HOME}/lib/{_VERSION}"

# What an agent never imports, most of it by size.
_LEFT_OUT_OF_LIBRARY = frozenset(
    [
        *("__pycache__", "site-packages", "dist-packages", "lib-dynload", "test", "tests", "unittest"),
        *("idlelib", "tkinter", "turtledemo", "curses", "pydoc_data", "ensurepip", "venv", "lib2to3", "distutils"),
        *("sqlite3", "dbm"),
    ]
)
_LEFT_OUT_OF_EXTENSIONS = (
    "_test",
    "_xx",
    "_tkinter",
    "_sqlite3",
    "_curses",
    "readline",
    "_dbm",
    "_gdbm",
    "nis",
)

_PACKAGES = ("grpc", "google.protobuf", "google.rpc", "google._upb", "grpc_status", "msgspec", "isal", "zstandard")
_SINGLE_MODULES = ("typing_extensions",)
_OWN_PACKAGES = ("_fast", "domain", "file_trees", "port_checks", "vminitd", "wire")
_OWN_MODULES = ("__init__.py", "errors.py")
_LEFT_OUT_OF_PACKAGES = frozenset(["__pycache__", "tests", "test", "testing", "beta", "compiler", "backend_cffi.py"])
_EXTENSION_SUFFIX = ".so"


def add_interpreter(tree: GuestTree) -> None:
    """Put the interpreter, what it imports and the agent into the image.

    Everything importable lies in one directory, as bytecode without sources.
    """
    tree.add(INTERPRETER, GuestFile(source=Path(os.path.realpath(sys.executable)), is_executable=True))
    library = Path(sysconfig.get_path("stdlib"))
    _add_modules(tree, library, LIBRARY, _LEFT_OUT_OF_LIBRARY)
    for extension in _extensions(tree, library / "lib-dynload"):
        tree.add(f"{LIBRARY}/lib-dynload/{extension.name}", GuestFile(source=extension))
    for name in _PACKAGES:
        _add_modules(tree, _package_directory(name), f"{LIBRARY}/{name.replace('.', '/')}", _LEFT_OUT_OF_PACKAGES)
    for name in _SINGLE_MODULES:
        if (spec := find_spec(name)) is not None and spec.origin is not None:
            _add_module(tree, Path(spec.origin), LIBRARY)
    package = Path(__file__).resolve().parents[2]
    # Under a name of its own: with it begins every other import.
    _add_module(tree, package / "vminitd/module_archive.py", LIBRARY)
    for name in _OWN_PACKAGES:
        _add_modules(tree, package / name, f"{LIBRARY}/firkin/{name}", _LEFT_OUT_OF_PACKAGES)
    for name in _OWN_MODULES:
        _add_module(tree, package / name, f"{LIBRARY}/firkin")


def _package_directory(name: str) -> Path:
    spec = find_spec(name)
    locations = [] if spec is None else list(spec.submodule_search_locations or ())
    if not locations:
        raise GuestImageFailed("find what the agent imports", f"the package {name} is not installed")
    return Path(locations[0])


def _add_modules(tree: GuestTree, directory: Path, guest_path: str, left_out: frozenset[str]) -> None:
    for path in _listed(tree, directory):
        if path.name in left_out or path.name.startswith(("config-", "_cffi.")):
            continue
        if path.is_dir():
            _add_modules(tree, path, f"{guest_path}/{path.name}", left_out)
        elif path.suffix in (".py", _EXTENSION_SUFFIX):
            _add_module(tree, path, guest_path)


def _add_module(tree: GuestTree, path: Path, guest_directory: str) -> None:
    if path.suffix == _EXTENSION_SUFFIX:
        tree.add(f"{guest_directory}/{path.name}", GuestFile(source=path))
        return
    tree.add(f"{guest_directory}/{path.stem}.pyc", GuestFile(source=path, is_bytecode=True))


def _extensions(tree: GuestTree, directory: Path) -> Iterator[Path]:
    for path in _listed(tree, directory):
        if path.suffix == _EXTENSION_SUFFIX and not path.name.startswith(_LEFT_OUT_OF_EXTENSIONS):
            yield path


def _listed(tree: GuestTree, directory: Path) -> list[Path]:
    tree.looked_at.add(directory)
    return sorted(directory.iterdir())
