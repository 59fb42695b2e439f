"""Making the nodes of a rootfs, with as few system calls as the node needs."""

from libc.errno cimport EINVAL, ENODATA, ENOMEM, EOPNOTSUPP, EPERM, ERANGE, errno
from libc.stdio cimport snprintf
from libc.string cimport memcmp, memcpy, strcmp, strlen, strncmp
from posix.types cimport gid_t, mode_t, uid_t

from .archive cimport Entry
from .byte_buffer cimport ByteBuffer, release, reserve
from .failure cimport PAX_BAD_ATTRIBUTE, call_failed, failed, refused
from .pax cimport Attribute, PaxRecords, decode_attribute
from .rootfs cimport Directory, Rootfs, remove_acl
from .syscalls cimport (
    AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, fchmod,
    fchmodat, fchown, fchownat, fgetxattr, flistxattr, fremovexattr, fsetxattr, futimens, lsetxattr, makedev, mknodat,
    openat, symlinkat, timespec, utimensat,
)

cdef enum:
    ATTRIBUTE_NAME_MAX = 255
    SET_ID_OR_STICKY = 0o7000
    NODE_PATH_SIZE = 320
    NEW_FILE = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC

cdef const char *ACCESS_ACL = b"system.posix_acl_access"
cdef const char *CAPABILITY = b"security.capability"
cdef const char *DEFAULT_ACL = b"system.posix_acl_default"
cdef const char *OWNER_NOTE = b"user.rootlesscontainers"


cdef bint is_device(char kind) noexcept nogil:
    return kind == b"3" or kind == b"4"


cdef int create_file(const Rootfs *rootfs, int parent, const char *name, const Entry *entry) noexcept nogil:
    return openat(rootfs.directories[parent].fd, name, NEW_FILE, <int>(entry.mode & 0o777))


cdef int create_node(Rootfs *rootfs, int parent, const char *name, const Entry *entry) noexcept nogil:
    # A symlink, fifo or device.
    cdef int directory = rootfs.directories[parent].fd
    cdef mode_t mode = entry.mode & 0o777
    if entry.kind == b"2":
        return symlinkat(entry.link_name.data, directory, name)
    if entry.kind == b"6":
        return mknodat(directory, name, S_IFIFO | mode, 0)
    mode |= S_IFCHR if entry.kind == b"3" else S_IFBLK
    return mknodat(directory, name, mode, makedev(<unsigned int>entry.major, <unsigned int>entry.minor))


cdef int dress_file(Rootfs *rootfs, int parent, int file, const Entry *entry) noexcept nogil:
    cdef timespec[2] times
    # Ownership first: changing it takes set-user-id bits and file capabilities away.
    if _is_foreign(rootfs, parent, entry) and _own(rootfs, file, entry) < 0:
        return -1
    if rootfs.directories[parent].has_default_acl and remove_acl(file, ACCESS_ACL) < 0:
        return call_failed(&rootfs.failure)
    if _needs_mode(rootfs, parent, entry) and fchmod(file, entry.mode) < 0:
        return call_failed(&rootfs.failure)
    if entry.records.attribute_count and _set_attributes(rootfs, file, NULL, entry.records) < 0:
        return -1
    times[0] = times[1] = entry.mtime
    return 0 if futimens(file, times) == 0 else call_failed(&rootfs.failure)


cdef int dress_directory(Rootfs *rootfs, int directory, const Entry *entry, bint is_new) noexcept nogil:
    # What it has and should have is known, and its time is set when it is closed.
    cdef Directory *dressed = &rootfs.directories[directory]
    if not is_new and _remove_other_attributes(rootfs, dressed.fd, entry.records) < 0:
        return -1
    if dressed.uid != entry.uid or dressed.gid != entry.gid:
        if _own(rootfs, dressed.fd, entry) < 0:
            return -1
        dressed.uid = entry.uid
        dressed.gid = entry.gid
    if (dressed.mode & 0o7777) != entry.mode:
        if fchmod(dressed.fd, entry.mode) < 0:
            return call_failed(&rootfs.failure)
        dressed.mode = (dressed.mode & S_IFMT) | entry.mode
    if entry.records.attribute_count:
        if _set_attributes(rootfs, dressed.fd, NULL, entry.records) < 0:
            return -1
        dressed.has_default_acl = fgetxattr(dressed.fd, DEFAULT_ACL, NULL, 0) > 0
    dressed.mtime = entry.mtime
    dressed.changed = True
    return 0


