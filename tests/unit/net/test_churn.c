/* Connections opened and closed in every state: memory ends where it began. */
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

#define ROUNDS      1000u
#define ROUNDS_LONG 100000u /* ./test --long */

static size_t heap_bytes(void)
{
#ifdef __SANITIZE_ADDRESS__
    return __sanitizer_get_current_allocated_bytes();
#else
    return mallinfo2().uordblks;
#endif
}

static void no_opened(void *self, stream_id s, bool inbound, size_t index, struct now now)
{
    (void)self;
    (void)s;
    (void)inbound;
    (void)index;
    (void)now;
}

static enum err no_data(void *self, stream_id s, struct view bytes, struct now now)
{
    (void)self;
    (void)s;
    (void)bytes;
    (void)now;
    return E_OK;
}

static enum err no_end(void *self, stream_id s, struct now now)
{
    (void)self;
    (void)s;
    (void)now;
    return E_OK;
}

static void no_gone(void *self, stream_id s, enum err why, struct now now)
{
    (void)self;
    (void)s;
    (void)why;
    (void)now;
}

static const struct stream_ops sink_ops = {no_opened, no_data, no_end, no_gone, NULL};
static const struct view sink_ids[] = {{(const uint8_t *)"/sink/2", 7},
                                       {(const uint8_t *)"/sink/1", 7}};

struct churn {
    struct play play;
    struct play_node *n[2];
    struct stream_protocol protocol[2];
};

static void churn_init(struct churn *c)
{
    struct host_config cfg;

    host_config_default(&cfg);
    play_init(&c->play, 42);
    for (unsigned i = 0; i < 2; i++) {
        c->n[i] = play_host(&c->play, cfg);
        c->protocol[i] = (struct stream_protocol){.ids = sink_ids,
                                                  .n_ids = 2,
                                                  .accept = i == 1,
                                                  .klass = SEND_BULK,
                                                  .queue_max = 1 * MIB,
                                                  .ops = &sink_ops};
        host_register(c->n[i]->host, &c->protocol[i]);
    }
}

/* Something with the streams of a connection that is up by now, or is not. */
static void stir(struct churn *c, conn_id conn)
{
    struct rng *rng = &c->play.rng.base;
    uint64_t n = rng_below(rng, 6);
    stream_id s;

    for (uint64_t i = 0; i < n; i++) {
        if (host_open(c->n[0]->host, conn, &c->protocol[0], c->play.now, &s) != E_OK) {
            return;
        }
        play_run(&c->play, rng_below(rng, 20));
        struct blob *b = blob_new(1 + rng_below(rng, 100000));
        memset(b->b, 1, b->n);
        IGNORE(host_write(c->n[0]->host, s, b, SEND_BULK), "not agreed yet, or gone: as it comes");
        blob_unref(b);
        if (rng_below(rng, 3) == 0) {
            host_end(c->n[0]->host, s);
        } else if (rng_below(rng, 3) == 0) {
            host_reset(c->n[0]->host, s, E_CANCELLED, c->play.now);
        }
    }
}

static void one_round(struct churn *c)
{
    struct rng *rng = &c->play.rng.base;
    struct addr to = play_addr(1);
    conn_id conn;

    c->play.cut_max = 1 + rng_below(rng, 400);
    assert_int_equal(host_dial(c->n[0]->host, &to, NULL, c->play.now, &conn), E_OK);
    play_run(&c->play, rng_below(rng, 60)); /* in the middle of any step */
    stir(c, conn);
    play_run(&c->play, rng_below(rng, 60));
    switch (rng_below(rng, 3)) {
    case 0:
        host_close(c->n[0]->host, conn, E_TOO_MANY_PEERS, c->play.now);
        break;
    case 1: /* cut by the network: both learn it */
        if (c->play.n_links != 0) {
            struct play_link *l = &c->play.links[c->play.n_links - 1];
            l->end[0].fin = l->end[0].reset = l->end[1].fin = l->end[1].reset = true;
        }
        break;
    default: /* all falls silent: the timers end it */
        if (c->play.n_links != 0) {
            c->play.links[c->play.n_links - 1].end[0].paused = true;
            c->play.links[c->play.n_links - 1].end[1].paused = true;
        }
        play_wait(&c->play, SECONDS(200));
        break;
    }
    play_wait(&c->play, SECONDS(3));
    host_close(c->n[0]->host, conn, E_SHUTDOWN, c->play.now);
    play_wait(&c->play, SECONDS(20));
    for (unsigned i = 0; i < 2; i++) {
        c->n[i]->n_events = 0;
        assert_int_equal(host_conn_count(c->n[i]->host), 0);
        assert_int_equal(host_budget(c->n[i]->host, 0)->used, 0);
    }
}

static void connections_that_end_in_any_state_leave_nothing(void **state)
{
    struct churn *c = mem_zalloc(sizeof *c);
    const char *longer = getenv("P2PD_LONG");
    unsigned rounds = longer != NULL && longer[0] != '\0' ? ROUNDS_LONG : ROUNDS;
    size_t before = 0;

    (void)state;
    churn_init(c);
    for (unsigned i = 0; i < rounds; i++) {
        one_round(c);
        if (i == rounds / 10) { /* tables have their sizes by now */
            before = heap_bytes();
        }
    }
    size_t after = heap_bytes();
    print_message("note: %u connections, heap %zu before, %zu after\n", rounds, before, after);
    assert_true(after <= before + 16 * KIB);
    play_done(&c->play);
    mem_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_that_end_in_any_state_leave_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
