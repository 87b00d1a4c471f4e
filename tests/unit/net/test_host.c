/* Two hosts over links in memory: upgrade, streams, ends. */
#include "play_net.h"

#include <base/mem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void);
#else
#include <malloc.h>
#endif

#include <cmocka.h>

struct combination {
    const char *name;
    bool yamux_a, mplex_a, yamux_b, mplex_b, early_a, early_b;
    const char *muxer; /* that both must agree on; NULL: none in common */
};

static const struct combination combinations[] = {
    {"yamux, early", 1, 1, 1, 1, 1, 1, "/yamux/1.0.0"},
    {"yamux, dialer not early", 1, 1, 1, 1, 0, 1, "/yamux/1.0.0"},
    {"yamux, listener not early", 1, 1, 1, 1, 1, 0, "/yamux/1.0.0"},
    {"yamux, neither early", 1, 1, 1, 1, 0, 0, "/yamux/1.0.0"},
    {"mplex is all the dialer has", 0, 1, 1, 1, 1, 1, "/mplex/6.7.0"},
    {"mplex is all the listener has", 1, 1, 0, 1, 1, 1, "/mplex/6.7.0"},
    {"mplex, neither early", 1, 1, 0, 1, 0, 0, "/mplex/6.7.0"},
    {"nothing in common", 1, 0, 0, 1, 0, 0, NULL},
    {"nothing in common, early", 1, 0, 0, 1, 1, 1, NULL},
};

static struct host_config config(bool yamux, bool mplex, bool early)
{
    struct host_config cfg;

    host_config_default(&cfg);
    cfg.yamux = yamux;
    cfg.mplex = mplex;
    cfg.early_muxer = early;
    return cfg;
}

/* ---- a protocol that sends back what it gets, and one that counts ---- */

struct echo {
    struct host **host;
    struct stream_protocol protocol;
    size_t opened, gone, ended, bytes;
    size_t writables;
    enum err last_why, refuse; /* refuse: what data() answers */
    bool echoes, end_at_once;
    uint8_t check; /* sum of all bytes */
};

static void echo_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    struct echo *e = self;

    (void)s;
    (void)inbound;
    (void)index;
    (void)now;
    e->opened++;
}

static enum err echo_data(void *self, stream_id s, struct view bytes, struct now now)
{
    struct echo *e = self;

    (void)now;
    assert_true(bytes.n != 0);
    e->bytes += bytes.n;
    for (size_t i = 0; i < bytes.n; i++) {
        e->check = (uint8_t)(e->check + bytes.p[i]);
    }
    if (e->refuse != E_OK) {
        return e->refuse;
    }
    if (e->echoes) {
        struct blob *b = blob_copy(bytes);
        enum err err = host_write(*e->host, s, b, SEND_BULK);
        blob_unref(b);
        return err;
    }
    return E_OK;
}

static enum err echo_ended(void *self, stream_id s, struct now now)
{
    struct echo *e = self;

    (void)now;
    e->ended++;
    if (e->echoes) {
        host_end(*e->host, s);
    }
    return E_OK;
}

static void echo_gone(void *self, stream_id s, enum err why, struct now now)
{
    struct echo *e = self;

    (void)s;
    (void)now;
    e->gone++;
    e->last_why = why;
}

static void echo_writable(void *self, stream_id s, struct now now)
{
    struct echo *e = self;

    (void)s;
    (void)now;
    e->writables++;
}

static const struct stream_ops echo_ops = {echo_opened, echo_data, echo_ended, echo_gone,
                                           echo_writable};
static const struct view echo_ids[] = {{(const uint8_t *)"/echo/2", 7},
                                       {(const uint8_t *)"/echo/1", 7}};

static void echo_init(struct echo *e, struct play_node *n, bool echoes, size_t n_ids)
{
    *e = (struct echo){.host = &n->host, .echoes = echoes};
    e->protocol = (struct stream_protocol){
        .ids = echo_ids,
        .n_ids = n_ids,
        .accept = echoes,
        .klass = SEND_BULK,
        .queue_max = 64 * MIB,
        .ops = &echo_ops,
        .self = e,
    };
    host_register(n->host, &e->protocol);
}

/* ---- two hosts, connected ---- */

struct pair {
    struct play play;
    struct play_node *a, *b;
    struct echo ea, eb;
    conn_id conn; /* a's */
};

static void pair_new(struct pair *p, uint64_t seed, const struct host_config *ca,
                     const struct host_config *cb)
{
    play_init(&p->play, seed);
    p->a = play_host(&p->play, *ca);
    p->b = play_host(&p->play, *cb);
    echo_init(&p->ea, p->a, false, 1);
    echo_init(&p->eb, p->b, true, 2);
}

static void pair_dial(struct pair *p)
{
    struct addr to = play_addr(p->b->index);

    assert_int_equal(host_dial(p->a->host, &to, NULL, p->play.now, &p->conn), E_OK);
    play_settle(&p->play);
}

