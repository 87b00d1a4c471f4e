/*
 * beacon-p2pd watch, beacon-p2pd publish: a running daemon's gossip from the command line. They are
 * programs on its control socket like any other, and the first users of libp2pd: nothing here knows
 * the daemon.
 */
#include "commands.h"
#include "ssz_common.h"

#include <base/buf.h>
#include <base/mem.h>
#include <errno.h>
#include <inttypes.h>
#include <p2pd/p2pd.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define ANSWER_MS 30000
#define HASH_TEXT 41u

struct options {
    const char *command, *socket;
    uint64_t count;
    bool data;
    char **words;
    int n_words;
};

static int wrong(const struct options *o, const char *what, const char *why)
{
    fprintf(stderr, "beacon-p2pd %s: %s%s%s; see beacon-p2pd %s --help\n", o->command, what,
            why[0] == '\0' ? "" : " ", why, o->command);
    return 2;
}

static int failed(const struct options *o, const char *what, int e)
{
    fprintf(stderr, "beacon-p2pd %s: %s: %s%s%s\n", o->command, what, p2pd_error_text(e),
            e == P2PD_SYSTEM ? ": " : "", e == P2PD_SYSTEM ? strerror(errno) : "");
    return 1;
}

/* The words that are no flags are left in o->words. */
static int parse(struct options *o, int argc, char **argv)
{
    char *end;

    o->words = argv + 1;
    for (int i = 1; i < argc; i++) {
        bool socket = strcmp(argv[i], "--control-socket") == 0;

        if (strcmp(argv[i], "--data") == 0) {
            o->data = true;
        } else if (socket || strcmp(argv[i], "--count") == 0) {
            const char *value = ++i < argc ? argv[i] : "";
            errno = 0;
            uint64_t count = socket ? 0 : strtoull(value, &end, 10);
            if (value[0] == '\0' || (!socket && (*end != '\0' || errno != 0 || count == 0))) {
                return wrong(o, argv[i - 1], "needs a value");
            }
            o->socket = socket ? value : o->socket;
            o->count = socket ? o->count : count;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            return wrong(o, argv[i], "is not known");
        } else {
            o->words[o->n_words++] = argv[i];
        }
    }
    return o->socket == NULL ? wrong(o, "--control-socket PATH", "is needed: DATADIR/control.sock")
                             : 0;
}

/* The RESULT of `tag`; other events on the way are passed by. */
static int await(const struct options *o, struct p2pd *p, int tag, const char *what)
{
    struct p2pd_event ev;
    int e = tag;

    while (e > 0 && (e = p2pd_wait(p, &ev, ANSWER_MS)) > 0) {
        if (ev.kind != P2PD_EV_RESULT || ev.tag != (uint32_t)tag) {
            continue;
        }
        if (ev.code != P2PD_CODE_OK) {
            fprintf(stderr, "beacon-p2pd %s: %s: %.*s\n", o->command, what, (int)ev.text.n,
                    (const char *)ev.text.p);
        }
        return ev.code == P2PD_CODE_OK ? 0 : 1;
    }
    return e == 0 ? wrong(o, what, "is not answered") : failed(o, what, e);
}

/* ---- watch ---- */

static char *hex_text(struct p2pd_bytes v, char *out)
{
    for (size_t i = 0; i < v.n; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", v.p[i]);
    }
    out[2 * v.n] = '\0';
    return out;
}

static int print_message(const struct p2pd_event *ev, bool with_data)
{
    char peer[P2PD_PEER_TEXT_MAX], id[HASH_TEXT], time[32];
    char *data = with_data ? mem_alloc(2 * ev->data.n + 1) : NULL;

    (void)snprintf(time, sizeof time, "%" PRIu64, ev->time);
    json_t *line =
        json_pack("{s:s, s:s%, s:s, s:s, s:I}", "time_ns", time, "topic", (const char *)ev->topic.p,
                  ev->topic.n, "peer", p2pd_peer_text(ev->peer, peer), "id",
                  hex_text((struct p2pd_bytes){ev->hash, sizeof ev->hash}, id), "size",
                  (json_int_t)ev->data.n);
    if (line != NULL && data != NULL) {
        json_object_set_new(line, "data", json_string(hex_text(ev->data, data)));
    }
    int e = line == NULL ? -1 : json_dumpf(line, stdout, JSON_COMPACT);
    json_decref(line);
    mem_free(data);
    putchar('\n');
    return e == 0 && fflush(stdout) == 0 ? 0 : 1;
}

int cmd_watch(int argc, char **argv)
{
    static char all[] = "*";
    struct options o = {.command = "watch", .count = UINT64_MAX};
    struct p2pd_event ev;
    struct p2pd *p;
    int code = parse(&o, argc, argv);

    if (code != 0) {
        return code;
    }
    if (o.n_words == 0) {
        o.words[o.n_words++] = all;
    }
    int e = p2pd_connect(&p, o.socket, "beacon-p2pd watch");
    if (e != P2PD_OK) {
        return failed(&o, o.socket, e);
    }
    for (int i = 0; code == 0 && i < o.n_words; i++) {
        code = await(&o, p, p2pd_subscribe(p, P2PD_WATCH, o.words[i]), o.words[i]);
    }
    for (uint64_t seen = 0; code == 0 && seen < o.count;) {
        e = p2pd_wait(p, &ev, -1);
        if (e <= 0) {
            code = failed(&o, o.socket, e);
        } else if (ev.kind == P2PD_EV_MESSAGE) {
            code = print_message(&ev, o.data);
            seen++;
        } else if (ev.kind == P2PD_EV_LOST) {
            fprintf(stderr, "beacon-p2pd watch: %" PRIu64 " messages were lost: read faster\n",
                    ev.count);
        }
    }
    p2pd_close(p);
    return code;
}

/* ---- publish ---- */

int cmd_publish(int argc, char **argv)
{
    struct options o = {.command = "publish"};
    struct buf data;
    struct p2pd *p;
    int code = parse(&o, argc, argv);

    if (code != 0) {
        return code;
    }
    if (o.n_words < 1 || o.n_words > 2) {
        return wrong(&o, "TOPIC and one FILE are wanted", "");
    }
    buf_init(&data, P2PD_DATA_MAX);
    if (!ssz_read_file(o.n_words == 2 ? o.words[1] : "-", &data)) {
        buf_done(&data);
        return 1;
    }
    int e = p2pd_connect(&p, o.socket, "beacon-p2pd publish");
    code = e != P2PD_OK
               ? failed(&o, o.socket, e)
               : await(&o, p, p2pd_publish(p, o.words[0], p2pd_bytes(data.p, data.n)), o.words[0]);
    p2pd_close(p);
    buf_done(&data);
    return code;
}
