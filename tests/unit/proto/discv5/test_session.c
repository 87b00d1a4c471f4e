/* Two or three engines: handshakes in both roles, and what an attacker makes of them. */
#include "../../../../src/proto/discv5/engine.h"
#include "play_net.h"

#include <base/mem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct net *pair(uint64_t seed, size_t n)
{
    return net_new(&(struct net_config){
        .seed = seed, .n = n, .latency_min_ns = MILLIS(10), .latency_max_ns = MILLIS(30)});
}

static void ask_ping(struct net *net, size_t from, size_t to)
{
    uint64_t request;

    assert_int_equal(discv5_ping(net->nodes[from].engine, &net->nodes[to].enr, net->now, &request),
                     E_OK);
    net_pump(net, from);
}

/* Spec: devp2p discv5/discv5-theory.md "Handshake Steps" */
static void a_ping_opens_a_session_and_is_answered(void **state)
{
    struct net *net = pair(1, 2);

    (void)state;
    ask_ping(net, 0, 1);
    net_run(net, MILLIS(400));
    assert_int_equal(net->nodes[0].counts[DISCV5_PONG], 1);
    assert_true(addr_eq(&net->nodes[0].last.from, &net->nodes[0].addr));
    assert_int_equal(discv5_session_count(net->nodes[0].engine), 1);
    assert_int_equal(discv5_session_count(net->nodes[1].engine), 1);
    assert_int_equal(discv5_live_count(net->nodes[0].engine), 1);
    /* Each of the two found the other by this ping alone. */
    net_run(net, SECONDS(5));
    assert_int_equal(discv5_live_count(net->nodes[1].engine), 1);
    assert_int_equal(net->nodes[1].counts[DISCV5_LIVE], 2); /* shook hands; answered our check */
    net_free(net);
}

/* Spec: devp2p discv5/discv5-wire.md "Handshake Implementation Considerations" */
static void requests_wait_while_a_handshake_is_under_way(void **state)
{
    struct net *net = pair(2, 2);
    const uint16_t zero[] = {0};
    uint64_t request;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        ask_ping(net, 0, 1);
        assert_int_equal(
            discv5_find_node(net->nodes[0].engine, &net->nodes[1].enr, zero, 1, net->now, &request),
            E_OK);
    }
    net_pump(net, 0);
    assert_int_equal(net->packets, 1); /* one opens, all others wait */
    net_run(net, MILLIS(400));
    assert_int_equal(net->nodes[0].counts[DISCV5_PONG], 20);
    assert_int_equal(net->nodes[0].finds, 20);
    assert_int_equal(net->nodes[0].counts[DISCV5_FAILED], 0);
    net_free(net);
}

static void both_may_open_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct net *net = pair(seed, 2);

        ask_ping(net, 0, 1);
        ask_ping(net, 1, 0);
        net_run(net, MILLIS(300));
        assert_int_equal(net->nodes[0].counts[DISCV5_PONG], 1);
        assert_int_equal(net->nodes[1].counts[DISCV5_PONG], 1);
        /* And both ways of talking stay open, without another handshake. */
        uint64_t before = net->packets;

        ask_ping(net, 0, 1);
        ask_ping(net, 1, 0);
        net_run(net, MILLIS(100));
        assert_int_equal(net->nodes[0].counts[DISCV5_PONG], 2);
        assert_int_equal(net->nodes[1].counts[DISCV5_PONG], 2);
        assert_true(net->packets - before <= 8); /* four, and liveness checks */
        net_free(net);
    }
}

static void a_node_that_forgot_us_is_met_again(void **state)
{
    struct net *net = pair(3, 2);

    (void)state;
    ask_ping(net, 0, 1);
    net_run(net, SECONDS(2));
    net_restart(net, 1);
    for (unsigned i = 0; i < 5; i++) { /* several under the dead keys at once */
        ask_ping(net, 0, 1);
    }
    net_run(net, SECONDS(3));
    assert_int_equal(net->nodes[0].counts[DISCV5_PONG], 6);
    net_restart(net, 1); /* and the other way: it writes to us under new keys */
    ask_ping(net, 1, 0);
    net_run(net, SECONDS(1));
    assert_int_equal(net->nodes[1].counts[DISCV5_PONG], 1);
    net_free(net);
}