/* A pair with the defaults, up. */
static struct pair *pair_up(uint64_t seed)
{
    struct pair *p = mem_zalloc(sizeof *p);
    struct host_config cfg = config(true, true, true);

    cfg.streams_per_conn_max = 1100;
    pair_new(p, seed, &cfg, &cfg);
    pair_dial(p);
    assert_int_equal(play_count(p->a, HOST_CONNECTED, NULL), 1);
    return p;
}

static void pair_free(struct pair *p)
{
    play_done(&p->play);
    mem_free(p);
}

static struct blob *pattern(size_t n, uint64_t seed)
{
    struct blob *b = blob_new(n);
    struct rng_seeded rng;

    rng_seeded_init(&rng, seed);
    rng_fill(&rng.base, b->b, n);
    return b;
}

static void write_pattern(struct pair *p, stream_id s, size_t n)
{
    struct blob *b = pattern(n, n);

    assert_int_equal(host_write(p->a->host, s, b, SEND_BULK), E_OK);
    blob_unref(b);
}

/* ---- tests ---- */

static void each_combination_of_muxers_connects_with_any_cut_of_the_bytes(void **state)
{
    static const size_t cuts[] = {0, 1, 7, 300, 5000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(combinations) * ARRAY_LEN(cuts); i++) {
        const struct combination *c = &combinations[i / ARRAY_LEN(cuts)];
        struct host_config ca = config(c->yamux_a, c->mplex_a, c->early_a);
        struct host_config cb = config(c->yamux_b, c->mplex_b, c->early_b);
        struct pair *p = mem_zalloc(sizeof *p);
        struct host_conn_info info;
        const struct host_event *ev = NULL;

        pair_new(p, 7 + i, &ca, &cb);
        p->play.cut_max = cuts[i % ARRAY_LEN(cuts)];
        pair_dial(p);
        if (c->muxer == NULL) {
            assert_int_equal(play_count(p->a, HOST_DIAL_FAILED, &ev), 1);
            assert_int_equal(ev->error, E_MULTISTREAM_NONE);
            assert_non_null(strstr(ev->text, c->yamux_a ? "; it has /mplex" : "; it has /yamux"));
            assert_int_equal(play_count(p->b, HOST_INBOUND_FAILED, &ev), 1);
            assert_int_equal(host_conn_count(p->a->host) + host_conn_count(p->b->host), 0);
            pair_free(p);
            continue;
        }
        assert_int_equal(play_count(p->a, HOST_CONNECTED, &ev), 1);
        assert_int_equal(play_count(p->b, HOST_CONNECTED, NULL), 1);
        assert_true(host_conn_info(p->a->host, ev->conn, &info));
        assert_string_equal(info.muxer, c->muxer);
        assert_int_equal(play_count(p->a, HOST_IDENTIFIED, NULL), 1);
        assert_int_equal(play_count(p->b, HOST_IDENTIFIED, NULL), 1);
        assert_string_equal(p->b->last_identify_flags.agent, "beacon-p2pd");

        stream_id s;
        assert_int_equal(host_open(p->a->host, p->conn, &p->ea.protocol, p->play.now, &s), E_OK);
        write_pattern(p, s, 700000);
        host_end(p->a->host, s);
        play_settle(&p->play);
        assert_int_equal(p->ea.bytes, 700000);
        assert_int_equal(p->eb.bytes, 700000);
        assert_int_equal(p->ea.check, p->eb.check);
        assert_int_equal(p->ea.gone, 1);
        assert_int_equal(p->ea.last_why, E_OK);
        assert_int_equal(p->eb.gone, 1);
        pair_free(p);
    }
}

static void a_connection_takes_three_round_trips_or_two(void **state)
{
    (void)state;
    for (unsigned early = 0; early < 2; early++) {
        struct pair *p = mem_zalloc(sizeof *p);
        struct host_config cfg = config(true, true, early != 0);
        struct addr to = play_addr(1);
        unsigned halves = 0;

        pair_new(p, 22, &cfg, &cfg);
        assert_int_equal(host_dial(p->a->host, &to, NULL, p->play.now, &p->conn), E_OK);
        play_half_trip(&p->play); /* stands for the whole of TCP's: both know of the connection */
        while (play_count(p->a, HOST_CONNECTED, NULL) == 0 && halves < 20) {
            play_half_trip(&p->play);
            halves++;
        }
        assert_int_equal(halves, early != 0 ? 2 : 4);
        pair_free(p);
    }
}

