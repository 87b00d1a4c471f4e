#define _GNU_SOURCE
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDERS_OPEN 16 /* by nftw() */
#define PIECE        65536u

static bool write_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);

        if (done < 0 && errno != EINTR) {
            return false;
        }
        p += done < 0 ? 0 : done;
        n -= done < 0 ? 0 : (size_t)done;
    }
    return true;
}

static int open_new(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd >= 0 && fchmod(fd, 0600) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    return n > 0 && p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static bool copy(int from, int to)
{
    uint8_t piece[PIECE];
    ssize_t n;
    off_t size = 0;

    while ((n = read(from, piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0) {
            continue;
        }
        if (all_zero(piece, (size_t)n) ? lseek(to, n, SEEK_CUR) < 0
                                       : !write_all(to, piece, (size_t)n)) {
            return false;
        }
        size += n;
    }
    return n == 0 && ftruncate(to, size) == 0;
}

bool file_copy(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = in < 0 ? -1 : open_new(to);
    bool ok = out >= 0 && copy(in, out);
    int why = errno;

    if (in >= 0) {
        close(in);
    }
    if (out >= 0 && close(out) != 0) {
        return false;
    }
    errno = why;
    return ok;
}

bool file_write(const char *to, struct view bytes)
{
    int fd = open_new(to);
    bool ok = fd >= 0 && write_all(fd, bytes.p, bytes.n);

    return fd >= 0 && close(fd) == 0 && ok;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

bool folder_remove(const char *path)
{
    return nftw(path, remove_one, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT;
}

static uint64_t counted; /* nftw() has no argument for its caller */

static int count_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)path;
    (void)ftw;
    counted += kind == FTW_F ? (uint64_t)st->st_blocks * 512 : 0;
    return 0;
}

uint64_t folder_bytes(const char *path)
{
    counted = 0;
    (void)nftw(path, count_one, FOLDERS_OPEN, FTW_PHYS);
    return counted;
}