static void a_node_that_moves_keeps_being_reached(void **state)
{
    const uint8_t ip[4] = {30, 1, 2, 3};
    struct addr elsewhere = addr_of(4, ip, 777);
    struct net *net = pair(4, 2);
    const struct enr *in_table[1];
    struct addr a;

    (void)state;
    ask_ping(net, 0, 1);
    net_run(net, SECONDS(2));
    net_move(net, 1, &elsewhere);
    net_run(net, SECONDS(40));
    assert_int_equal(discv5_table(net->nodes[0].engine, in_table, 1), 1);
    assert_true(in_table[0]->seq == 2);
    assert_true(enr_endpoint(in_table[0], 4, "udp", &a) && addr_eq(&a, &elsewhere));
    ask_ping(net, 0, 1);
    net_run(net, SECONDS(1));
    assert_int_equal(net->nodes[0].counts[DISCV5_PONG], 2);
    net_free(net);
}

static void talk_goes_both_ways(void **state)
{
    struct net *net = pair(5, 2);
    uint64_t request;
    char big[DISCV5_TALK_MAX + 1];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(discv5_talk(net->nodes[i].engine, &net->nodes[1 - i].enr, view_str("echo"),
                                     view_str(i == 0 ? "one" : "two"), net->now, &request),
                         E_OK);
        net_pump(net, i);
        net_run(net, MILLIS(500));
        assert_int_equal(net->nodes[i].counts[DISCV5_TALKRESP], 1);
        assert_true(net->nodes[i].last.request == request);
        assert_string_equal(net->nodes[i].data, i == 0 ? "one" : "two");
    }
    memset(big, 'x', sizeof big);
    assert_int_equal(discv5_talk(net->nodes[0].engine, &net->nodes[1].enr, view_str("echo"),
                                 view_of(big, DISCV5_TALK_MAX - 4), net->now, &request),
                     E_OK);
    assert_int_equal(discv5_talk(net->nodes[0].engine, &net->nodes[1].enr, view_str("echo"),
                                 view_of(big, DISCV5_TALK_MAX - 3), net->now, &request),
                     E_TOO_LONG);
    net_free(net);
}

/* What nobody registered is answered with nothing, at once, and nobody hears of it. */
static void talk_of_an_unknown_protocol_is_answered_with_nothing(void **state)
{
    struct net *net = pair(14, 2);
    char name[DISCV5_PROTOCOL_MAX + 1];
    uint64_t request;

    (void)state;
    assert_int_equal(discv5_talk(net->nodes[0].engine, &net->nodes[1].enr, view_str("ech"),
                                 view_str("one"), net->now, &request),
                     E_OK);
    net_pump(net, 0);
    net_run(net, MILLIS(500));
    assert_int_equal(net->nodes[0].counts[DISCV5_TALKRESP], 1);
    assert_string_equal(net->nodes[0].data, "");
    assert_int_equal(net->nodes[1].counts[DISCV5_TALKREQ], 0);

    assert_int_equal(discv5_talk_register(net->nodes[1].engine, view_str("echo")), E_EXISTS);
    memset(name, 'x', sizeof name);
    assert_int_equal(discv5_talk_register(net->nodes[1].engine, view_of(name, sizeof name)),
                     E_TOO_LONG);
    for (uint8_t i = 1; i < DISCV5_PROTOCOLS_MAX; i++) {
        assert_int_equal(discv5_talk_register(net->nodes[1].engine, view_of(&i, 1)), E_OK);
    }
    assert_int_equal(discv5_talk_register(net->nodes[1].engine, view_str("more")), E_LIMIT);
    net_free(net);
}

/* Another node, with another key, at an address where we know one: the old one is given up. */
static void another_key_at_the_same_address_is_another_node(void **state)
{
    struct net *net = pair(15, 2);
    struct net_node *n = &net->nodes[1];
    struct enr old = n->enr;

    (void)state;
    ask_ping(net, 0, 1);
    net_run(net, SECONDS(1));
    assert_int_equal(discv5_live_count(net->nodes[0].engine), 1);
    ident_random(&n->rng.base, &n->ident);
    struct enr_draft d;
    enr_draft_init(&d, 1);
    enr_draft_set_endpoint(&d, "udp", &n->addr);
    assert_int_equal(enr_sign(&d, &n->ident, &n->enr), E_OK);
    net_restart(net, 1);
    for (unsigned i = 0; i < 2; i++) { /* both are asked: only the new one can read it */
        uint64_t request;

        assert_int_equal(
            discv5_ping(net->nodes[0].engine, i == 0 ? &old : &n->enr, net->now, &request), E_OK);
    }
    net_pump(net, 0);
    net_run(net, SECONDS(10));
    assert_int_equal(net->nodes[0].counts[DISCV5_PONG], 2);
    assert_int_equal(net->nodes[0].counts[DISCV5_FAILED], 1);
    const struct enr *live[2];
    assert_int_equal(discv5_table(net->nodes[0].engine, live, 2), 1);
    assert_true(node_id_eq(&live[0]->id, &n->enr.id));
    net_free(net);
}