static void a_thousand_streams_share_a_connection(void **state)
{
    struct pair *p = pair_up(1);
    stream_id s[1000];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        assert_int_equal(host_open(p->a->host, p->conn, &p->ea.protocol, p->play.now, &s[i]), E_OK);
        write_pattern(p, s[i], 3000 + i);
        host_end(p->a->host, s[i]);
        if (i % 200 == 199) { /* the backlog of streams not yet acknowledged is bounded */
            play_settle(&p->play);
        }
    }
    play_settle(&p->play);
    assert_int_equal(p->ea.gone, 1000);
    assert_int_equal(p->ea.bytes, 1000 * 3000 + 999 * 1000 / 2);
    assert_int_equal(p->ea.check, p->eb.check);
    assert_int_equal(p->ea.last_why, E_OK);
    struct host_conn_info info;
    assert_true(host_conn_info(p->a->host, p->conn, &info));
    assert_int_equal(info.n_streams, 0);
    pair_free(p);
}

static void a_protocol_nobody_has_ends_the_stream_alone(void **state)
{
    struct pair *p = pair_up(2);
    static const struct view none[] = {{(const uint8_t *)"/none", 5}};
    struct stream_protocol other = p->ea.protocol;
    stream_id s;

    (void)state;
    other.ids = none;
    assert_int_equal(host_open(p->a->host, p->conn, &other, p->play.now, &s), E_OK);
    play_settle(&p->play);
    assert_int_equal(p->ea.gone, 1);
    assert_int_equal(p->ea.last_why, E_MULTISTREAM_NONE);
    assert_int_equal(host_conn_count(p->a->host), 1);
    pair_free(p);
}

#define OWN_IDS 5 /* identify, push, ping, and both of echo */

/* More often than there are rows: each is used again. */
static void protocols_come_and_go_while_peers_are_connected(void **state)
{
    struct pair *p = pair_up(24);
    static const struct view ids[] = {{(const uint8_t *)"/comes", 6}};
    struct echo eb = p->eb, ea = p->ea;
    stream_id s;
    (void)state;

    eb.protocol.ids = ea.protocol.ids = ids;
    eb.protocol.n_ids = ea.protocol.n_ids = 1;
    eb.protocol.self = &eb;
    ea.protocol.self = &ea;
    for (unsigned i = 1; i <= 300; i++) {
        p->a->n_events = p->b->n_events = 0; /* the world keeps few */
        host_register(p->b->host, &eb.protocol);
        host_tell_protocols(p->b->host);
        assert_int_equal(host_open(p->a->host, p->conn, &ea.protocol, p->play.now, &s), E_OK);
        write_pattern(p, s, 10);
        play_settle(&p->play);
        assert_int_equal(ea.bytes, 10 * i);
        assert_int_equal(p->a->last_identify_flags.n_protocols, OWN_IDS + 1);
        host_unregister(p->b->host, &eb.protocol); /* its end of the stream goes, untold */
        host_tell_protocols(p->b->host);
        play_settle(&p->play);
        assert_int_equal(ea.gone, 2 * i - 1);
        assert_int_equal(p->a->last_identify_flags.n_protocols, OWN_IDS);
        assert_int_equal(host_open(p->a->host, p->conn, &ea.protocol, p->play.now, &s), E_OK);
        play_settle(&p->play);
        assert_int_equal(ea.gone, 2 * i);
        assert_int_equal(ea.last_why, E_MULTISTREAM_NONE);
    }
    assert_int_equal(eb.gone, 0);
    assert_int_equal(host_conn_count(p->a->host), 1);
    pair_free(p);
}

static void a_reset_is_told_to_both_sides(void **state)
{
    struct pair *p = pair_up(3);
    stream_id s;

    (void)state;
    assert_int_equal(host_open(p->a->host, p->conn, &p->ea.protocol, p->play.now, &s), E_OK);
    write_pattern(p, s, 10);
    play_settle(&p->play);
    host_reset(p->a->host, s, E_CANCELLED, p->play.now);
    assert_int_equal(p->ea.gone, 0); /* never from inside the call */
    struct blob *b = pattern(1, 1);
    assert_int_equal(host_write(p->a->host, s, b, SEND_BULK), E_CLOSED);
    blob_unref(b);
    play_settle(&p->play);
    assert_int_equal(p->ea.gone, 1);
    assert_int_equal(p->ea.last_why, E_CANCELLED);
    assert_int_equal(p->eb.gone, 1);
    assert_int_equal(p->eb.last_why, E_RESET);
    pair_free(p);
}

static void an_error_of_the_protocol_ends_what_its_row_says(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct pair *p = pair_up(4);
        stream_id s;

        p->eb.refuse = i == 0 ? E_REQRESP_LENGTH : E_IDENTIFY_KEY;
        assert_int_equal(host_open(p->a->host, p->conn, &p->ea.protocol, p->play.now, &s), E_OK);
        write_pattern(p, s, 10);
        play_settle(&p->play);
        assert_int_equal(p->eb.last_why, p->eb.refuse);
        assert_int_equal(host_conn_count(p->b->host), i == 0 ? 1 : 0);
        assert_int_equal(metric_get(p->b->metrics, M_FAULTS, p->eb.refuse), 1);
        pair_free(p);
    }
}

