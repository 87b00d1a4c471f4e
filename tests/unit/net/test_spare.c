/*
 * Two connections to one peer: both sides dial at once in any order, a peer comes again after it
 * lost its connection, one of two ends. No request breaks, and one connection is left.
 */
#include "play_net.h"

#include <base/mem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define CALL_BYTES 20000u
#define CALLS_MAX  200u

/* One side: calls, which the other echoes, and a stream that lasts. */
struct side {
    struct play_node *node;
    struct stream_protocol calls, lasting;
    conn_id conn; /* the peer's, as last told; 0: none */
    unsigned begun, answered, broken, served;
    unsigned lasting_open, lasting_ended, heard;
    stream_id lasting_out;
    enum err last_why;
};

struct world {
    struct play play;
    struct side side[2]; /* 0 has the smaller peer id */
};

static const struct view call_ids[] = {{(const uint8_t *)"/call/1", 7}};
static const struct view lasting_ids[] = {{(const uint8_t *)"/lasting/1", 10}};

/* ---- calls ---- */

static void call_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    struct side *x = self;

    (void)index;
    (void)now;
    host_set_user(x->node->host, s, inbound ? NULL : x);
}

static enum err call_data(void *self, stream_id s, struct view bytes, struct now now)
{
    struct side *x = self;

    (void)now;
    if (host_user(x->node->host, s) != NULL) {
        return E_OK;
    }
    struct blob *b = blob_copy(bytes);
    enum err e = host_write(x->node->host, s, b, SEND_BULK);
    blob_unref(b);
    return e;
}

static enum err call_ended(void *self, stream_id s, struct now now)
{
    struct side *x = self;

    (void)now;
    /* Its peer is known by the id of the connection in use, whichever carries it. */
    assert_true(x->conn == 0 || host_stream_conn(x->node->host, s) == x->conn);
    x->served += host_user(x->node->host, s) == NULL ? 1 : 0;
    host_end(x->node->host, s);
    return E_OK;
}

static void call_gone(void *self, stream_id s, enum err why, struct now now)
{
    struct side *x = self;

    (void)now;
    if (host_user(x->node->host, s) != NULL) {
        x->answered += why == E_OK ? 1 : 0;
        x->broken += why == E_OK ? 0 : 1;
        x->last_why = why == E_OK ? x->last_why : why;
    }
}

static const struct stream_ops call_ops = {call_opened, call_data, call_ended, call_gone, NULL};

static void call(struct side *x)
{
    struct blob *b = blob_new(CALL_BYTES);
    stream_id s;

    memset(b->b, 7, CALL_BYTES);
    assert_true(x->begun < CALLS_MAX);
    assert_int_equal(host_open(x->node->host, x->conn, &x->calls, x->node->play->now, &s), E_OK);
    assert_int_equal(host_write(x->node->host, s, b, SEND_BULK), E_OK);
    host_end(x->node->host, s);
    blob_unref(b);
    x->begun++;
}

/* ---- the stream that lasts: opened again when it ends, as gossip does ---- */

static void lasting_open(struct side *x, struct now now)
{
    if (x->conn != 0 &&
        host_open(x->node->host, x->conn, &x->lasting, now, &x->lasting_out) == E_OK) {
        x->lasting_open++;
    }
}

static void lasting_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    (void)self;
    (void)s;
    (void)inbound;
    (void)index;
    (void)now;
}

static enum err lasting_data(void *self, stream_id s, struct view bytes, struct now now)
{
    struct side *x = self;

    (void)s;
    (void)now;
    x->heard += (unsigned)bytes.n;
    return E_OK;
}

static enum err lasting_end(void *self, stream_id s, struct now now)
{
    struct side *x = self;

    (void)now;
    host_end(x->node->host, s);
    return E_OK;
}

static void lasting_gone(void *self, stream_id s, enum err why, struct now now)
{
    struct side *x = self;

    (void)why;
    if (s == x->lasting_out) {
        x->lasting_ended++;
        x->lasting_out = 0;
        lasting_open(x, now);
    }
}

