/*
 * Programs that say anything to a node: no crash, no leak, nothing kept when they are gone; what
 * they hear are frames of the daemon's side, WELCOME or BYE first, and a BYE is the last.
 *
 * Byte 0: bit 0: HELLO and a judge's SUBSCRIBE go first; the others: bytes of one cut. Then frames.
 */
#include "../dead_port.h"

#include <assert.h>
#include <base/clock.h>
#include <crypto/random.h>
#include <eth/schema.h>
#include <node/control.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* ---- a node without a world ---- */

static const struct now when = {SECONDS(2), SECONDS(UINT64_C(1700000600))};

static struct node *make_node(void)
{
    static const char config[] =
        "PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nALTAIR_FORK_VERSION: 0x01000001\n"
        "ALTAIR_FORK_EPOCH: 0\nSLOT_DURATION_MS: 6000\nGENESIS_TIME: 1700000000\n";
    static struct dead_port port;
    static struct rng_seeded rng;
    static struct ident ident;
    static const uint8_t root[32];
    const struct port_event start = {.kind = PORT_START};
    char fault[NETWORK_FAULT_MAX];
    struct network *net;
    struct node_config cfg;

    if (crypto_start() != E_OK) {
        abort();
    }
    schema_start();
    dead_port_init(&port, when);
    rng_seeded_init(&rng, 1);
    ident_random(&rng.base, &ident);
    if (network_parse(view_str(config), view_of(NULL, 0), "x", root, &net, fault) != E_OK) {
        abort();
    }
    node_config_default(&cfg);
    cfg.network = net;
    cfg.ident = &ident;
    cfg.log = log_new(NULL, NULL, LOG_TEXT, LOG_ERROR);
    cfg.metrics = metrics_new();
    cfg.discovery = false;
    cfg.target_peers = 4;
    struct node *node = node_new(&cfg, &port.port, &rng.base, when);
    if (node == NULL) {
        abort();
    }
    node_sink(node)->on(node_sink(node), &start, when);
    return node;
}

/* ---- a program ---- */

static void say(struct node *node, uint32_t client, struct view bytes, size_t cut)
{
    while (bytes.n != 0 && !control_over(node, client)) {
        size_t n = bytes.n < cut ? bytes.n : cut;

        control_feed(node, client, view_of(bytes.p, n), when);
        bytes = view_skip(bytes, n);
    }
}

static void polite(struct node *node, uint32_t client)
{
    const struct control_frame first[] = {
        {.kind = CONTROL_HELLO, .low = 1, .high = 1},
        {.kind = CONTROL_SUBSCRIBE, .mode = CONTROL_JUDGE, .topic = view_str("*")},
    };
    struct buf b;

    buf_init(&b, 256);
    for (size_t i = 0; i < ARRAY_LEN(first); i++) {
        enum err e = control_encode(&first[i], &b);
        assert(e == E_OK);
    }
    say(node, client, buf_view(&b), b.n);
    buf_done(&b);
}

static void hear(struct node *node, uint32_t client)
{
    struct view out = control_output(node, client), frame;
    struct control_frame f = {.kind = CONTROL_RESULT};
    bool first = true;

    while (out.n != 0) {
        assert(f.kind != CONTROL_BYE);
        enum err e = control_split(&out, &frame);
        assert(e == E_OK);
        e = control_decode(frame, false, &f);
        assert(e == E_OK);
        assert(!first || f.kind == CONTROL_WELCOME || f.kind == CONTROL_BYE);
        first = false;
    }
    assert(f.kind != CONTROL_BYE || control_over(node, client));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct node *node;
    const struct port_event turn = {.kind = PORT_TURN};

    if (node == NULL) {
        node = make_node();
    }
    if (n == 0) {
        return 0;
    }
    uint32_t client = control_open(node);
    assert(client == 0); /* the one before is gone */
    if ((p[0] & 1) != 0) {
        polite(node, client);
    }
    say(node, client, view_of(p + 1, n - 1), 1 + (size_t)(p[0] >> 1) * 8);
    node_sink(node)->on(node_sink(node), &turn, when);
    hear(node, client);
    control_close(node, client, when);
    return 0;
}