static void a_paused_stream_stops_its_sender(void **state)
{
    struct pair *p = pair_up(5);
    stream_id s;

    (void)state;
    p->eb.echoes = true;
    assert_int_equal(host_open(p->a->host, p->conn, &p->ea.protocol, p->play.now, &s), E_OK);
    write_pattern(p, s, 1);
    play_settle(&p->play);
    host_pause(p->a->host, s, true);
    write_pattern(p, s, 5000000);
    play_settle(&p->play);
    assert_int_equal(p->ea.bytes, 1);
    assert_true(host_queued(p->a->host, s) < 5000000);
    host_end(p->a->host, s);
    host_pause(p->a->host, s, false);
    play_settle(&p->play);
    assert_int_equal(p->ea.bytes, 5000001);
    assert_int_equal(p->ea.check, p->eb.check);
    assert_int_equal(p->ea.last_why, E_OK);
    pair_free(p);
}

static void a_silent_remote_is_found_dead(void **state)
{
    struct pair *p = pair_up(6);
    const struct host_event *ev = NULL;

    (void)state;
    play_wait(&p->play, SECONDS(600));
    assert_int_equal(play_count(p->a, HOST_DISCONNECTED, NULL), 0); /* pings keep it up */
    p->play.links[0].end[0].paused = true;                          /* a hears nothing any more */
    play_wait(&p->play, SECONDS(120));
    assert_int_equal(play_count(p->a, HOST_DISCONNECTED, &ev), 1);
    assert_int_equal(ev->error, E_UNRESPONSIVE);
    pair_free(p);
}

static void a_ping_is_answered_over_each_muxer(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct pair *p = mem_zalloc(sizeof *p);
        struct host_config cfg = config(i == 0, true, true);
        const struct host_event *ev = NULL;

        pair_new(p, 8, &cfg, &cfg);
        pair_dial(p);
        assert_int_equal(host_ping(p->a->host, p->conn, p->play.now), E_OK);
        play_settle(&p->play);
        assert_int_equal(play_count(p->a, HOST_PONG, &ev), 1);
        assert_true(ev->rtt_ns > 0);
        pair_free(p);
    }
}

static void a_close_lets_what_was_written_arrive(void **state)
{
    struct pair *p = pair_up(9);
    const struct host_event *ev = NULL;
    stream_id s;

    (void)state;
    assert_int_equal(host_open(p->a->host, p->conn, &p->ea.protocol, p->play.now, &s), E_OK);
    write_pattern(p, s, 500);
    host_end(p->a->host, s);
    host_close(p->a->host, p->conn, E_TOO_MANY_PEERS, p->play.now);
    play_settle(&p->play);
    assert_int_equal(p->eb.bytes, 500);
    assert_int_equal(play_count(p->a, HOST_DISCONNECTED, &ev), 1);
    assert_int_equal(ev->error, E_TOO_MANY_PEERS);
    assert_int_equal(play_count(p->b, HOST_DISCONNECTED, &ev), 1);
    pair_free(p);
}

static void limits_of_connections_hold(void **state)
{
    struct play *play = mem_zalloc(sizeof *play);
    struct host_config cfg = config(true, true, true), few = cfg;
    struct play_node *n[4];
    struct addr to = play_addr(0);
    conn_id c;

    (void)state;
    few.conns_max = 2;
    play_init(play, 11);
    n[0] = play_host(play, few);
    for (unsigned i = 1; i < 4; i++) {
        n[i] = play_host(play, cfg);
        assert_int_equal(host_dial(n[i]->host, &to, NULL, play->now, &c), E_OK);
        play_settle(play);
    }
    assert_int_equal(host_conn_count(n[0]->host), 2);
    assert_int_equal(metric_get(n[0]->metrics, M_FAULTS, E_CONNS_MAX), 1);
    assert_int_equal(host_dial(n[0]->host, &to, NULL, play->now, &c), E_CONNS_MAX);
    play_done(play);
    mem_free(play);
}

