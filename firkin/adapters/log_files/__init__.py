"""Container logs as files, in the format of the Container Runtime Interface, which other tools read as well."""

from .keeper import FileLogKeeper

__all__ = ["FileLogKeeper"]
