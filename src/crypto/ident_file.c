/* The identity's file: 32 raw bytes, mode 0600, written whole or not at all. */
#define _GNU_SOURCE
#include <crypto/ident.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#define PATH_MAX_BYTES 4096u

static enum err load(int fd, struct ident *ret)
{
    uint8_t raw[33]; /* one more than valid, to notice a longer file */
    size_t n = 0;
    ssize_t got;

    while (n < sizeof raw && (got = read(fd, raw + n, sizeof raw - n)) != 0) {
        if (got < 0 && errno != EINTR) {
            return E_IO;
        }
        n += got > 0 ? (size_t)got : 0;
    }
    enum err e = n == 32 ? ident_from_secret(raw, ret) : E_CRYPTO_KEY;
    sodium_memzero(raw, sizeof raw);
    return e;
}

static enum err write_whole(int fd, const uint8_t *p, size_t n)
{
    while (n != 0) {
        ssize_t put = write(fd, p, n);

        if (put < 0 && errno != EINTR) {
            return E_IO;
        }
        p += put > 0 ? put : 0;
        n -= put > 0 ? (size_t)put : 0;
    }
    return fsync(fd) == 0 ? E_OK : E_IO;
}

/* A crash leaves no half-written key: the bytes are on disk before link() gives them their name,
 * and link() never replaces a file that came in between. */
enum err ident_save(const char *path, const struct ident *id)
{
    char temporary[PATH_MAX_BYTES];
    int n = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);

    if (n < 0 || (size_t)n >= sizeof temporary) {
        return E_IO;
    }
    int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        return E_IO;
    }
    enum err e = write_whole(fd, id->secret, sizeof id->secret);
    if (close(fd) != 0) {
        e = E_IO;
    }
    if (e == E_OK && link(temporary, path) != 0) {
        e = errno == EEXIST ? E_EXISTS : E_IO;
    }
    unlink(temporary);
    return e;
}

enum err ident_load(const char *path, struct ident *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return errno == ENOENT ? E_NOT_FOUND : E_IO;
    }
    enum err e = load(fd, ret);
    close(fd);
    return e;
}

enum err ident_load_or_create(const char *path, struct rng *rng, struct ident *ret)
{
    struct ident fresh;
    enum err e = ident_load(path, ret);

    if (e != E_NOT_FOUND) {
        return e;
    }
    ident_random(rng, &fresh);
    e = ident_save(path, &fresh);
    if (e == E_OK) {
        *ret = fresh;
    } else if (e == E_EXISTS) {
        e = ident_load(path, ret); /* another process was first: its key is the key */
    }
    sodium_memzero(&fresh, sizeof fresh);
    return e;
}