static void ranges_of_addresses_are_read_and_hold_what_they_say(void **state)
{
    static const struct {
        const char *range, *addr;
        enum err wanted;
        bool has;
    } cases[] = {
        {"10.0.0.0/8", "10.255.1.2", E_OK, true},
        {"10.0.0.0/8", "11.0.0.0", E_OK, false},
        {"10.0.0.0/8", "::1", E_OK, false},
        {"192.168.128.0/17", "192.168.127.255", E_OK, false},
        {"192.168.128.0/17", "192.168.128.0", E_OK, true},
        {"1.2.3.4", "1.2.3.4", E_OK, true},
        {"1.2.3.4", "1.2.3.5", E_OK, false},
        {"0.0.0.0/0", "8.8.8.8", E_OK, true},
        {"2001:db8::/33", "2001:db8:7fff::1", E_OK, true},
        {"2001:db8::/33", "2001:db8:8000::1", E_OK, false},
        {"10.0.0.0/33", "10.0.0.0", E_ADDRESS, false},
        {"10.0.0.0/-1", "10.0.0.0", E_ADDRESS, false},
        {"10.0.0.0/", "10.0.0.0", E_ADDRESS, false},
        {"10.0.0.0/8x", "10.0.0.0", E_ADDRESS, false},
        {"10.0.0.0:80/8", "10.0.0.0", E_ADDRESS, false},
        {"all", "10.0.0.0", E_ADDRESS, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr_range r;
        struct addr a;

        assert_int_equal(addr_parse(cases[i].addr, &a), E_OK);
        if (addr_range_parse(cases[i].range, &r) != cases[i].wanted) {
            fail_msg("%s", cases[i].range);
        }
        if (cases[i].wanted == E_OK && addr_range_has(&r, &a) != cases[i].has) {
            fail_msg("%s has %s", cases[i].range, cases[i].addr);
        }
    }
}

static void who_is_denied_is_neither_dialled_nor_accepted(void **state)
{
    struct play *play = mem_zalloc(sizeof *play);
    struct host_config open = config(true, true, true), strict = open;
    struct addr_range deny, allow;
    struct addr to[] = {play_addr(0), play_addr(1), play_addr(2)};
    struct play_node *n[3];
    conn_id c;

    (void)state;
    assert_int_equal(addr_range_parse("10.0.0.2", &deny), E_OK); /* node 1 */
    assert_int_equal(addr_range_parse("10.0.0.0/30", &allow), E_OK);
    strict.deny = &deny;
    strict.allow = &allow;
    strict.n_deny = strict.n_allow = 1;
    play_init(play, 18);
    n[0] = play_host(play, strict);
    n[1] = play_host(play, open);
    n[2] = play_host(play, open);
    assert_int_equal(host_dial(n[0]->host, &to[1], NULL, play->now, &c), E_DENIED);
    to[2].ip[3] = 77;
    assert_int_equal(host_dial(n[0]->host, &to[2], NULL, play->now, &c), E_DENIED);
    assert_int_equal(host_dial(n[1]->host, &to[0], NULL, play->now, &c), E_OK);
    assert_int_equal(host_dial(n[2]->host, &to[0], NULL, play->now, &c), E_OK);
    play_settle(play);
    assert_int_equal(play_count(n[0], HOST_CONNECTED, NULL), 1);
    assert_int_equal(play_count(n[2], HOST_CONNECTED, NULL), 1);
    assert_int_equal(metric_get(n[0]->metrics, M_FAULTS, E_DENIED), 1);
    play_done(play);
    mem_free(play);
}

static void refusals_that_nobody_fetches_stay_under_the_budget(void **state)
{
    struct play *play = mem_zalloc(sizeof *play);
    struct host_config cfg = config(true, true, true);
    struct port_event ev = {.kind = PORT_ACCEPTED, .addr = play_addr(1)};
    struct addr_range deny;
    struct host_event told;
    size_t n = 0;

    (void)state;
    assert_int_equal(addr_range_parse("10.0.0.2", &deny), E_OK);
    cfg.deny = &deny;
    cfg.n_deny = 1;
    cfg.memory_max = 64 * KIB;
    play_init(play, 21);
    struct host *h = play_host(play, cfg)->host;
    for (ev.conn = 1000; ev.conn < 6000; ev.conn++) {
        host_on_port(h, &ev, play->now);
        assert_true(host_budget(h, 0)->used <= cfg.memory_max);
    }
    while (host_next(h, &told)) {
        assert_int_equal(told.kind, HOST_REFUSED);
        n++;
    }
    assert_in_range(n, 10, 1000); /* the first ones are told, and the machine goes on */
    assert_int_equal(host_budget(h, 0)->used, 0);
    play_done(play);
    mem_free(play);
}

static void each_step_of_a_connection_has_its_time(void **state)
{
    struct pair *p = pair_up(19);
    const struct host_event *ev = NULL;

    (void)state;
    assert_int_equal(play_count(p->a, HOST_CONNECTED, &ev), 1);
    assert_true(ev->steps.begun_ns < ev->steps.tcp_ns);
    assert_true(ev->steps.tcp_ns < ev->steps.security_ns);
    assert_true(ev->steps.security_ns <= ev->steps.noise_ns);
    assert_true(ev->steps.noise_ns <= ev->steps.up_ns);
    pair_free(p);
}

static void silence(struct play_node *n, const struct port_event *ev, struct now now)
{
    (void)n;
    (void)ev;
    (void)now;
}

static void half_open_connections_pause_accepting_and_time_out(void **state)
{
    struct play *play = mem_zalloc(sizeof *play);
    struct host_config cfg = config(true, true, true);
    struct play_node *host, *puppet, *friend;
    struct addr to = play_addr(0);
    conn_id c;

    (void)state;
    cfg.pending_max = 5;
    play_init(play, 12);
    host = play_host(play, cfg);
    puppet = play_puppet(play, silence);
    friend = play_host(play, cfg);
    assert_int_equal(host_dial(friend->host, &to, NULL, play->now, &c), E_OK);
    play_settle(play);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t conn;
        assert_int_equal(puppet->port.ops->dial(&puppet->port, &to, &conn), E_OK);
    }
    play_settle(play);
    assert_true(host->accept_paused);
    assert_int_equal(host_conn_count(host->host), 6);
    play_wait(play, SECONDS(100));
    assert_int_equal(play_count(host, HOST_INBOUND_FAILED, NULL), 20);
    assert_int_equal(metric_get(host->metrics, M_FAULTS, E_UPGRADE_TIMEOUT), 20);
    assert_int_equal(host_conn_count(host->host), 1); /* the friend is still there */
    assert_false(host->accept_paused);
    play_done(play);
    mem_free(play);
}