cdef int dress_node(Rootfs *rootfs, int parent, const char *name, const Entry *entry) noexcept nogil:
    # What was just made, and is neither file nor directory.
    cdef int directory = rootfs.directories[parent].fd
    cdef char[NODE_PATH_SIZE] path
    cdef timespec[2] times
    if (
        _is_foreign(rootfs, parent, entry)
        and fchownat(directory, name, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) < 0
        and _note_lost_owner(rootfs) < 0
    ):
        return -1
    if entry.kind != b"2" and _needs_mode(rootfs, parent, entry) and fchmodat(directory, name, entry.mode, 0) < 0:
        return call_failed(&rootfs.failure)
    if entry.records.attribute_count:
        snprintf(path, NODE_PATH_SIZE, b"/proc/self/fd/%d/%s", directory, name)
        if _set_attributes(rootfs, -1, path, entry.records) < 0:
            return -1
    times[0] = times[1] = entry.mtime
    if utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) < 0:
        return call_failed(&rootfs.failure)
    return 0


cdef inline bint _is_foreign(const Rootfs *rootfs, int parent, const Entry *entry) noexcept nogil:
    # Unless the kernel made it with this owner: a new node's group may also be that of its directory.
    return entry.uid != rootfs.uid or entry.gid != rootfs.gid or rootfs.directories[parent].gid != rootfs.gid


cdef inline bint _needs_mode(const Rootfs *rootfs, int parent, const Entry *entry) noexcept nogil:
    return entry.mode & (rootfs.umask | SET_ID_OR_STICKY) != 0 or rootfs.directories[parent].has_default_acl


cdef int _own(Rootfs *rootfs, int file, const Entry *entry) noexcept nogil:
    if fchown(file, entry.uid, entry.gid) == 0:
        return 0
    if _note_lost_owner(rootfs) < 0:
        return -1
    _write_owner_note(file, entry.uid, entry.gid)
    return 0


cdef int _note_lost_owner(Rootfs *rootfs) noexcept nogil:
    # After a failed chown: what a user namespace forbids, or has no number for.
    if not rootfs.is_rootless or (errno != EPERM and errno != EINVAL):
        return call_failed(&rootfs.failure)
    rootfs.replaced_owners += 1
    return 0


cdef void _write_owner_note(int file, uid_t uid, gid_t gid) noexcept nogil:
    # As umoci does: the message `Resource` of rootlesscontainers.proto. Kept where the filesystem can.
    cdef unsigned char[12] note
    cdef int size = 0
    if uid != 0:
        note[size] = 0x08
        size = _put_varint(note, size + 1, uid)
    if gid != 0:
        note[size] = 0x10
        size = _put_varint(note, size + 1, gid)
    fsetxattr(file, OWNER_NOTE, note, <size_t>size, 0)


cdef int _put_varint(unsigned char *note, int size, unsigned int number) noexcept nogil:
    while number >= 0x80:
        note[size] = <unsigned char>(number & 0x7f | 0x80)
        number >>= 7
        size += 1
    note[size] = <unsigned char>number
    return size + 1


cdef int _set_attributes(Rootfs *rootfs, int file, const char *path, const PaxRecords *records) noexcept nogil:
    # Of an open file, or of the node at a path; those of global headers first, so that its own have the last word.
    cdef size_t own = records.own_attribute_count
    if _set_each(rootfs, file, path, records.attributes + own, records.attribute_count - own) < 0:
        return -1
    return _set_each(rootfs, file, path, records.attributes, own)


cdef int _set_each(
    Rootfs *rootfs, int file, const char *path, const Attribute *attributes, size_t count
) noexcept nogil:
    # Libarchive's form first, so that the plain one has the last word.
    cdef const Attribute *attribute
    cdef size_t index
    for index in range(count):
        attribute = &attributes[index]
        if attribute.encoded and _set_encoded(rootfs, file, path, attribute) < 0:
            return -1
    for index in range(count):
        attribute = &attributes[index]
        if not attribute.encoded and _set_plain(rootfs, file, path, attribute) < 0:
            return -1
    return 0


