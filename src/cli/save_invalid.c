#define _GNU_SOURCE
#include "save_invalid.h"

#include "files.h"

#include <base/clock.h>
#include <base/mem.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_END   ".rejected"
#define FILE_MAX   (16 * MIB) /* the largest message that is opened, and its header */
#define NAME_CHARS 8u

struct saver {
    struct node_rejects rejects; /* first */
    struct log *log;
    char dir[PATH_BYTES - 32];
    uint32_t first, next; /* numbers on the disk: first up to next - 1 */
    uint64_t bytes;
    uint64_t second, dropped;
    unsigned this_second;
};

static const char *path_of(const struct saver *s, uint32_t number, char out[static PATH_BYTES])
{
    (void)snprintf(out, PATH_BYTES, "%s/%0*u" NAME_END, s->dir, (int)NAME_CHARS, number);
    return out;
}

/* The numbers that are there from before. */
static bool find_files(struct saver *s)
{
    DIR *d = opendir(s->dir);
    uint32_t low = UINT32_MAX, high = 0;

    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char *end;
        unsigned long n = strtoul(e->d_name, &end, 10);

        if (strspn(e->d_name, "0123456789") == NAME_CHARS && strcmp(end, NAME_END) == 0 && n != 0) {
            low = n < low ? (uint32_t)n : low;
            high = n > high ? (uint32_t)n : high;
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    s->first = low == UINT32_MAX ? 1 : low;
    s->next = high + 1;
    s->bytes = folder_bytes(s->dir);
    return d != NULL;
}

static void drop_oldest(struct saver *s)
{
    char path[PATH_BYTES];
    struct stat at;

    if (stat(path_of(s, s->first, path), &at) == 0) {
        uint64_t size = (uint64_t)at.st_blocks * 512;

        unlink(path);
        s->bytes -= size < s->bytes ? size : s->bytes;
    }
    s->first++;
}

static bool has_turn(struct saver *s, uint64_t wall_ns)
{
    uint64_t second = wall_ns / SECONDS(1);

    if (second != s->second) {
        if (s->dropped != 0) {
            LOG(s->log, LOG_WARN, "gossip", "rejected messages not kept: they come too fast",
                L_U64("messages", s->dropped));
        }
        s->second = second;
        s->this_second = 0;
        s->dropped = 0;
    }
    s->dropped += s->this_second >= SAVED_PER_SECOND;
    return s->this_second++ < SAVED_PER_SECOND;
}

static void on_rejected(struct node_rejects *self, const struct node_rejected *r)
{
    struct saver *s = (struct saver *)self;
    char path[PATH_BYTES];
    struct buf file;

    if (!has_turn(s, r->wall_ns)) {
        return;
    }
    while (s->next > s->first &&
           (s->next - s->first >= SAVED_FILES_MAX || s->bytes + r->raw.n > SAVED_BYTES_MAX)) {
        drop_oldest(s);
    }
    buf_init(&file, FILE_MAX);
    if (rejected_write(r, &file) != E_OK ||
        !file_write(path_of(s, s->next, path), buf_view(&file))) {
        LOG(s->log, LOG_WARN, "gossip", "a rejected message is not kept", L_STR("file", path),
            L_STR("why", strerror(errno)));
    } else {
        s->next++;
        s->bytes += (file.n + 4095) / 4096 * 4096;
    }
    buf_done(&file);
}

struct node_rejects *save_invalid_new(const char *dir, struct log *log,
                                      char error[static SAVE_INVALID_ERROR_MAX])
{
    struct saver *s = mem_zalloc(sizeof *s);
    bool fits = snprintf(s->dir, sizeof s->dir, "%s", dir) < (int)sizeof s->dir;

    s->rejects.rejected = on_rejected;
    s->log = log;
    errno = fits ? 0 : ENAMETOOLONG;
    if (fits && (mkdir(dir, 0700) == 0 || errno == EEXIST) && find_files(s) &&
        access(dir, W_OK | X_OK) == 0) {
        return &s->rejects;
    }
    (void)snprintf(error, SAVE_INVALID_ERROR_MAX, "--save-invalid %.100s: %s", dir,
                   strerror(errno));
    mem_free(s);
    return NULL;
}

void save_invalid_free(struct node_rejects *s)
{
    mem_free(s);
}
