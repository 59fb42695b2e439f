"""Imports from one file that holds the bytecode of all modules, in place of a search through directories.

Without KVM a machine's agent spends most of its start on imports, and a good part of that on finding four hundred
files. The files are there as well, under the names that modules have in `__file__`, for programs of their own.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib import ModuleSpec

# Nothing more is imported here than the interpreter has already: it would be searched for. So not even `typing` is.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from types import CodeType, ModuleType
else:
    Loader = object

# Beside the interpreter's `bin` and `lib`.
BYTECODE = "modules.bytecode"
INDEX = "modules.index"


class ModuleArchive(Loader):
    """A finder and loader (importlib documentation, "Finders and loaders").

    The index is a dictionary in the format of marshal: by a module's full name whether it is a package, and where its
    code begins and how many bytes of marshal it has.
    """

    def __init__(self, directory: str, library: str) -> None:
        """Open the archive in `directory`; the modules' own files are below `library`."""
        self._library = library
        with open(f"{directory}/{INDEX}", "rb") as file:
            self._index: dict[str, tuple[bool, int, int]] = marshal.load(file)
        self._file = os.open(f"{directory}/{BYTECODE}", os.O_RDONLY | os.O_CLOEXEC)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for what is not in it: modules of machine code, and namespaces."""
        entry = self._index.get(name)
        if entry is None:
            return None
        place = f"{self._library}/{name.replace('.', '/')}"
        is_package = entry[0]
        origin = f"{place}/__init__.pyc" if is_package else f"{place}.pyc"
        spec = ModuleSpec(name, self, origin=origin, is_package=is_package)
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(place)
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """An ordinary one."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run its code."""
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name: str) -> CodeType:
        """Of a module that is in it (`runpy` asks)."""
        _, start, size = self._index[name]
        code: CodeType = marshal.loads(os.pread(self._file, size, start))
        return code


def use_module_archive() -> None:
    """Import from the archive of this interpreter's installation from now on."""
    library = f"{sys.prefix}/{sys.platlibdir}/python{sys.version_info.major}.{sys.version_info.minor}"
    sys.meta_path.insert(0, ModuleArchive(sys.prefix, library))
