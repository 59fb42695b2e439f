"""The files of a container in memory."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

from firkin.domain import tar_header
from firkin.domain.copying import CopyReport, CopySource, Destination, is_placed_inside
from firkin.domain.errors import CopyFailed
from firkin.domain.tar_archive import Entry, Limits, TarReader
from firkin.domain.users import resolved_user
from firkin.file_trees.ownership import Owner, owned
from firkin.file_trees.pieces import NextPiece
from firkin.file_trees.places import callers_own, opened_source, placed, write_to
from firkin.file_trees.reading import TreeReader
from firkin.file_trees.tar_writing import END_OF_ARCHIVE, header, padding
from firkin.file_trees.writing import TreeWriter
from firkin.ports.agent_files import CopyIn, CopyOut

_DIRECTORIES = ("/", "/etc", "/home", "/root", "/run", "/tmp", "/usr", "/var")
_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_SYMLINKS_LIMIT = 40


class MemoryFiles:
    """Files, directories and links by absolute path; what is copied in can be copied out again."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Entry, bytes]] = {}
        for path in _DIRECTORIES:
            self._entries[path] = (Entry(b"", tar_header.DIRECTORY, b"", 0o755, 0, 0, 0, 0, 0, 0, None, {}), b"")

    def copy_in(self, copy: CopyIn) -> CopyReport:
        """Keep a file or a directory of the host."""
        opened = opened_source(copy.source)
        try:
            owner = None if copy.user is None else _owner(copy.user)
            path = self._placed(copy, opened.source)
            reader = TreeReader()
            pieces = reader.archive(opened.descriptor, posixpath.basename(path) or "file")
            archive = TarReader(lambda: next(pieces, b""), Limits())
            for entry in archive.entries():
                self._keep(path, opened.source.is_directory, owned(entry, owner), b"".join(archive.data()))
        finally:
            os.close(opened.descriptor)
        return CopyReport(path, reader.count, tuple(reader.left_out))

    def copy_out(self, copy: CopyOut) -> CopyReport:
        """Hand a file or a directory to the host."""
        found = self._resolved(copy.source)
        if found not in self._entries:
            raise CopyFailed(copy.source, "it does not exist")
        source = CopySource(copy.source, self._is_directory(found))
        path = placed(source, copy.destination)
        writer = TreeWriter(callers_own(copy.keep_ownership))
        write_to(path, source.is_directory, writer, TarReader(self._archive(found), Limits()))
        return CopyReport(path, writer.count, tuple(writer.left_out))

    def _placed(self, copy: CopyIn, source: CopySource) -> str:
        destination = "/" + copy.destination.lstrip("/")
        found = self._resolved(destination)
        place = Destination(destination, found in self._entries, self._is_directory(found))
        if is_placed_inside(source, place):
            path = f"{found.rstrip('/')}/{source.name}"
        elif place.is_directory:
            return found
        else:
            path = posixpath.normpath(destination)
        parent = self._resolved(posixpath.dirname(path))
        if not self._is_directory(parent) and not copy.create_parents:
            raise CopyFailed(path, f"the directory {parent} does not exist")
        if path in self._entries and self._is_directory(path) is not source.is_directory:
            raise CopyFailed(path, "a directory and a file cannot replace each other")
        self._make_directories(parent)
        return path

    def _make_directories(self, path: str) -> None:
        while path not in self._entries:
            self._entries[path] = self._entries["/tmp"]
            path = posixpath.dirname(path)

    def _keep(self, path: str, is_tree: bool, entry: Entry, data: bytes) -> None:
        here = path
        if is_tree:
            here = posixpath.normpath(f"{path}/{os.fsdecode(entry.name)}")
            if entry.kind == tar_header.HARD_LINK:
                target = posixpath.normpath(f"{path}/{os.fsdecode(entry.link_name)}")
                self._entries[here] = (entry._replace(link_name=os.fsencode(target)), self._entries[target][1])
                return
        if entry.kind == tar_header.DIRECTORY and self._is_directory(here):
            return
        self._entries[here] = (entry, data)

    def _is_directory(self, path: str) -> bool:
        return path in self._entries and self._entries[path][0].kind == tar_header.DIRECTORY

    def _resolved(self, path: str) -> str:
        path = posixpath.normpath("/" + path.lstrip("/"))
        for _ in range(_SYMLINKS_LIMIT):
            if path not in self._entries or self._entries[path][0].kind != tar_header.SYMLINK:
                return path
            target = os.fsdecode(self._entries[path][0].link_name)
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        return path

    def _archive(self, top: str) -> NextPiece:
        remaining = self._pieces(top)
        return lambda: next(remaining, b"")

    def _pieces(self, top: str) -> Iterator[bytes]:
        prefix = top.rstrip("/") + "/"
        for path, (entry, data) in self._entries.items():
            if path == top:
                name = "./" if entry.kind == tar_header.DIRECTORY else "file"
            elif path.startswith(prefix):
                name = path.removeprefix(prefix)
            else:
                continue
            if entry.kind == tar_header.HARD_LINK:
                target = os.fsdecode(entry.link_name)
                if path != top and target.startswith(prefix):
                    link_name = os.fsencode(target.removeprefix(prefix))
                    yield header(entry._replace(name=os.fsencode(name), link_name=link_name))
                    continue
                entry, data = self._entries[target]
            yield header(entry._replace(name=os.fsencode(name))) + data + padding(len(data))
        yield END_OF_ARCHIVE


def _owner(user: str) -> Owner:
    resolved = resolved_user(user, _PASSWD)
    return Owner(resolved.uid, resolved.gid)
