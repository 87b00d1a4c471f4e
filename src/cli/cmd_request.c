/*
 * beacon-p2pd request PEER PROTOCOL ARGS: one request, and what the peer answers, printed or saved.
 * beacon-p2pd status PEER, beacon-p2pd metadata PEER: the short forms.
 *
 * A status goes first, as peers expect of who dials them; what they ask meanwhile is answered.
 */
#include "commands.h"
#include "dialler.h"
#include "request_args.h"
#include "request_out.h"

#include <base/mem.h>
#include <crypto/random.h>
#include <errno.h>
#include <eth/slot_clock.h>
#include <inttypes.h>
#include <net/rpc.h>
#include <node/method_row.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define TIMEOUT_S   15u /* to a first chunk, and from one to the next */
#define REQUEST_MAX (1 * MIB)

struct session {
    struct dialler d; /* first */
    struct rpc *rpc;
    struct network *network;
    struct method_info methods[METHOD_COUNT];
    struct rpc_method rows[METHOD_COUNT];
    const char *protocol, *save, *network_name, *testnet_dir;
    char **words;
    int n_words;
    bool json, has_digest;
    uint8_t digest[4];
    unsigned timeout_s;
    enum method method;
    struct buf request;
    bool asked;
    uint64_t id; /* of the request; before asked of the status */
    unsigned chunks;
};

/* ---- asking ---- */

static void send_request(struct session *s, enum method m, struct view ssz, struct now now)
{
    enum err e = rpc_request(s->rpc, s->d.conn, (size_t)m, ssz, s->methods[m].chunks_max,
                             SECONDS(s->timeout_s), NULL, now, &s->id);

    if (e != E_OK) {
        dialler_fail(&s->d, "the request cannot be sent", err_text(e));
    }
}

static void ask(struct session *s, struct now now)
{
    s->asked = true;
    s->d.end_ns = NEVER; /* from now on each chunk has its own time */
    send_request(s, s->method, buf_view(&s->request), now);
}

/* The status that a dialler owes. Its answer, whatever it is, is followed by the request. */
static void greet(struct session *s, struct now now)
{
    enum fork f = network_fork_at(s->network, epoch_now(s->network, now.wall_ns));
    enum method m = method_newest(METHOD_status_1, f);
    char fault[REQUEST_FAULT_MAX];
    struct buf out;

    if (s->methods[s->method].name == s->methods[METHOD_status_1].name) {
        ask(s, now);
        return;
    }
    buf_init(&out, REQUEST_MAX);
    if (request_bytes(&s->methods[m], s->digest, NULL, 0, &out, fault) == E_OK) {
        send_request(s, m, buf_view(&out), now);
    }
    buf_done(&out);
}

/* What the peer asks of us: its own status back, no metadata worth the name, its number. */
static void answer(struct session *s, const struct rpc_event *ev)
{
    const struct method_info *m = &s->methods[ev->method];
    uint8_t zeros[64] = {0};
    struct view ssz = ev->data;

    if (strcmp(m->name, "metadata") == 0) {
        ssz = view_of(zeros, m->chunk_min);
    } else if (strcmp(m->name, "goodbye") == 0) {
        fprintf(stderr, "beacon-p2pd %s: the peer says goodbye, reason %" PRIu64 "\n", s->d.command,
                ev->data.n == 8 ? load_le64(ev->data.p) : 0);
    }
    IGNORE(rpc_reply_chunk(s->rpc, ev->call, NULL, ssz), "it asks again");
    rpc_reply_end(s->rpc, ev->call);
}

static void on_failed(struct session *s, const struct rpc_event *ev)
{
    char text[REQRESP_ERROR_TEXT_MAX + 64];
    size_t at;

    if (s->method == METHOD_goodbye_1) { /* heard, and nobody answers it */
        dialler_finish(&s->d, 0);
        return;
    }
    if (ev->error != E_REQRESP_CODE) {
        dialler_fail(&s->d, err_text(ev->error), err_table[ev->error].name);
        return;
    }
    at = (size_t)snprintf(text, sizeof text, "%u ", ev->code);
    for (size_t i = 0; i < ev->data.n && at + 1 < sizeof text;
         i++) { /* a remote's text: any bytes */
        text[at++] = ev->data.p[i] >= ' ' && ev->data.p[i] < 127 ? (char)ev->data.p[i] : '?';
    }
    text[at] = '\0';
    dialler_fail(&s->d, "the peer answers with error", text);
}