static const struct stream_ops lasting_ops = {lasting_opened, lasting_data, lasting_end,
                                              lasting_gone, NULL};

/* ---- the world ---- */

static void after(struct play_node *n, struct now now)
{
    struct side *x = n->user;
    const struct host_event *ev = NULL;

    if (x->conn == 0 && play_count(n, HOST_CONNECTED, &ev) == 1) {
        x->conn = ev->conn;
        call(x);
        lasting_open(x, now);
    }
}

static void side_init(struct side *x, struct play_node *n)
{
    const struct stream_protocol p = {
        .n_ids = 1, .accept = true, .klass = SEND_BULK, .queue_max = 1 * MIB, .self = x};

    *x = (struct side){.node = n, .calls = p, .lasting = p};
    x->calls.ids = call_ids;
    x->calls.ops = &call_ops;
    x->lasting.ids = lasting_ids;
    x->lasting.ops = &lasting_ops;
    x->lasting.lasting = true;
    host_register(n->host, &x->calls);
    host_register(n->host, &x->lasting);
    n->user = x;
    n->after = after;
}

static struct world *world_new(uint64_t seed)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct host_config cfg;
    struct peer_id id[2];

    host_config_default(&cfg);
    cfg.early_muxer = seed % 2 == 0;
    play_init(&w->play, seed);
    for (size_t i = 0; i < 2; i++) {
        struct play_node *n = play_host(&w->play, cfg);
        peer_id_from_secp(n->ident.public, &id[i]);
    }
    bool first_smaller = view_cmp(view_of(id[0].b, id[0].n), view_of(id[1].b, id[1].n)) < 0;
    side_init(&w->side[0], w->play.nodes[first_smaller ? 0 : 1]);
    side_init(&w->side[1], w->play.nodes[first_smaller ? 1 : 0]);
    return w;
}

static void world_free(struct world *w)
{
    play_done(&w->play);
    mem_free(w);
}

static conn_id dial(struct world *w, unsigned from)
{
    struct addr to = play_addr(w->side[1 - from].node->index);
    conn_id c;

    assert_int_equal(host_dial(w->side[from].node->host, &to, NULL, w->play.now, &c), E_OK);
    return c;
}

static void hold(struct world *w, size_t link, bool held)
{
    w->play.links[link].end[0].paused = w->play.links[link].end[1].paused = held;
}

/* One connection is left, nobody above ever saw another, and no call broke. */
static void expect_one(struct world *w)
{
    struct host_conn_info info[2];

    for (size_t i = 0; i < 2; i++) {
        struct side *x = &w->side[i];
        assert_int_equal(host_conn_count(x->node->host), 1);
        assert_int_equal(play_count(x->node, HOST_CONNECTED, NULL), 1);
        assert_int_equal(play_count(x->node, HOST_DISCONNECTED, NULL), 0);
        assert_int_equal(x->broken, 0);
        assert_int_equal(x->answered, x->begun);
        assert_int_equal(w->side[1 - i].served, x->begun);
        assert_true(host_conn_info(x->node->host, x->conn, &info[i]));
        assert_true(info[i].up);
        assert_int_equal(x->lasting_open, x->lasting_ended + 1);
    }
    assert_true(info[0].outbound != info[1].outbound); /* the same one */
}