struct reorder {
    struct flight held[8];
    size_t n;
    bool hold;
};

static bool hold(struct net *net, const struct flight *f, void *self)
{
    struct reorder *r = self;

    (void)net;
    if (!r->hold || net_index(&f->from) != 0 || r->n == 8) {
        return true;
    }
    r->held[r->n] = *f;
    r->held[r->n++].bytes = blob_ref(f->bytes);
    return false;
}

/* An answer in several packets: in any order, with one of them twice and one of them lost. */
static void nodes_come_in_several_packets_in_any_order(void **state)
{
    struct net *net = net_new(&(struct net_config){.seed = 16, .n = 40, .local = true});
    struct reorder r = {.n = 0};
    const uint16_t distances[] = {256, 255, 254};
    uint64_t request;
    (void)state;

    for (size_t i = 1; i < net->n; i++) {
        discv5_add_boot(net->nodes[i].engine, &net->nodes[0].enr, net->now);
    }
    net_run(net, SECONDS(60));
    net->filter = hold;
    net->filter_self = &r;
    for (unsigned lost = 0; lost < 2; lost++) {
        uint64_t finds = net->nodes[1].finds;
        size_t events = net->nodes[1].counts[DISCV5_NODES];

        r = (struct reorder){.hold = true};
        assert_int_equal(discv5_find_node(net->nodes[1].engine, &net->nodes[0].enr, distances, 3,
                                          net->now, &request),
                         E_OK);
        net_pump(net, 1);
        net_run(net, MILLIS(500));
        assert_true(r.n >= 2);
        r.hold = false;
        for (size_t i = r.n; i-- > lost;) { /* the last first; again the first of those */
            net_deliver(net, &r.held[i].from, &r.held[i].to, blob_view(r.held[i].bytes));
        }
        net_run(net, SECONDS(3));
        assert_int_equal(net->nodes[1].counts[DISCV5_NODES] - events,
                         net->nodes[1].finds - finds + 1);
        assert_true(lost == 0 ? net->nodes[1].finds - finds == 16
                              : net->nodes[1].finds - finds < 16 && net->nodes[1].finds > finds);
        for (size_t i = 0; i < r.n; i++) {
            net_deliver(net, &r.held[i].from, &r.held[i].to, blob_view(r.held[i].bytes));
            blob_unref(r.held[i].bytes);
        }
        events = net->nodes[1].counts[DISCV5_NODES];
        net_run(net, SECONDS(3));
        assert_int_equal(net->nodes[1].counts[DISCV5_NODES], events); /* late, and not asked for */
    }
    net_free(net);
}

static void a_silent_node_fails_the_request_once(void **state)
{
    struct net *net = pair(6, 2);

    (void)state;
    net->nodes[1].cut = true;
    ask_ping(net, 0, 1);
    ask_ping(net, 0, 1);
    net_run(net, SECONDS(10));
    assert_int_equal(net->nodes[0].counts[DISCV5_FAILED], 2);
    assert_int_equal(net->nodes[0].last.error, E_TIMEOUT);
    assert_int_equal(discv5_table_size(net->nodes[0].engine), 0);
    net_free(net);
}

static void slowly(struct discv5_config *cfg)
{
    cfg->contacts_per_s = 5;
}

/* ChainSafe's discv5 takes request ids for numbers: leading zeros do not come back. */
static void request_ids_begin_with_a_byte_that_is_not_zero(void **state)
{
    struct net *net = net_new(&(struct net_config){.seed = 13, .n = 2, .local = true});

    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        ask_ping(net, 0, 1);
    }
    for (unsigned i = 0; i < 300; i++) {
        const struct request *r = &net->nodes[0].engine->requests.all[i];

        assert_true(r->state != REQUEST_FREE && r->id[0] != 0);
    }
    net_run(net, SECONDS(2));
    assert_int_equal(net->nodes[0].counts[DISCV5_PONG], 300);
    net_free(net);
}

