"""The pod store cannot be used."""

from __future__ import annotations

from errno import EBUSY, EINVAL, EIO, ENOSPC, EUCLEAN

from .base import FirkinError


class StoreError(FirkinError):
    """A pod store that cannot be used as asked."""

    code = "store"
    errno = EIO


class StoreFull(StoreError):
    """No space (or inodes) left in the pod store."""

    code = "store-full"
    errno = ENOSPC

    def __init__(self, path: str) -> None:
        remedy = "give it a larger size, remove pods from it, or free space on its disk"
        super().__init__(f"pod store is full: no space left for {path}; {remedy}")
        self.path = path


class VolumeFull(StoreFull):
    """No space (or inodes) left in an emptyDir that has a size limit; the store itself may have some."""

    code = "volume-full"

    def __init__(self, volume: str, size_limit: int, path: str) -> None:
        StoreError.__init__(self, f"emptyDir {volume!r} is full: no space left for {path} within {size_limit}")
        self.volume = volume
        self.size_limit = size_limit
        self.path = path


class StoreInUse(StoreError):
    """Another pod holds this store."""

    code = "store-in-use"
    retryable = True
    errno = EBUSY

    def __init__(self, path: str) -> None:
        super().__init__(f"pod store {path} is in use by another pod")
        self.path = path


class StoreDamaged(StoreError):
    """The store's image is not a usable filesystem."""

    code = "store-damaged"
    errno = EUCLEAN

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"pod store {path} is damaged: {reason}")
        self.path = path
        self.reason = reason


class StoreTooSmall(StoreError):
    """The requested size cannot hold a filesystem."""

    code = "store-too-small"
    errno = EINVAL

    def __init__(self, path: str, size_bytes: int, minimum_bytes: int) -> None:
        super().__init__(f"pod store {path} of {size_bytes} is too small: at least {minimum_bytes} are needed")
        self.path = path
        self.size_bytes = size_bytes
        self.minimum_bytes = minimum_bytes
