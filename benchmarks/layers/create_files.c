/* Makes the files of a prepared list, with as few system calls as can be: the lower bound of writing a rootfs.

   create_files LIST TAR... : works in the current directory. The list has one record per entry:
   a header of the fields below, then the name and the link's target, each ended by NUL. A file takes open, write,
   close, and one call more for an owner, for a mode that open cannot give, and for its time. Directories get
   their times at the end, in one call each. Nothing is checked, hashed or decompressed. */

#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct record {
    uint8_t kind; /* of tar: '0' file, '1' hard link, '2' symlink, '3' '4' device, '5' directory, '6' fifo, 'c' chdir, 't' time */
    uint8_t tar;
    uint16_t mode;
    uint32_t uid, gid, major, minor;
    uint32_t name_length, link_length;
    int64_t seconds;
    uint64_t offset, size;
} __attribute__((packed));

static const char *mapped(const char *path, size_t *size)
{
    struct stat status;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &status) < 0)
        err(1, "%s", path);
    *size = (size_t)status.st_size;
    const char *data = mmap(NULL, *size ? *size : 1, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
    if (data == MAP_FAILED)
        err(1, "%s", path);
    close(file);
    return data;
}

static void own(const char *name, const struct record *it)
{
    if ((it->uid || it->gid) && fchownat(AT_FDCWD, name, it->uid, it->gid, AT_SYMLINK_NOFOLLOW) < 0)
        err(1, "chown %s", name);
}

static void make_file(const char *name, const struct record *it, const char *data, const struct timespec *times)
{
    int file = open(name, O_CREAT | O_EXCL | O_WRONLY, it->mode & 0777);
    if (file < 0)
        err(1, "open %s", name);
    for (uint64_t done = 0; done < it->size;) {
        ssize_t count = write(file, data + it->offset + done, it->size - done);
        if (count < 0)
            err(1, "write %s", name);
        done += (uint64_t)count;
    }
    if ((it->uid || it->gid) && fchown(file, it->uid, it->gid) < 0)
        err(1, "chown %s", name);
    if ((it->mode & 07000) && fchmod(file, it->mode) < 0)
        err(1, "chmod %s", name);
    if (futimens(file, times) < 0)
        err(1, "utime %s", name);
    close(file);
}

static void make(const struct record *it, const char *name, const char *target, const char *const *tars)
{
    const struct timespec times[2] = {{it->seconds, 0}, {it->seconds, 0}};
    int failed = 0;
    switch (it->kind) {
    case 'c':
        failed = chdir(name);
        break;
    case 't':
        failed = utimensat(AT_FDCWD, name, times, 0);
        break;
    case '0':
        make_file(name, it, tars[it->tar], times);
        return;
    case '1':
        failed = link(target, name);
        break;
    case '5':
        failed = mkdir(name, it->mode & 0777);
        own(name, it);
        if (!failed && (it->mode & 07000))
            failed = chmod(name, it->mode);
        break;
    case '2':
        failed = symlink(target, name);
        own(name, it);
        if (!failed)
            failed = utimensat(AT_FDCWD, name, times, AT_SYMLINK_NOFOLLOW);
        break;
    default:
        failed = mknod(name, (mode_t)(it->mode & 0777) | (it->kind == '3' ? S_IFCHR : it->kind == '4' ? S_IFBLK : S_IFIFO),
                       makedev(it->major, it->minor));
        own(name, it);
        if (!failed)
            failed = utimensat(AT_FDCWD, name, times, AT_SYMLINK_NOFOLLOW);
    }
    if (failed)
        err(1, "%c %s", it->kind, name);
}

int main(int argc, char **argv)
{
    size_t size, ignored;
    const char *list = mapped(argv[1], &size);
    const char *tars[64] = {0};
    for (int number = 2; number < argc && number < 66; number++)
        tars[number - 2] = mapped(argv[number], &ignored);
    umask(0);
    for (const char *at = list; at < list + size;) {
        struct record it;
        memcpy(&it, at, sizeof it);
        const char *name = at + sizeof it;
        const char *target = name + it.name_length + 1;
        make(&it, name, target, tars);
        at = target + it.link_length + 1;
    }
    return 0;
}