static void a_dial_that_fails_tells_the_step_and_the_words(void **state)
{
    struct pair *p = pair_up(13);
    struct addr nowhere = play_addr(200), to = play_addr(1);
    struct peer_id other;
    const struct host_event *ev = NULL;
    conn_id c;

    (void)state;
    assert_int_equal(host_dial(p->a->host, &nowhere, NULL, p->play.now, &c), E_OK);
    play_settle(&p->play);
    assert_int_equal(play_count(p->a, HOST_DIAL_FAILED, &ev), 1);
    assert_int_equal(ev->error, E_DIAL);
    assert_non_null(strstr(ev->text, "tcp: "));
    assert_non_null(strstr(ev->text, "connection refused"));

    peer_id_from_secp(p->a->ident.public, &other);
    assert_int_equal(host_dial(p->a->host, &to, &other, p->play.now, &c), E_DIAL_SELF);
    other.b[10] ^= 1;
    assert_int_equal(host_dial(p->a->host, &to, &other, p->play.now, &c), E_OK);
    play_settle(&p->play);
    assert_int_equal(play_count(p->a, HOST_DIAL_FAILED, &ev), 2);
    assert_int_equal(ev->error, E_NOISE_PEER);
    assert_non_null(strstr(ev->text, "noise"));
    pair_free(p);
}

static void of_several_addresses_the_first_to_answer_wins(void **state)
{
    struct pair *p = mem_zalloc(sizeof *p);
    struct host_config cfg = config(true, true, true);
    const struct host_event *ev = NULL;
    struct host_addr to[4] = {
        {play_addr(99), HOST_TCP}, {play_addr(1), HOST_TCP}, {play_addr(1), HOST_TCP}};
    conn_id c;

    (void)state;
    pair_new(p, 20, &cfg, &cfg);
    assert_int_equal(host_dial_any(p->a->host, to, 4, NULL, p->play.now, &c), E_OK);
    play_settle(&p->play); /* the first is refused: the second is begun at once */
    assert_int_equal(play_count(p->a, HOST_CONNECTED, &ev), 1);
    assert_true(addr_eq(&ev->addr, &to[1].addr));
    assert_true(ev->conn == c);
    play_wait(&p->play, SECONDS(5));
    assert_int_equal(host_conn_count(p->a->host), 1);
    assert_int_equal(host_conn_count(p->b->host), 1);
    assert_int_equal(play_count(p->a, HOST_DIAL_FAILED, NULL), 0);
    pair_free(p);
}

static void an_address_that_is_silent_is_overtaken_by_the_next(void **state)
{
    struct play *play = mem_zalloc(sizeof *play);
    struct host_config cfg = config(true, true, true);
    const struct host_event *ev = NULL;
    struct play_node *a, *mute, *b;
    struct host_addr to[2] = {{play_addr(1), HOST_TCP}, {play_addr(2), HOST_TCP}};
    conn_id c;

    (void)state;
    play_init(play, 21);
    a = play_host(play, cfg);
    mute = play_puppet(play, silence);
    b = play_host(play, cfg);
    mute->accept_paused = mute->never_connects = true;
    assert_int_equal(host_dial_any(a->host, to, 2, NULL, play->now, &c), E_OK);
    play_wait(play, MILLIS(200));
    assert_int_equal(play_count(a, HOST_CONNECTED, NULL), 0);
    play_wait(play, MILLIS(100));
    assert_int_equal(play_count(a, HOST_CONNECTED, &ev), 1);
    assert_true(addr_eq(&ev->addr, &to[1].addr));
    assert_int_equal(host_conn_count(b->host), 1);
    host_close(a->host, c, E_OK, play->now);
    play_wait(play, SECONDS(1));
    assert_int_equal(host_dial_any(a->host, to, 1, NULL, play->now, &c), E_OK);
    play_wait(play, SECONDS(11));
    assert_int_equal(play_count(a, HOST_DIAL_FAILED, &ev), 1);
    assert_int_equal(ev->error, E_TIMEOUT);
    assert_int_equal(host_conn_count(a->host), 0);
    assert_int_equal(host_budget(a->host, 0)->used, 0);
    play_done(play);
    mem_free(play);
}