static void on_rpc(struct session *s, const struct rpc_event *ev, struct now now)
{
    enum err e;

    switch (ev->kind) {
    case RPC_CALLED:
        answer(s, ev);
        break;
    case RPC_CHUNK:
        if (!s->asked) {
            break;
        }
        s->chunks++;
        e = method_check_chunk(&s->methods[ev->method], ev->context, ev->data);
        if (e != E_OK) {
            dialler_fail(&s->d, err_text(e), err_table[e].name);
        } else if (s->save != NULL &&
                   !request_save(s->save, &s->methods[ev->method], ev->data, s->chunks)) {
            dialler_fail(&s->d, s->save, strerror(errno));
        } else {
            request_print(&s->methods[ev->method], ev, s->chunks, s->json);
        }
        break;
    case RPC_DONE:
    case RPC_FAILED:
        if (!s->asked) {
            ask(s, now);
        } else if (ev->kind == RPC_FAILED) {
            on_failed(s, ev);
        } else {
            dialler_finish(&s->d, 0);
        }
        break;
    case RPC_WRITABLE:
    case RPC_DROPPED:
    case RPC_REFUSED:
    case RPC_NONE:
        break;
    }
}

/* ---- the run ---- */

static void on_host(struct dialler *d, const struct host_event *ev, struct now now)
{
    struct session *s = (struct session *)d;

    switch (ev->kind) {
    case HOST_CONNECTED:
        greet(s, now);
        break;
    case HOST_DIAL_FAILED:
        dialler_fail(d, ev->text, err_table[ev->error].name);
        break;
    case HOST_DISCONNECTED:
        if (!(s->asked && s->method == METHOD_goodbye_1) &&
            (d->end_ns != NEVER || ev->error != E_SHUTDOWN)) {
            dialler_fail(d, "the connection ended", err_text(ev->error));
        } else {
            dialler_finish(d, 0);
        }
        break;
    case HOST_IDENTIFIED:
    case HOST_PONG:
    case HOST_INBOUND_FAILED:
    case HOST_REFUSED:
    case HOST_NONE:
        break;
    }
}

static uint64_t turn(struct dialler *d, struct now now)
{
    struct session *s = (struct session *)d;
    struct rpc_event r;

    while (rpc_next(s->rpc, &r)) {
        on_rpc(s, &r, now);
    }
    return rpc_deadline(s->rpc);
}

static void make_rpc(struct dialler *d)
{
    struct session *s = (struct session *)d;

    for (enum method i = 0; i < METHOD_COUNT; i++) {
        struct method_info *m = &s->methods[i];

        s->rows[i] = method_row(m);
        s->rows[i].accept = !m->has_context && m->chunks_max == 1;
    }
    s->rpc = rpc_new(d->host, s->rows, METHOD_COUNT, random_system());
}

static void done(struct dialler *d)
{
    rpc_free(((struct session *)d)->rpc);
}

/* ---- the command line ---- */

static bool read_digest(struct session *s, const char *text)
{
    unsigned x[4];
    int end = 0;

    text += strncmp(text, "0x", 2) == 0 ? 2 : 0;
    if (strlen(text) != 8 ||
        sscanf(text, "%2x%2x%2x%2x%n", &x[0], &x[1], &x[2], &x[3], &end) != 4 || end != 8) {
        return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        s->digest[i] = (uint8_t)x[i];
    }
    return s->has_digest = true;
}

