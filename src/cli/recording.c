#define _GNU_SOURCE
#include "recording.h"

#include <base/mem.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROW \
    (16 * MIB) /* the file grows in such steps: its blocks are there before they are written */
#define NAME_CHARS 6u         /* of a folder: a start a minute for two years */
#define LEAST      (2 * GROW) /* less is no recording */

struct recording {
    struct record_out out; /* first */
    char dir[PATH_BYTES - 64], folder[PATH_BYTES - 32];
    uint64_t bytes_max;
    int fd;
    uint8_t *map;
    size_t n, there, max; /* written; allocated in the file; mapped */
    bool full, stopped;
};

static bool is_folder_name(const char *name)
{
    return strlen(name) == NAME_CHARS && strspn(name, "0123456789") == NAME_CHARS;
}

bool recording_next(const char *dir, unsigned *at, char ret_folder[static PATH_BYTES])
{
    DIR *d = opendir(dir);
    unsigned best = UINT32_MAX;

    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        unsigned number = is_folder_name(e->d_name) ? (unsigned)strtoul(e->d_name, NULL, 10) : 0;

        best = number > *at && number < best ? number : best;
    }
    if (d != NULL) {
        closedir(d);
    }
    if (best == UINT32_MAX) {
        return false;
    }
    *at = best;
    (void)snprintf(ret_folder, PATH_BYTES, "%s/%0*u", dir, (int)NAME_CHARS, best);
    return true;
}

/* The oldest go until the rest takes half: the other half is the new one's, at least. */
static bool make_room(const char *dir, uint64_t bytes_max)
{
    char folder[PATH_BYTES];
    unsigned at = 0;

    while (folder_bytes(dir) > bytes_max / 2 && recording_next(dir, &at, folder)) {
        if (!folder_remove(folder)) {
            return false;
        }
    }
    return true;
}

static bool make_folder(struct recording *r)
{
    char last[PATH_BYTES];
    unsigned at = 0;

    while (recording_next(r->dir, &at, last)) {
    }
    (void)snprintf(r->folder, sizeof r->folder, "%s/%0*u", r->dir, (int)NAME_CHARS, at + 1);
    return mkdir(r->folder, 0700) == 0;
}

static bool put(struct record_out *self, struct view head, struct view body)
{
    struct recording *r = (struct recording *)self;
    size_t more = head.n + body.n;

    if (r->stopped || r->full) {
        return false;
    }
    while (r->n + more > r->there) {
        if (r->there + GROW > r->max || posix_fallocate(r->fd, (off_t)r->there, GROW) != 0) {
            r->full = true;
            return false;
        }
        r->there += GROW;
    }
    memcpy(r->map + r->n, head.p, head.n);
    if (body.n != 0) {
        memcpy(r->map + r->n + head.n, body.p, body.n);
    }
    r->n += more;
    return true;
}

struct recording *recording_begin(const char *dir, uint64_t bytes_max,
                                  char error[static RECORDING_ERROR_MAX])
{
    struct recording *r = mem_zalloc(sizeof *r);
    const char *what = "cannot be made";

    r->out.put = put;
    r->fd = -1;
    r->bytes_max = bytes_max;
    if (snprintf(r->dir, sizeof r->dir, "%s", dir) >= (int)sizeof r->dir) {
        errno = ENAMETOOLONG;
    } else if ((mkdir(dir, 0700) == 0 || errno == EEXIST)) {
        what = make_room(dir, bytes_max) ? "a folder in it cannot be made"
                                         : "an old recording in it cannot be removed";
        if (make_folder(r)) {
            return r;
        }
    }
    (void)snprintf(error, RECORDING_ERROR_MAX, "--record %.120s: %s: %s", dir, what,
                   strerror(errno));
    mem_free(r);
    return NULL;
}

const char *recording_folder(const struct recording *r)
{
    return r->folder;
}

bool recording_open(struct recording *r, char error[static RECORDING_ERROR_MAX])
{
    char path[PATH_BYTES];
    uint64_t used = folder_bytes(r->dir);

    (void)snprintf(path, sizeof path, "%s/inputs", r->folder);
    if (used + LEAST > r->bytes_max) {
        (void)snprintf(error, RECORDING_ERROR_MAX,
                       "--record: what the node begins with takes %u MiB, which leaves no room in "
                       "--record-max; raise it, or begin with another --datadir",
                       (unsigned)(folder_bytes(r->folder) / MIB));
        return false;
    }
    r->max = (size_t)(r->bytes_max - used) / GROW * GROW;
    r->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    void *map =
        r->fd < 0 ? MAP_FAILED : mmap(NULL, r->max, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
    if (map == MAP_FAILED) {
        (void)snprintf(error, RECORDING_ERROR_MAX, "%.160s: %s", path, strerror(errno));
        return false;
    }
    r->map = map;
    return true;
}

struct record_out *recording_out(struct recording *r)
{
    return &r->out;
}

bool recording_full(const struct recording *r)
{
    return r->full;
}

void recording_stop(struct recording *r)
{
    r->stopped = true;
}

void recording_end(struct recording *r)
{
    if (r == NULL) {
        return;
    }
    if (r->map != NULL) {
        munmap(r->map, r->max);
        /* What was kept for more is given back; if that fails, a replay sees zeros behind the end.
         */
        (void)!ftruncate(r->fd, (off_t)r->n);
    }
    if (r->fd >= 0) {
        close(r->fd);
    }
    mem_free(r);
}