static bool up_within(struct play_node *a, struct play *play, uint64_t ns)
{
    struct host_addr to[2] = {{play_addr(1), HOST_TCP}, {play_addr(2), HOST_TCP}};
    conn_id c;

    a->n_events = 0;
    assert_int_equal(host_dial_any(a->host, to, 2, NULL, play->now, &c), E_OK);
    play_wait(play, ns);
    bool up = play_count(a, HOST_CONNECTED, NULL) == 1;
    play_wait(play, SECONDS(1));
    assert_int_equal(play_count(a, HOST_CONNECTED, NULL), 1);
    host_close(a->host, c, E_OK, play->now);
    play_wait(play, MILLIS(100));
    return up;
}

static void an_address_that_failed_comes_behind_the_others_for_a_while(void **state)
{
    struct play *play = mem_zalloc(sizeof *play);
    struct host_config cfg = config(true, true, true);
    struct play_node *a, *mute;

    (void)state;
    play_init(play, 22);
    a = play_host(play, cfg);
    mute = play_puppet(play, silence);
    play_host(play, cfg);
    mute->accept_paused = mute->never_connects = true;
    assert_false(up_within(a, play, MILLIS(200))); /* overtaken after 250 ms */
    assert_true(up_within(a, play, MILLIS(200)));
    play_wait(play, SECONDS(9));
    assert_false(up_within(a, play, MILLIS(200))); /* 10 s later it has its turn again */
    play_wait(play, SECONDS(15));
    assert_true(up_within(a, play, MILLIS(200))); /* and waits twice as long */
    play_wait(play, SECONDS(6));
    mute->never_connects = false; /* silent, but it connects: the upgrade fails */
    struct host_addr only = {play_addr(1), HOST_TCP};
    conn_id c;
    assert_int_equal(host_dial_any(a->host, &only, 1, NULL, play->now, &c), E_OK);
    play_wait(play, SECONDS(20));
    assert_int_equal(play_count(a, HOST_DIAL_FAILED, NULL), 1);
    assert_true(up_within(a, play, MILLIS(200)));
    play_done(play);
    mem_free(play);
}

static void a_flipped_bit_anywhere_ends_the_connection_with_a_reason(void **state)
{
    (void)state;
    for (size_t at = 0; at < 1200; at++) {
        struct pair *p = mem_zalloc(sizeof *p);
        struct host_config cfg = config(true, true, at % 2 == 0);
        const struct host_event *ev = NULL;

        pair_new(p, at, &cfg, &cfg);
        p->play.flip_at = at;
        p->play.flip_to = at % 3 == 0 ? 0 : 1;
        pair_dial(p);
        play_wait(&p->play, SECONDS(120));
        if (p->play.flipped_so_far > at) {
            struct play_node *hit = p->play.flip_to == 0 ? p->a : p->b;
            size_t ends = play_count(hit, HOST_DISCONNECTED, &ev);
            ends += play_count(hit, hit == p->a ? HOST_DIAL_FAILED : HOST_INBOUND_FAILED, &ev);
            assert_int_equal(ends, 1);
            assert_int_not_equal(ev->error, E_OK);
            assert_int_equal(host_conn_count(p->a->host) + host_conn_count(p->b->host), 0);
        }
        pair_free(p);
    }
}

static void ids_of_the_dead_are_refused(void **state)
{
    struct pair *p = pair_up(14);
    struct host_conn_info info;
    stream_id s, s2;

    (void)state;
    assert_int_equal(host_open(p->a->host, p->conn, &p->ea.protocol, p->play.now, &s), E_OK);
    play_settle(&p->play);
    host_reset(p->a->host, s, E_OK, p->play.now);
    play_settle(&p->play);
    assert_int_equal(host_open(p->a->host, p->conn, &p->ea.protocol, p->play.now, &s2), E_OK);
    assert_true(s != s2);
    assert_null(host_user(p->a->host, s));
    assert_int_equal(host_stream_conn(p->a->host, s), 0);
    host_end(p->a->host, s); /* must not hit s2 */
    host_close(p->a->host, p->conn, E_OK, p->play.now);
    play_settle(&p->play);
    assert_false(host_conn_info(p->a->host, p->conn, &info));
    assert_int_equal(host_open(p->a->host, p->conn, &p->ea.protocol, p->play.now, &s), E_CLOSED);
    pair_free(p);
}