/* Spec: libp2p/specs connections/README.md says nothing of it: both sides must agree alone. */
static void dials_at_once_end_in_one_connection_and_break_no_request(void **state)
{
    /* Which of the two dials is held back for a while: none, the smaller id's, the other's. */
    static const unsigned held[] = {2, 0, 1};

    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct world *w = world_new(seed);
        unsigned first = seed / 3 % 2, who = held[seed % 3];

        w->play.cut_max = seed < 15 ? 0 : 1 + seed * 11;
        dial(w, first);
        dial(w, 1 - first);
        if (who != 2) {
            hold(w, who == first ? 0 : 1, true);
            play_wait(&w->play, MILLIS(300 + 100 * seed));
            assert_true(w->side[0].conn != 0 && w->side[1].conn != 0);
            hold(w, who == first ? 0 : 1, false);
        }
        for (unsigned i = 0; i < 20; i++) { /* requests go on all the time, at any moment of it */
            play_run(&w->play, 20 + seed);
            for (unsigned k = 0; k < 2; k++) {
                if (w->side[k].conn != 0) {
                    call(&w->side[k]);
                }
            }
            play_wait(&w->play, MILLIS(130));
        }
        play_wait(&w->play, SECONDS(100));
        expect_one(w);
        struct host_conn_info info;
        assert_true(host_conn_info(w->side[0].node->host, w->side[0].conn, &info));
        assert_true(info.outbound); /* dialled by the smaller id */
        world_free(w);
    }
}

static void a_peer_that_lost_its_connection_is_served_on_its_new_one(void **state)
{
    struct world *w = world_new(1);
    struct side *x = &w->side[0];
    const struct host_event *ev = NULL;

    (void)state;
    dial(w, 1);
    play_wait(&w->play, SECONDS(60));
    hold(w, 0, true); /* it is lost, and only side 1 knows */
    host_close(w->side[1].node->host, w->side[1].conn, E_OK, w->play.now);
    play_wait(&w->play, SECONDS(3));
    w->side[1].conn = 0;
    w->side[1].node->n_events = 0;
    unsigned served = x->served;
    conn_id before = x->conn;
    dial(w, 1);
    play_wait(&w->play, SECONDS(1));
    assert_int_equal(x->served, served + 1); /* at once */
    play_wait(&w->play, SECONDS(60));
    assert_int_equal(play_count(x->node, HOST_DISCONNECTED, &ev), 0);
    call(x); /* under the same id, now over the new one */
    play_wait(&w->play, SECONDS(1));
    assert_int_equal(x->answered, x->begun);
    assert_true(x->conn == before);
    assert_int_equal(host_conn_count(x->node->host), 1);
    assert_int_equal(w->side[1].broken, 0);
    world_free(w);
}

static void a_peer_that_comes_again_before_it_was_identified_is_asked_there(void **state)
{
    struct world *w = world_new(1);
    struct side *x = &w->side[0];

    (void)state;
    dial(w, 1);
    while (play_count(x->node, HOST_CONNECTED, NULL) == 0) {
        play_half_trip(&w->play);
    }
    hold(w, 0, true); /* it is lost, and only side 1 knows */
    host_close(w->side[1].node->host, w->side[1].conn, E_OK, w->play.now);
    play_wait(&w->play, SECONDS(1));
    assert_int_equal(play_count(x->node, HOST_IDENTIFIED, NULL), 0);
    w->side[1].conn = 0;
    w->side[1].node->n_events = 0;
    dial(w, 1);
    play_wait(&w->play, SECONDS(30));
    assert_int_equal(play_count(x->node, HOST_IDENTIFIED, NULL), 1);
    assert_int_equal(play_count(x->node, HOST_DISCONNECTED, NULL), 0);
    world_free(w);
}

/* Two connections up, dialled by side 0 one after the other. */
static struct world *with_spare(uint64_t seed)
{
    struct world *w = world_new(seed);
    const struct host_event *ev = NULL;

    dial(w, 0);
    play_settle(&w->play);
    conn_id again = dial(w, 0);
    play_settle(&w->play);
    assert_int_equal(play_count(w->side[0].node, HOST_DIAL_FAILED, &ev), 1);
    assert_int_equal(ev->error, E_DUPLICATE);
    assert_true(ev->conn == again);
    assert_int_equal(host_conn_count(w->side[0].node->host), 2);
    assert_int_equal(host_conn_count(w->side[1].node->host), 2);
    return w;
}

