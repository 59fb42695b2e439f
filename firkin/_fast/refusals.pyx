"""What went wrong in a kernel, as an exception."""

import os

from .failure cimport (
    BAD_CHECKSUM, BAD_DEVICE, BAD_SYMLINK, CHECKSUM_FIELD, DEVICE_FIELD, ENDS_AFTER_EXTENSION, ENDS_IN_DATA,
    ENDS_IN_HEADER, ENDS_IN_PADDING, ENDS_IN_SPARSE_MAP, Failure, GARBAGE_AFTER_END, GID_FIELD,
    GLOBAL_ATTRIBUTES_TOO_LARGE, GLOBAL_SPARSE_MAP, GOES_ON_AFTER_ZEROS, HEADER_TOO_LARGE, ID_NOT_POSSIBLE,
    IS_NEGATIVE, IS_THE_ROOTFS, LINK_TO_DIRECTORY, LINK_TO_MISSING,
    LINK_TO_REPLACED, LINK_TO_ROOTFS, MODE_FIELD, MTIME_FIELD, NAME_CLIMBS, NAME_HAS_NUL, NAME_IS_EMPTY,
    NAME_TOO_LONG, NOT_A_DIRECTORY, NOT_A_NUMBER, NOT_OCTAL, NO_PROBLEM, PAX_BAD_ATTRIBUTE, PAX_MALFORMED,
    PAX_NOT_A_NUMBER, PAX_NO_EQUALS, SIZE_FIELD, SPARSE_FIELD, SPARSE_MAP_DISORDERED, SPARSE_MAP_INCOMPLETE,
    SPARSE_MAP_MISFIT, SPARSE_MAP_TOO_LARGE, TOO_BIG, TOO_DEEP, TOO_MANY_ENTRIES, TOO_MANY_SYMLINKS, UID_FIELD,
    UNKNOWN_TYPE, WHITEOUT_OF_NOTHING,
)

cdef dict _SENTENCES = {
    <int>BAD_CHECKSUM: "its header's checksum is wrong",
    <int>NOT_A_NUMBER: "its {field} is not a number",
    <int>NOT_OCTAL: "its {field} is not an octal number",
    <int>IS_NEGATIVE: "its {field} is negative",
    <int>TOO_BIG: "its {field} is not possible",
    <int>PAX_NOT_A_NUMBER: "its pax {field} is not a number",
    <int>PAX_MALFORMED: "its pax header has a malformed record",
    <int>PAX_NO_EQUALS: "its pax header has a record without '='",
    <int>PAX_BAD_ATTRIBUTE: "its pax header has a malformed extended attribute",
    <int>GLOBAL_SPARSE_MAP: "a global pax header has a sparse map, which can be of one file only",
    <int>ID_NOT_POSSIBLE: "its uid or gid is not possible",
    <int>SPARSE_MAP_INCOMPLETE: "its sparse map is incomplete",
    <int>SPARSE_MAP_DISORDERED: "its sparse map is not in order",
    <int>SPARSE_MAP_MISFIT: "its sparse map does not fit its size",
    <int>SPARSE_MAP_TOO_LARGE: "its sparse map is too large",
    <int>ENDS_IN_HEADER: "the archive ends within a header",
    <int>ENDS_IN_DATA: "the archive ends within this file",
    <int>ENDS_IN_PADDING: "the archive ends within the padding of this file",
    <int>ENDS_IN_SPARSE_MAP: "the archive ends within a sparse map",
    <int>ENDS_AFTER_EXTENSION: "the archive ends after an extended header",
    <int>GOES_ON_AFTER_ZEROS: "the archive goes on after a block of zero bytes",
    <int>GARBAGE_AFTER_END: "something other than zero bytes follows the end of the archive",
    <int>TOO_MANY_ENTRIES: "the layer has more than {number} entries",
    <int>NAME_TOO_LONG: "its name is longer than {number} bytes",
    <int>HEADER_TOO_LARGE: "its extended header is larger than {number} bytes",
    <int>GLOBAL_ATTRIBUTES_TOO_LARGE: (
        "its global pax headers give every entry more than {number} bytes of extended attributes"
    ),
    <int>TOO_DEEP: "its name has more than {number} components",
    <int>NAME_IS_EMPTY: "its name is empty",
    <int>NAME_HAS_NUL: "its name contains NUL",
    <int>NAME_CLIMBS: "its name climbs above the rootfs with '..'",
    <int>IS_THE_ROOTFS: "it would replace the rootfs itself",
    <int>WHITEOUT_OF_NOTHING: "it is a whiteout of nothing",
    <int>NOT_A_DIRECTORY: "a component of its path is not a directory",
    <int>TOO_MANY_SYMLINKS: "its path leads through too many symlinks",
    <int>LINK_TO_ROOTFS: "it is a hard link to the rootfs itself",
    <int>LINK_TO_MISSING: "the target of its hard link does not exist",
    <int>LINK_TO_DIRECTORY: "the target of its hard link is a directory",
    <int>LINK_TO_REPLACED: "the target of its hard link lies in what it replaces",
    <int>BAD_SYMLINK: "the target of its symlink is empty, or contains NUL",
    <int>BAD_DEVICE: "its device number is not possible",
    <int>UNKNOWN_TYPE: "its type {type!r} is not supported",
}
cdef dict _FIELDS = {
    <int>MODE_FIELD: "mode",
    <int>UID_FIELD: "uid or gid",
    <int>GID_FIELD: "gid",
    <int>SIZE_FIELD: "size",
    <int>MTIME_FIELD: "mtime",
    <int>CHECKSUM_FIELD: "checksum",
    <int>DEVICE_FIELD: "device number",
    <int>SPARSE_FIELD: "sparse map",
}


class EntryRefused(ValueError):
    """An entry or archive that cannot be applied; the text says why."""


cdef object refusal(const Failure *failure):
    cdef int problem = <int>failure.problem
    if problem == NO_PROBLEM:
        return OSError(failure.error, os.strerror(failure.error))
    return EntryRefused(
        _SENTENCES[problem].format(
            field=_FIELDS[<int>failure.field], number=failure.number, type=chr(failure.number & 0xff)
        )
    )