static void a_denied_charge_is_an_ordinary_answer(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        struct pair *p = mem_zalloc(sizeof *p);
        struct host_config cfg = config(true, true, true);
        struct budget *mem;
        stream_id s;

        pair_new(p, 15, &cfg, &cfg);
        p->play.cut_max = 5000;
        mem = host_budget(p->b->host, 0);
        mem->deny_in = n;
        pair_dial(p);
        if (host_open(p->a->host, p->conn, &p->ea.protocol, p->play.now, &s) == E_OK) {
            write_pattern(p, s, 20000);
            host_end(p->a->host, s);
        }
        play_wait(&p->play, SECONDS(60));
        size_t left = mem->deny_in;
        /* Nothing hangs: the stream has come to an end, whole or with a reason. */
        assert_int_equal(p->ea.gone, p->ea.opened);
        host_close(p->a->host, p->conn, E_OK, p->play.now);
        play_wait(&p->play, SECONDS(60));
        assert_int_equal(host_conn_count(p->b->host), 0);
        assert_int_equal(mem->used, 0);
        pair_free(p);
        if (left != 0) {
            assert_true(n > 10); /* all charges have been denied once */
            break;
        }
    }
}

static size_t heap_bytes(void)
{
#ifdef __SANITIZE_ADDRESS__
    return __sanitizer_get_current_allocated_bytes();
#else
    return mallinfo2().uordblks;
#endif
}

static void an_idle_connection_costs_less_than_48_kib(void **state)
{
    struct play *play = mem_zalloc(sizeof *play);
    struct host_config cfg = config(true, true, true);
    struct play_node *n[PLAY_NODES_MAX];
    struct addr to = play_addr(0);
    conn_id c;

    (void)state;
    play_init(play, 17);
    for (unsigned i = 0; i < PLAY_NODES_MAX; i++) {
        n[i] = play_host(play, cfg);
    }
    size_t before = heap_bytes();
    for (unsigned i = 1; i < PLAY_NODES_MAX; i++) {
        assert_int_equal(host_dial(n[i]->host, &to, NULL, play->now, &c), E_OK);
    }
    play_wait(play, SECONDS(100));
    for (size_t i = 0; i < play->n_links; i++) { /* the world's own buffers do not count */
        buf_done(&play->links[i].end[0].in);
        buf_done(&play->links[i].end[1].in);
    }
    assert_int_equal(host_conn_count(n[0]->host), PLAY_NODES_MAX - 1);
    size_t each = (heap_bytes() - before) / (2 * (PLAY_NODES_MAX - 1));
    print_message("an idle connection holds %zu bytes\n", each);
    assert_true(each < 48 * KIB);
    play_done(play);
    mem_free(play);
}

static void the_same_seed_gives_the_same_run(void **state)
{
    uint64_t steps[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct pair *p = pair_up(16);
        stream_id s;

        p->play.cut_max = 100;
        assert_int_equal(host_open(p->a->host, p->conn, &p->ea.protocol, p->play.now, &s), E_OK);
        write_pattern(p, s, 30000);
        play_wait(&p->play, SECONDS(100));
        steps[i] = p->play.steps;
        pair_free(p);
    }
    assert_true(steps[0] == steps[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_combination_of_muxers_connects_with_any_cut_of_the_bytes),
        cmocka_unit_test(a_connection_takes_three_round_trips_or_two),
        cmocka_unit_test(a_thousand_streams_share_a_connection),
        cmocka_unit_test(a_protocol_nobody_has_ends_the_stream_alone),
        cmocka_unit_test(protocols_come_and_go_while_peers_are_connected),
        cmocka_unit_test(a_reset_is_told_to_both_sides),
        cmocka_unit_test(an_error_of_the_protocol_ends_what_its_row_says),
        cmocka_unit_test(a_paused_stream_stops_its_sender),
        cmocka_unit_test(a_silent_remote_is_found_dead),
        cmocka_unit_test(a_ping_is_answered_over_each_muxer),
        cmocka_unit_test(a_close_lets_what_was_written_arrive),
        cmocka_unit_test(limits_of_connections_hold),
        cmocka_unit_test(ranges_of_addresses_are_read_and_hold_what_they_say),
        cmocka_unit_test(who_is_denied_is_neither_dialled_nor_accepted),
        cmocka_unit_test(refusals_that_nobody_fetches_stay_under_the_budget),
        cmocka_unit_test(each_step_of_a_connection_has_its_time),
        cmocka_unit_test(half_open_connections_pause_accepting_and_time_out),
        cmocka_unit_test(a_dial_that_fails_tells_the_step_and_the_words),
        cmocka_unit_test(of_several_addresses_the_first_to_answer_wins),
        cmocka_unit_test(an_address_that_is_silent_is_overtaken_by_the_next),
        cmocka_unit_test(an_address_that_failed_comes_behind_the_others_for_a_while),
        cmocka_unit_test(a_flipped_bit_anywhere_ends_the_connection_with_a_reason),
        cmocka_unit_test(ids_of_the_dead_are_refused),
        cmocka_unit_test(a_denied_charge_is_an_ordinary_answer),
        cmocka_unit_test(an_idle_connection_costs_less_than_48_kib),
        cmocka_unit_test(the_same_seed_gives_the_same_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
