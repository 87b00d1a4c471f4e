/*
 * Any bytes on a connection of the HTTP server, over a node that has a few blocks: no crash, no
 * answer of 500, and where the answer is JSON it is whole and an error's code is the status.
 *
 * Byte 0: bytes of one write to the socket, less one; 0: all at once. Then what the client sends.
 */
#include "../../../src/api/server.h"
#include "../dead_port.h"

#include <api/events.h>
#include <assert.h>
#include <base/mem.h>
#include <crypto/random.h>
#include <eth/schema.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCKS     3u
#define ANSWER_MAX (4 * MIB)
#define RUNS       64u /* turns of the server for one input: each takes a part of it */

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* ---- a node without a world ---- */

static struct node *make_node(struct log *log, struct metrics *metrics)
{
    static const char config[] =
        "PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nALTAIR_FORK_VERSION: 0x01000001\n"
        "ALTAIR_FORK_EPOCH: 0\nBELLATRIX_FORK_VERSION: 0x02000001\nBELLATRIX_FORK_EPOCH: 0\n"
        "CAPELLA_FORK_VERSION: 0x03000001\nCAPELLA_FORK_EPOCH: 0\nDENEB_FORK_VERSION: 0x04000001\n"
        "DENEB_FORK_EPOCH: 0\nELECTRA_FORK_VERSION: 0x05000001\nELECTRA_FORK_EPOCH: 0\n"
        "FULU_FORK_VERSION: 0x06000001\nFULU_FORK_EPOCH: 0\nSLOT_DURATION_MS: 6000\n"
        "GENESIS_TIME: 1700000000\n";
    static struct dead_port port;
    static struct rng_seeded rng;
    static struct ident ident;
    static const uint8_t root[32];
    char fault[NETWORK_FAULT_MAX];
    struct now now = {SECONDS(2), SECONDS(UINT64_C(1700000006))};
    struct network *net;
    struct node_config cfg;

    dead_port_init(&port, (struct now){SECONDS(2), SECONDS(UINT64_C(1700000600))});
    rng_seeded_init(&rng, 1);
    ident_random(&rng.base, &ident);
    if (network_parse(view_str(config), view_of(NULL, 0), "x", root, &net, fault) != E_OK) {
        abort();
    }
    node_config_default(&cfg);
    cfg.network = net;
    cfg.ident = &ident;
    cfg.log = log;
    cfg.metrics = metrics;
    cfg.discovery = false;
    cfg.make_blocks = true;
    cfg.target_peers = 4;
    struct node *node = node_new(&cfg, &port.port, &rng.base, now);
    if (node == NULL) {
        abort();
    }
    for (unsigned i = 0; i <= BLOCKS; i++) {
        const struct port_event tick = {.kind = i == 0 ? PORT_START : PORT_TICK};
        const struct port_event turn = {.kind = PORT_TURN};

        node_sink(node)->on(node_sink(node), &tick, now);
        node_sink(node)->on(node_sink(node), &turn, now);
        now.mono_ns += SECONDS(6);
        now.wall_ns += SECONDS(6);
    }
    return node;
}

static struct api *make_api(void)
{
    static const struct io_config quiet = {.signals = false};
    struct log *log = log_new(NULL, NULL, LOG_TEXT, LOG_ERROR);
    struct metrics *metrics = metrics_new();
    char error[EVENTS_ERROR_MAX];
    struct api_config cfg = {.metrics = metrics, .version = "fuzz/0", .log = log};
    struct io *io = io_new(&quiet, error);

    if (crypto_start() != E_OK || io == NULL || addr_parse("127.0.0.1:0", &cfg.listen) != E_OK) {
        abort();
    }
    schema_start();
    struct node *node = make_node(log, metrics);
    cfg.events = events_new(NULL, io, log, metrics, error);
    events_watch(cfg.events, node);
    struct api *api = api_new(&cfg, node, io, error);
    if (api == NULL) {
        abort();
    }
    return api;
}

/* ---- a client ---- */

static size_t take(int fd, char *to, size_t had)
{
    ssize_t n;

    while (had < ANSWER_MAX && (n = recv(fd, to + had, ANSWER_MAX - had, MSG_DONTWAIT)) > 0) {
        had += (size_t)n;
    }
    return had;
}

/* Sends in pieces of `cut`, lets the server run, and returns what it answered. */
static size_t talk(struct api *api, const uint8_t *p, size_t n, size_t cut, char *answer)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    int pair[2];
    size_t got = 0;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0 ||
        MHD_add_connection(api->daemon, pair[1], (const struct sockaddr *)&from, sizeof from) !=
            MHD_YES) {
        abort();
    }
    for (unsigned i = 0; i < RUNS; i++) {
        size_t piece = n < cut ? n : cut;
        ssize_t sent = piece == 0 ? 0 : send(pair[0], p, piece, MSG_NOSIGNAL);

        p += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
        MHD_run(api->daemon);
        got = take(pair[0], answer, got);
        if (n == 0 && i > 8) {
            break;
        }
    }
    streams_end(api); /* one that lasts does so no longer */
    MHD_run(api->daemon);
    got = take(pair[0], answer, got);
    close(pair[0]);
    for (unsigned i = 0; i < 4; i++) {
        MHD_run(api->daemon); /* the server finds its end */
    }
    return got;
}

/* ---- what it answered ---- */

static const char *header(const char *head, const char *name)
{
    const char *at = strstr(head, name);

    return at == NULL ? NULL : at + strlen(name);
}

/* The first answer; those behind it are of the same making. */
static void check_answer(char *text, size_t n)
{
    char *end;

    text[n] = '\0';
    if (n == 0) {
        return; /* the request was not whole */
    }
    assert(strncmp(text, "HTTP/1.", 7) == 0);
    unsigned long status = strtoul(text + 9, NULL, 10);
    assert(status >= 100 && status < 600 && status != MHD_HTTP_INTERNAL_SERVER_ERROR);
    if ((end = strstr(text, "\r\n\r\n")) == NULL) {
        return;
    }
    *end = '\0';
    const char *length = header(text, "\r\nContent-Length: ");
    const char *type = header(text, "\r\nContent-Type: application/json");
    size_t body = (size_t)(text + n - (end + 4));
    if (length == NULL || type == NULL || strtoul(length, NULL, 10) > body || body == 0) {
        return; /* of another making, of HEAD, or a stream */
    }
    json_t *j = json_loadb(end + 4, strtoul(length, NULL, 10), 0, NULL);
    assert(j != NULL);
    if (status >= 400) {
        assert(json_integer_value(json_object_get(j, "code")) == (json_int_t)status);
        assert(json_is_string(json_object_get(j, "message")));
    }
    json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct api *api;
    static char *answer;

    if (api == NULL) {
        api = make_api();
        answer = mem_alloc(ANSWER_MAX + 1);
    }
    if (n < 2) {
        return 0;
    }
    size_t got = talk(api, p + 1, n - 1, p[0] == 0 ? n : p[0], answer);
    check_answer(answer, got);
    assert(api->bodies == 0 && api->clients == NULL && api->working == NULL);
    return 0;
}