static void new_destinations_are_paced(void **state)
{
    struct net *net = net_new(&(struct net_config){.seed = 12, .n = 60, .tune = slowly});
    size_t sent;

    (void)state;
    for (size_t i = 1; i < 60; i++) {
        uint64_t request;

        net->nodes[i].cut = true;
        assert_int_equal(discv5_ping(net->nodes[0].engine, &net->nodes[i].enr, net->now, &request),
                         E_OK);
    }
    net_pump(net, 0);
    assert_int_equal(net->nodes[0].sent, 10); /* what may go at once */
    for (unsigned s = 0; s < 10; s++) {
        sent = net->nodes[0].sent;
        net_run(net, SECONDS(1));
        assert_true(net->nodes[0].sent - sent <= 6);
    }
    net_run(net, SECONDS(60));
    assert_int_equal(net->nodes[0].counts[DISCV5_FAILED], 59); /* each has its answer in the end */
    net_free(net);
}

/* ---- an attacker who sees and repeats everything ---- */

struct tape {
    struct flight flights[64];
    size_t n;
};

static bool record(struct net *net, const struct flight *f, void *self)
{
    struct tape *tape = self;

    (void)net;
    if (tape->n < ARRAY_LEN(tape->flights)) {
        tape->flights[tape->n] = *f;
        tape->flights[tape->n++].bytes = blob_ref(f->bytes);
    }
    return true;
}

static void tape_done(struct tape *tape)
{
    for (size_t i = 0; i < tape->n; i++) {
        blob_unref(tape->flights[i].bytes);
    }
}

static void repeated_packets_open_nothing_and_cost_no_curve_operation(void **state)
{
    struct net *net = pair(7, 2);
    struct tape tape = {.n = 0};

    (void)state;
    net->filter = record;
    net->filter_self = &tape;
    ask_ping(net, 0, 1);
    net_run(net, SECONDS(3));
    net->filter = NULL;
    assert_true(tape.n > 4);
    for (size_t i = 0; i < tape.n; i++) {
        const struct flight *f = &tape.flights[i];
        struct net_node *n = &net->nodes[net_index(&f->to)];
        size_t sessions = discv5_session_count(n->engine);
        size_t lives = n->counts[DISCV5_LIVE], pongs = n->counts[DISCV5_PONG];

        IGNORE(discv5_feed(n->engine, &f->from, blob_view(f->bytes), net->now), "as it may");
        net_pump(net, net_index(&f->to));
        assert_int_equal(discv5_session_count(n->engine), sessions);
        assert_int_equal(n->counts[DISCV5_LIVE], lives);
        assert_int_equal(n->counts[DISCV5_PONG], pongs);
    }
    tape_done(&tape);
    net_free(net);
}

/* Spec: devp2p discv5/discv5-theory.md "Handshake Implementation Considerations" */
static void a_whoareyou_counts_only_from_where_the_request_went(void **state)
{
    struct net *net = pair(8, 3);
    struct tape tape = {.n = 0};
    size_t sent;

    (void)state;
    net->filter = record;
    net->filter_self = &tape;
    ask_ping(net, 0, 1);
    net_run(net, MILLIS(35)); /* the WHOAREYOU is on its way */
    assert_int_equal(tape.n, 2);
    assert_int_equal(tape.flights[1].bytes->n, 63);
    sent = net->nodes[0].sent;
    assert_int_equal(discv5_feed(net->nodes[0].engine, &net->nodes[2].addr,
                                 blob_view(tape.flights[1].bytes), net->now),
                     E_DISCV5_HANDSHAKE);
    net_pump(net, 0);
    assert_int_equal(net->nodes[0].sent, sent);
    net_run(net, SECONDS(1));
    assert_int_equal(net->nodes[0].counts[DISCV5_PONG], 1);
    /* It is good once. */
    assert_int_equal(discv5_feed(net->nodes[0].engine, &net->nodes[1].addr,
                                 blob_view(tape.flights[1].bytes), net->now),
                     E_DISCV5_HANDSHAKE);
    tape_done(&tape);
    net_free(net);
}

