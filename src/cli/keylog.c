#define _GNU_SOURCE
#include "keylog.h"

#include <base/mem.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct keylog_file {
    struct keylog base;
    FILE *file;
};

/* A disk that is full loses lines, and the connection they are of goes on. */
static void put_line(struct keylog *k, const char *text)
{
    FILE *file = ((struct keylog_file *)k)->file;

    fputs(text, file);
    fputc('\n', file);
    fflush(file); /* who watches the capture live needs the line now */
}

struct keylog *keylog_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    /* One that was there before has its old mode: these are secrets whoever made the file. */
    struct stat at;
    bool ours = fd >= 0 && fstat(fd, &at) == 0 && (!S_ISREG(at.st_mode) || fchmod(fd, 0600) == 0);
    FILE *file = ours ? fdopen(fd, "a") : NULL;

    if (file == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    struct keylog_file *k = mem_alloc(sizeof *k);
    *k = (struct keylog_file){.base = {put_line}, .file = file};
    return &k->base;
}

void keylog_close(struct keylog *k)
{
    if (k != NULL) {
        fclose(((struct keylog_file *)k)->file);
        mem_free(k);
    }
}
