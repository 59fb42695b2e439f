"""Paths inside a sandbox or a container."""

from __future__ import annotations

from typing import Self

from firkin._fast import guest_path_problem, relative_path_problem

from .errors import InvalidGuestPath, InvalidRelativePath

# Paths travel as UTF-8, over gRPC and in JSON.
_NOT_UNICODE = "it cannot be written as UTF-8"


class GuestPath(str):
    """An absolute, normalised path that is not `/`: no NUL, no empty, `.` or `..` component; UTF-8."""

    __slots__ = ()

    def __new__(cls, path: str) -> Self:
        """Check `path`.

        Raises:
            InvalidGuestPath: the path breaks the rule.
        """
        if type(path) is cls:
            return path
        try:
            problem = guest_path_problem(path.encode())
        except UnicodeEncodeError:
            problem = _NOT_UNICODE
        if problem is not None:
            raise InvalidGuestPath(path, problem)
        return super().__new__(cls, path)

    def below(self, relative_path: str) -> GuestPath:
        """Return the path of `relative_path` below this directory.

        Raises:
            InvalidRelativePath: the path is absolute, not normalised, empty or has NUL.
        """
        return GuestPath(f"{self}/{checked_relative_path(relative_path)}")


def checked_relative_path(path: str) -> str:
    """Return `path` when it names something below a directory by text alone.

    Raises:
        InvalidRelativePath: the path is absolute, not normalised, empty or has NUL.
    """
    try:
        problem = relative_path_problem(path.encode())
    except UnicodeEncodeError:
        problem = _NOT_UNICODE
    if problem is not None:
        raise InvalidRelativePath(path, problem)
    return path
