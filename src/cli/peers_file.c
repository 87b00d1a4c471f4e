#define _GNU_SOURCE
#include "peers_file.h"

#include <errno.h>
#include <node/peers.h>
#include <stdio.h>

#define FILE_MAX (1 * MIB) /* thousands of records */

static bool read_whole(const char *path, struct buf *ret, char fault[static PEERS_FILE_FAULT_MAX])
{
    FILE *f = fopen(path, "rb");
    enum err e = E_OK;
    char piece[4096];

    errno = f == NULL ? errno : 0;
    for (size_t n; f != NULL && e == E_OK && (n = fread(piece, 1, sizeof piece, f)) > 0;) {
        e = buf_append(ret, piece, n);
    }
    bool ok = f != NULL && ferror(f) == 0 && e == E_OK;
    if (!ok) {
        snprintf(fault, PEERS_FILE_FAULT_MAX, "--peers-file %.200s: %s", path,
                 e != E_OK ? "over 1 MiB" : strerror(errno));
    }
    if (f != NULL) {
        fclose(f);
    }
    return ok;
}

bool peers_file_follow(const char *path, struct node *n, struct now now,
                       char fault[static PEERS_FILE_FAULT_MAX])
{
    char why[NODE_FAULT_MAX] = "";
    struct buf text;

    buf_init(&text, FILE_MAX);
    bool ok = read_whole(path, &text, fault);
    if (ok && node_peers_file(n, buf_view(&text), now, why) != E_OK) {
        snprintf(fault, PEERS_FILE_FAULT_MAX, "--peers-file %.200s: %s", path, why);
        ok = false;
    }
    buf_done(&text);
    return ok;
}
