/*
 * Preloaded: every seventh write to a socket fails, in turn with ENOBUFS and EINTR, and every fifth
 * takes a single byte. The kernel may do all of that at any time, and does it when it is short of
 * memory.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_uint calls, failed;

/* Who runs the test wants to know that it was one. */
__attribute__((destructor)) static void tell(void)
{
    FILE *f = fopen(getenv("ENOBUFS_TOLD"), "a");

    if (f != NULL) {
        fprintf(f, "%u\n", failed);
        fclose(f);
    }
}

enum fate { GOES, FAILS, ONE_BYTE };

static enum fate fate_of(int fd)
{
    int type;
    socklen_t n = sizeof type;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) != 0 || type != SOCK_STREAM) {
        return GOES;
    }
    unsigned call = ++calls;
    if (call % 7 == 0) {
        failed++;
        errno = call % 2 == 0 ? ENOBUFS : EINTR;
        return FAILS;
    }
    return call % 5 == 0 ? ONE_BYTE : GOES;
}

ssize_t write(int fd, const void *p, size_t n)
{
    ssize_t (*real)(int, const void *, size_t) =
        (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    enum fate fate = fate_of(fd);

    return fate == FAILS ? -1 : real(fd, p, fate == ONE_BYTE && n != 0 ? 1 : n);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    ssize_t (*real)(int, const struct iovec *, int) =
        (ssize_t(*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
    enum fate fate = fate_of(fd);

    return fate == FAILS      ? -1
           : fate == ONE_BYTE ? write(fd, v[0].iov_base, v[0].iov_len != 0)
                              : real(fd, v, n);
}
