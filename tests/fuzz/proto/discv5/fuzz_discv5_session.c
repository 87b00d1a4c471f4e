/*
 * Two honest engines, and an attacker between them who follows the input: he delivers, drops,
 * holds back, repeats, changes, redirects and invents packets, and the clock goes on as he likes.
 * The two restart without memory, and move to other addresses.
 *
 * Whatever he does: no crash, no more answers than questions, no session but with the other honest
 * node (he has no key), and once he stops, the two talk again within seconds.
 */
#include "play_net.h"

#include <assert.h>
#include <base/mem.h>

#define TAPE 32u /* packets that he remembers */

struct attack {
    struct net *net;
    struct rd ops;
    struct flight tape[TAPE];
    size_t n; /* ever seen; the last TAPE are kept */
    size_t asked[2], lookups[2], moves;
};

/* He sees each packet when it is sent, and keeps it: nothing is delivered but by him. */
static bool keep(struct net *net, const struct flight *f, void *self)
{
    struct attack *a = self;
    struct flight *at = &a->tape[a->n++ % TAPE];

    (void)net;
    blob_unref(at->bytes);
    *at = *f;
    at->bytes = blob_ref(f->bytes);
    return false;
}

static void feed(struct attack *a, const struct addr *from, size_t to, struct view v)
{
    struct net *net = a->net;
    struct blob *copy = blob_copy(v); /* of its exact size, for ASan */

    IGNORE(discv5_feed(net->nodes[to].engine, from, blob_view(copy), net->now), "an attack");
    blob_unref(copy);
    net_pump(net, to);
}

static void feed_changed(struct attack *a, const struct flight *f, unsigned how)
{
    uint8_t bytes[DISCV5_PACKET_MAX];
    size_t n = f->bytes->n, to = net_index(&f->to) & 1;
    struct addr from = f->from;

    memcpy(bytes, f->bytes->b, n);
    switch (how % 4) {
    case 0:
        bytes[rd_be16(&a->ops) % n] ^= (uint8_t)(1u << rd_u8(&a->ops) % 8);
        break;
    case 1:
        n = rd_be16(&a->ops) % (n + 1);
        break;
    case 2:
        from.port ^= 1;
        break;
    case 3: /* back to its sender, as if from the other */
        from = f->to;
        to ^= 1;
        break;
    }
    feed(a, &from, to, view_of(bytes, n));
}

static void ask(struct attack *a, unsigned how)
{
    struct net *net = a->net;
    size_t from = how & 1;
    struct net_node *n = &net->nodes[from];
    const struct enr *to = &net->nodes[from ^ 1].enr;
    const uint16_t distances[] = {0, 256, 255};
    struct node_id target = {{(uint8_t)how}};
    uint64_t request;
    uint32_t lookup;
    enum err e = E_LIMIT; /* any of them may be full */

    switch (how >> 1 & 3) {
    case 0:
        e = discv5_ping(n->engine, to, net->now, &request);
        break;
    case 1:
        e = discv5_find_node(n->engine, to, distances, 3, net->now, &request);
        break;
    case 2:
        e = discv5_talk(n->engine, to, view_str(how & 64 ? "t" : "echo"), view_str("x"), net->now,
                        &request);
        break;
    case 3:
        a->lookups[from] += discv5_lookup(n->engine, &target, net->now, &lookup) == E_OK;
        break;
    }
    a->asked[from] += e == E_OK;
    net_pump(net, from);
}

static void restart_or_move(struct attack *a, unsigned arg)
{
    struct addr to = a->net->nodes[arg & 1].addr;

    if ((arg & 2) == 0) {
        net_restart(a->net, arg & 1);
        return;
    }
    to.ip[3]++; /* net_index() does not look there */
    net_move(a->net, arg & 1, &to);
    a->moves++;
}

static void one_op(struct attack *a)
{
    unsigned op = rd_u8(&a->ops), arg = rd_u8(&a->ops);
    const struct flight *f = &a->tape[arg % TAPE];

    switch (op % 8) {
    case 0:
    case 1:
        ask(a, arg);
        return;
    case 2:
        net_run(a->net, MILLIS(1) << arg % 13);
        return;
    case 3:
        restart_or_move(a, arg);
        return;
    case 4:
        feed(a, &a->net->nodes[arg & 1].addr, arg >> 1 & 1, rd_take(&a->ops, arg % 80));
        return;
    default:
        break;
    }
    if (f->bytes == NULL) {
        return;
    }
    if (op % 8 == 5) {
        struct flight copy = *f; /* the tape moves on while it is delivered */

        copy.bytes = blob_ref(f->bytes);
        feed_changed(a, &copy, op >> 3);
        blob_unref(copy.bytes);
    } else { /* as it is: late, again, or in time */
        struct blob *bytes = blob_ref(f->bytes);

        feed(a, &f->from, net_index(&f->to) & 1, blob_view(bytes));
        blob_unref(bytes);
    }
}

static void check(const struct attack *a)
{
    const struct net *net = a->net;

    for (size_t i = 0; i < 2; i++) {
        const struct net_node *n = &net->nodes[i];
        const struct enr *live[4];
        size_t nodes = n->counts[DISCV5_NODES] - (size_t)n->finds;

        /* Each question ends once at the most: a restart forgets some. */
        assert(n->counts[DISCV5_PONG] + n->counts[DISCV5_TALKRESP] + n->counts[DISCV5_FAILED] +
                   nodes <=
               a->asked[i]);
        assert(n->counts[DISCV5_LOOKUP_DONE] <= a->lookups[i]);
        assert(n->finds <= 16 * nodes + 16);
        assert(discv5_session_count(n->engine) <= 1 + a->moves);
        assert(discv5_table_size(n->engine) <= 1);
        assert(discv5_table(n->engine, live, 4) == 0 ||
               node_id_eq(&live[0]->id, &net->nodes[i ^ 1].enr.id));
    }
}

/* He is gone: after the time that a node is left alone for, all is well. */
static void recovers(struct net *net)
{
    net->filter = NULL;
    for (size_t i = 0; i < 2; i++) {
        size_t before;
        uint64_t request;

        net_run(net, SECONDS(10));
        before = net->nodes[i].counts[DISCV5_PONG];
        assert(discv5_ping(net->nodes[i].engine, &net->nodes[i ^ 1].enr, net->now, &request) ==
               E_OK);
        net_pump(net, i);
        net_run(net, SECONDS(3));
        assert(net->nodes[i].counts[DISCV5_PONG] > before);
    }
}

/* Small tables: they are cleared at every birth. */
static void tune(struct discv5_config *cfg)
{
    cfg->sessions_max = cfg->challenges_max = 16;
    cfg->requests_max = 32;
    cfg->records_max = 64;
    cfg->lookups_max = 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct attack a = {.ops = rd_of(view_of(p, n < 600 ? n : 600))};

    a.net = net_new(&(struct net_config){
        .seed = 1, .n = 2, .latency_min_ns = MILLIS(5), .latency_max_ns = MILLIS(5), .tune = tune});
    a.net->filter = keep;
    a.net->filter_self = &a;
    while (!a.ops.bad && rd_left(&a.ops) > 0) {
        one_op(&a);
        check(&a);
    }
    recovers(a.net);
    for (size_t i = 0; i < TAPE; i++) {
        blob_unref(a.tape[i].bytes);
    }
    net_free(a.net);
    return 0;
}