/* A handshake packet from elsewhere, late, or with any byte changed leaves no session. */
static void a_handshake_must_be_whole_in_time_and_from_its_place(void **state)
{
    (void)state;
    for (size_t change = 0; change < 420; change += 7) {
        struct net *net = pair(9, 3);
        struct tape tape = {.n = 0};
        struct blob *hs;
        struct addr from = net->nodes[0].addr;

        net->filter = record;
        net->filter_self = &tape;
        ask_ping(net, 0, 1);
        while (tape.n < 3) {
            assert_true(net_step(net, NEVER - 1));
        }
        hs = blob_copy(blob_view(tape.flights[2].bytes));
        if (change == 0) {
            from = net->nodes[2].addr;
        } else if (change == 7) {
            net->now.mono_ns += SECONDS(6);
        } else {
            hs->b[change % hs->n] ^= 1;
        }
        assert_int_not_equal(discv5_feed(net->nodes[1].engine, &from, blob_view(hs), net->now),
                             E_OK);
        assert_int_equal(discv5_session_count(net->nodes[1].engine), 0);
        blob_unref(hs);
        tape_done(&tape);
        net_free(net);
    }
}

/* Spec: devp2p discv5/discv5-theory.md "Handshake Implementation Considerations": the challenge
 * that is under way is repeated, so that a stranger cannot undo a handshake. */
static void another_unreadable_packet_gets_the_same_challenge(void **state)
{
    struct net *net = pair(10, 2);
    uint8_t first[DISCV5_PACKET_MAX], second[DISCV5_PACKET_MAX];
    struct tape tape = {.n = 0};
    size_t n1, n2;
    struct addr to;

    (void)state;
    net->filter = record;
    net->filter_self = &tape;
    ask_ping(net, 0, 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(discv5_feed(net->nodes[1].engine, &net->nodes[0].addr,
                                     blob_view(tape.flights[0].bytes), net->now),
                         E_OK);
        assert_true(discv5_next_datagram(net->nodes[1].engine, &to, i == 0 ? first : second,
                                         i == 0 ? &n1 : &n2));
    }
    assert_int_equal(n1, n2);
    assert_memory_equal(first, second, n1);
    net->now.mono_ns += SECONDS(2);
    assert_int_equal(discv5_feed(net->nodes[1].engine, &net->nodes[0].addr,
                                 blob_view(tape.flights[0].bytes), net->now),
                     E_OK);
    assert_true(discv5_next_datagram(net->nodes[1].engine, &to, second, &n2));
    assert_memory_not_equal(first, second, n1);
    tape_done(&tape);
    net_free(net);
}

/* A second challenge was sent while the answer to the first was on its way: both are good. */
static void an_answer_to_the_challenge_before_is_good(void **state)
{
    struct net *net = pair(11, 2);
    struct tape tape = {.n = 0};
    uint8_t out[DISCV5_PACKET_MAX];
    struct addr to;
    size_t n;

    (void)state;
    net->filter = record;
    net->filter_self = &tape;
    ask_ping(net, 0, 1);
    while (tape.n < 3) { /* noise, WHOAREYOU, handshake */
        assert_true(net_step(net, NEVER - 1));
    }
    net->now.mono_ns += SECONDS(2);
    assert_int_equal(discv5_feed(net->nodes[1].engine, &net->nodes[0].addr,
                                 blob_view(tape.flights[0].bytes), net->now),
                     E_OK);
    assert_true(discv5_next_datagram(net->nodes[1].engine, &to, out, &n));
    assert_memory_not_equal(out, tape.flights[1].bytes->b, n);
    assert_int_equal(discv5_feed(net->nodes[1].engine, &net->nodes[0].addr,
                                 blob_view(tape.flights[2].bytes), net->now),
                     E_OK);
    assert_int_equal(discv5_session_count(net->nodes[1].engine), 1);
    tape_done(&tape);
    net_free(net);
}

/* Nobody pulls the events: what strangers cause stays bounded, and nothing new is begun. */
static void events_that_nobody_takes_are_bounded(void **state)
{
    struct net *net = pair(12, 2);
    struct discv5 *deaf = net->nodes[1].engine, *asker = net->nodes[0].engine;
    uint8_t out[DISCV5_PACKET_MAX];
    uint64_t request;
    uint32_t lookup;
    struct addr to;
    size_t n;

    (void)state;
    ask_ping(net, 0, 1);
    net_run(net, SECONDS(1));
    for (unsigned i = 0; i < 6000; i++) {
        net->now.mono_ns += MILLIS(200); /* talks lapse after ten seconds: 64 are always there */
        discv5_tick(asker, net->now);
        discv5_tick(deaf, net->now);
        IGNORE(discv5_talk(asker, &net->nodes[1].enr, view_str("echo"), view_str("x"), net->now,
                           &request),
               "the asker may be busy");
        while (discv5_next_datagram(asker, &to, out, &n)) {
            IGNORE(discv5_feed(deaf, &net->nodes[0].addr, view_of(out, n), net->now), "some fail");
        }
        while (discv5_next_datagram(deaf, &to, out, &n)) {
            IGNORE(discv5_feed(asker, &net->nodes[1].addr, view_of(out, n), net->now), "");
        }
        net_pump(net, 0);
    }
    assert_int_equal(deaf->events_n, EVENTS_MAX);
    assert_int_equal(discv5_ping(deaf, &net->nodes[0].enr, net->now, &request), E_LIMIT);
    assert_int_equal(discv5_lookup(deaf, &net->nodes[0].enr.id, net->now, &lookup), E_LIMIT);
    net_pump(net, 1);
    assert_int_equal(discv5_ping(deaf, &net->nodes[0].enr, net->now, &request), E_OK);
    net_free(net);
}