/* NULL: taken; else what is wrong with the option. */
static const char *take_option(struct session *s, const char *name, const char *value)
{
    if (value == NULL) {
        return "needs a value";
    }
    if (strcmp(name, "--network") == 0) {
        s->network_name = value;
    } else if (strcmp(name, "--testnet-dir") == 0) {
        s->testnet_dir = value;
    } else if (strcmp(name, "--save") == 0) {
        s->save = value;
    } else if (strcmp(name, "--digest") == 0) {
        return read_digest(s, value) ? NULL : "needs 4 bytes in hex";
    } else if (strcmp(name, "--timeout") == 0) {
        s->timeout_s = (unsigned)strtoul(value, NULL, 10);
        return s->timeout_s >= 1 && s->timeout_s <= 3600 ? NULL : "needs seconds, 1 to 3600";
    } else if (strcmp(name, "--dns-server") == 0) {
        return dialler_dns(&s->d, value);
    } else {
        return "is not known";
    }
    return NULL;
}

static bool load_network(struct session *s)
{
    char fault[NETWORK_FAULT_MAX];
    enum err e = s->testnet_dir != NULL ? network_load_dir(s->testnet_dir, &s->network, fault)
                                        : network_builtin(s->network_name, &s->network, fault);

    if (e != E_OK) {
        fprintf(stderr, "beacon-p2pd %s: %s\n", s->d.command, fault);
        return false;
    }
    for (enum method i = 0; i < METHOD_COUNT; i++) {
        IGNORE(method_describe(s->network, i, &s->methods[i]), "every row has its types");
    }
    return true;
}

/* Which request, and its bytes. */
static int prepare(struct session *s)
{
    char fault[REQUEST_FAULT_MAX];
    struct timespec at;

    if (!load_network(s)) {
        return 2;
    }
    timespec_get(&at, TIME_UTC);
    uint64_t epoch = epoch_now(s->network, SECONDS(at.tv_sec));
    if (!s->has_digest) {
        memcpy(s->digest, network_span_at(s->network, epoch)->digest, 4);
    }
    if (!request_method(s->protocol, network_fork_at(s->network, epoch), &s->method)) {
        return dialler_wrong(&s->d, s->protocol, "is no protocol of ours");
    }
    if (request_bytes(&s->methods[s->method], s->digest, s->words, s->n_words, &s->request,
                      fault) != E_OK) {
        fprintf(stderr, "beacon-p2pd %s: %s\n", s->d.command, fault);
        return 2;
    }
    if (s->save != NULL && mkdir(s->save, 0777) != 0 && errno != EEXIST) {
        return dialler_wrong(&s->d, s->save, strerror(errno));
    }
    return dialler_run(&s->d);
}

static int begin(struct session *s, int argc, char **argv)
{
    const char *peer = NULL;
    int i = 1;

    for (; i < argc && (peer == NULL || s->protocol == NULL || argv[i][0] == '-'); i++) {
        if (strcmp(argv[i], "--json") == 0) {
            s->json = true;
        } else if (argv[i][0] == '-') {
            const char *why = take_option(s, argv[i], i + 1 < argc ? argv[i + 1] : NULL);

            if (why != NULL) {
                return dialler_wrong(&s->d, argv[i], why);
            }
            i++;
        } else if (peer == NULL) {
            peer = argv[i];
        } else {
            s->protocol = argv[i];
        }
    }
    if (peer == NULL || s->protocol == NULL) {
        return command_usage(s->d.command, stderr);
    }
    s->words = argv + i;
    s->n_words = argc - i;
    const char *why = peer_arg_read(&s->d.peer, peer);
    return why == NULL ? prepare(s) : dialler_wrong(&s->d, peer, why);
}

static int command(const char *name, const char *protocol, int argc, char **argv)
{
    static const struct dialler_ops ops = {
        .made = make_rpc, .on_host = on_host, .turn = turn, .done = done};
    struct session *s = mem_zalloc(sizeof *s);

    s->d.ops = &ops;
    s->d.command = name;
    s->protocol = protocol;
    s->network_name = "mainnet";
    s->timeout_s = TIMEOUT_S;
    buf_init(&s->request, REQUEST_MAX);
    int code = begin(s, argc, argv);
    buf_done(&s->request);
    network_free(s->network);
    mem_free(s);
    return code;
}

int cmd_request(int argc, char **argv)
{
    return command("request", NULL, argc, argv);
}

int cmd_status(int argc, char **argv)
{
    return command("status", "status", argc, argv);
}

int cmd_metadata(int argc, char **argv)
{
    return command("metadata", "metadata", argc, argv);
}