static void a_spare_goes_when_it_is_idle_and_a_third_is_refused(void **state)
{
    struct world *w = with_spare(2);

    (void)state;
    dial(w, 0);
    play_settle(&w->play);
    assert_int_equal(play_count(w->side[0].node, HOST_DIAL_FAILED, NULL), 2);
    assert_int_equal(host_conn_count(w->side[0].node->host), 2);
    assert_int_equal(metric_get(w->side[0].node->metrics, M_FAULTS, E_DUPLICATE), 1);
    play_wait(&w->play, SECONDS(60));
    w->side[0].node->n_events = w->side[0].node->n_events > 1 ? 1 : 0;
    assert_int_equal(host_conn_count(w->side[0].node->host), 1);
    assert_int_equal(host_conn_count(w->side[1].node->host), 1);
    assert_int_equal(w->side[0].broken + w->side[1].broken, 0);
    world_free(w);
}

static void a_spare_takes_over_when_the_one_in_use_ends(void **state)
{
    (void)state;
    for (unsigned reset = 0; reset < 2; reset++) {
        struct world *w = with_spare(3 + reset);

        for (unsigned k = 0; k < 2; k++) { /* the first is cut */
            w->play.links[0].end[k].fin = true;
            w->play.links[0].end[k].reset = reset == 1;
        }
        play_settle(&w->play);
        call(&w->side[0]);
        call(&w->side[1]);
        play_wait(&w->play, SECONDS(60));
        for (unsigned k = 0; k < 2; k++) {
            struct side *x = &w->side[k];
            assert_int_equal(play_count(x->node, HOST_DISCONNECTED, NULL), 0);
            assert_int_equal(host_conn_count(x->node->host), 1);
            assert_int_equal(x->answered, x->begun);
            assert_int_equal(x->lasting_open, x->lasting_ended + 1);
        }
        world_free(w);
    }
}

static void a_close_ends_both_and_is_told_once(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 3; way++) {
        struct world *w = with_spare(10 + way);
        const struct host_event *ev = NULL;
        struct side *x = &w->side[1];

        if (way == 0) {
            host_close(x->node->host, x->conn, E_TOO_MANY_PEERS, w->play.now);
        } else { /* nonsense in the place of a record, on the one in use or on the spare */
            struct play_end *e = &w->play.links[way - 1].end[1];
            e->in.n = 0;
            assert_int_equal(buf_append(&e->in, "\0\x10nonsense nonsense", 18), E_OK);
        }
        play_wait(&w->play, SECONDS(5));
        assert_int_equal(play_count(x->node, HOST_DISCONNECTED, &ev), 1);
        assert_int_equal(ev->error, way == 0 ? E_TOO_MANY_PEERS : E_NOISE_RECORD);
        assert_true(ev->conn == x->conn);
        assert_int_equal(host_conn_count(x->node->host), 0);
        assert_int_equal(play_count(w->side[0].node, HOST_DISCONNECTED, NULL), 1);
        assert_int_equal(host_conn_count(w->side[0].node->host), 0);
        x->conn = w->side[0].conn = 0;
        world_free(w);
    }
}

static void hosts_end_with_two_connections_up(void **state)
{
    struct world *w = with_spare(20);

    (void)state;
    call(&w->side[0]);
    play_run(&w->play, 10);
    world_free(w); /* nothing leaks, nobody is told of what is gone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dials_at_once_end_in_one_connection_and_break_no_request),
        cmocka_unit_test(a_peer_that_lost_its_connection_is_served_on_its_new_one),
        cmocka_unit_test(a_peer_that_comes_again_before_it_was_identified_is_asked_there),
        cmocka_unit_test(a_spare_goes_when_it_is_idle_and_a_third_is_refused),
        cmocka_unit_test(a_spare_takes_over_when_the_one_in_use_ends),
        cmocka_unit_test(a_close_ends_both_and_is_told_once),
        cmocka_unit_test(hosts_end_with_two_connections_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