cdef int _set_plain(Rootfs *rootfs, int file, const char *path, const Attribute *attribute) noexcept nogil:
    cdef char[ATTRIBUTE_NAME_MAX + 1] name
    if attribute.name.size > ATTRIBUTE_NAME_MAX:
        return failed(&rootfs.failure, ERANGE)
    memcpy(name, attribute.name.data, attribute.name.size)
    name[attribute.name.size] = 0
    return _set_attribute(rootfs, file, path, name, attribute.value.data, attribute.value.size)


cdef int _set_encoded(Rootfs *rootfs, int file, const char *path, const Attribute *attribute) noexcept nogil:
    cdef ByteBuffer *room = &rootfs.spare
    cdef size_t name_size = 0
    cdef size_t value_size = 0
    cdef char *value
    if reserve(room, attribute.name.size + attribute.value.size + 4) < 0:
        return failed(&rootfs.failure, ENOMEM)
    value = room.data + attribute.name.size + 1
    if decode_attribute(attribute, room.data, &name_size, value, &value_size) < 0:
        return refused(&rootfs.failure, PAX_BAD_ATTRIBUTE)
    if name_size > ATTRIBUTE_NAME_MAX:
        return failed(&rootfs.failure, ERANGE)
    room.data[name_size] = 0
    return _set_attribute(rootfs, file, path, room.data, value, value_size)


cdef int _set_attribute(
    Rootfs *rootfs, int file, const char *path, const char *name, const char *value, size_t size
) noexcept nogil:
    cdef int result
    if _is_of_overlay(name):
        return 0
    if size == 0 and strcmp(name, CAPABILITY) == 0:
        # The kernel refuses every other malformed one; this one it stores, and then does not execute the file.
        return failed(&rootfs.failure, EINVAL)
    result = fsetxattr(file, name, value, size, 0) if path == NULL else lsetxattr(path, name, value, size, 0)
    if result == 0:
        return 0
    # Special files and symlinks cannot have user attributes (xattr(7)). What the filesystem does not know is left
    # out, as containerd does; but a program must not lose its capabilities without a word.
    if (
        (errno == EPERM and (path != NULL or rootfs.is_rootless))
        or (errno == EOPNOTSUPP and (rootfs.is_rootless or strcmp(name, CAPABILITY) != 0))
    ):
        rootfs.left_out_attributes += 1
        return 0
    return call_failed(&rootfs.failure)


cdef inline bint _is_of_overlay(const char *name) noexcept nogil:
    # Overlayfs keeps its own notes here; an image has no business writing them (the kernel would believe them).
    return strncmp(name, b"trusted.overlay.", 16) == 0 or strncmp(name, b"user.overlay.", 13) == 0


cdef int _remove_other_attributes(Rootfs *rootfs, int file, const PaxRecords *kept) noexcept nogil:
    # The attributes that a lower layer gave a directory and this layer does not.
    cdef ByteBuffer names
    cdef ssize_t size = flistxattr(file, NULL, 0)
    cdef size_t at = 0
    cdef int result = 0
    if size <= 0:
        return 0 if size == 0 or errno == EOPNOTSUPP else call_failed(&rootfs.failure)
    names.data = NULL
    names.size = names.capacity = 0
    if reserve(&names, <size_t>size) < 0:
        return failed(&rootfs.failure, ENOMEM)
    size = flistxattr(file, names.data, <size_t>size)
    if size < 0:
        result = call_failed(&rootfs.failure)
    while result == 0 and at < <size_t>size:
        if not _stays(names.data + at, kept) and fremovexattr(file, names.data + at) < 0 and errno != ENODATA:
            result = call_failed(&rootfs.failure)
        at += strlen(names.data + at) + 1
    release(&names)
    return result


cdef bint _stays(const char *name, const PaxRecords *kept) noexcept nogil:
    cdef size_t index
    cdef size_t size = strlen(name)
    if _is_of_overlay(name) or strncmp(name, b"system.", 7) == 0 or strcmp(name, b"security.selinux") == 0:
        return True
    for index in range(kept.attribute_count):
        if kept.attributes[index].name.size == size and memcmp(kept.attributes[index].name.data, name, size) == 0:
            return True
    return False