/* ---- addresses ---- */

static const struct forbidden {
    const char *text;
    bool ever; /* with allow_private */
} forbidden[] = {
    {"127.0.0.1:9000", true},     {"10.0.0.1:9000", true},    {"192.168.1.1:9000", true},
    {"172.16.0.1:9000", true},    {"169.254.1.1:9000", true}, {"224.0.0.1:9000", false},
    {"255.255.255.255:9", false}, {"0.0.0.0:9000", false},    {"[::1]:9000", true},
    {"[fe80::1]:9000", true},     {"[fc00::1]:9000", true},   {"[ff02::1]:9000", false},
    {"[::]:9000", false},
};

static void no_packet_goes_to_addresses_that_are_not_public(void **state)
{
    (void)state;
    for (int private = 0; private < 2; private ++) {
        struct net *net = net_new(&(struct net_config){.seed = 11, .n = 1, .local = private});
        struct discv5 *d = net->nodes[0].engine;

        for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
            struct rng_seeded rng;
            struct enr_draft draft;
            struct ident id;
            struct addr a;
            struct enr e;
            uint64_t request;
            enum err want = private && forbidden[i].ever ? E_OK : E_ADDRESS;

            rng_seeded_init(&rng, 100 + i);
            ident_random(&rng.base, &id);
            assert_int_equal(addr_parse(forbidden[i].text, &a), E_OK);
            enr_draft_init(&draft, 1);
            enr_draft_set_endpoint(&draft, "udp", &a);
            assert_int_equal(enr_sign(&draft, &id, &e), E_OK);
            discv5_add_boot(d, &e, net->now);
            discv5_add_node(d, &e, net->now);
            if (discv5_ping(d, &e, net->now, &request) != want) {
                fail_msg("%s", forbidden[i].text);
            }
            assert_int_equal(discv5_feed(d, &a, view_of(forbidden, 100), net->now),
                             want == E_OK ? E_DISCV5_PACKET : E_ADDRESS);
        }
        net_run(net, SECONDS(20));
        assert_true(private ? net->nodes[0].sent > 0 : net->nodes[0].sent == 0);
        net_free(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ping_opens_a_session_and_is_answered),
        cmocka_unit_test(requests_wait_while_a_handshake_is_under_way),
        cmocka_unit_test(both_may_open_at_once),
        cmocka_unit_test(a_node_that_forgot_us_is_met_again),
        cmocka_unit_test(a_node_that_moves_keeps_being_reached),
        cmocka_unit_test(talk_goes_both_ways),
        cmocka_unit_test(talk_of_an_unknown_protocol_is_answered_with_nothing),
        cmocka_unit_test(another_key_at_the_same_address_is_another_node),
        cmocka_unit_test(nodes_come_in_several_packets_in_any_order),
        cmocka_unit_test(a_silent_node_fails_the_request_once),
        cmocka_unit_test(request_ids_begin_with_a_byte_that_is_not_zero),
        cmocka_unit_test(new_destinations_are_paced),
        cmocka_unit_test(repeated_packets_open_nothing_and_cost_no_curve_operation),
        cmocka_unit_test(a_whoareyou_counts_only_from_where_the_request_went),
        cmocka_unit_test(a_handshake_must_be_whole_in_time_and_from_its_place),
        cmocka_unit_test(another_unreadable_packet_gets_the_same_challenge),
        cmocka_unit_test(an_answer_to_the_challenge_before_is_good),
        cmocka_unit_test(events_that_nobody_takes_are_bounded),
        cmocka_unit_test(no_packet_goes_to_addresses_that_are_not_public),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
