/* Networks of engines on virtual time: what a router promises to its network. */
#include "play_gossip.h"

#include <base/mem.h>
#include <codec/varint.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NODES    40u
#define MESSAGES 120u
#define TOPICS   3u

struct books {
    uint8_t seen[NODES][MESSAGES];
    unsigned duplicates, refused;
    /* When each node may graft each other again, by topic: from PRUNEs that it was sent. */
    uint64_t backoff_ns[TOPICS][NODES][NODES];
    unsigned early_grafts;
};

static uint32_t number_of(struct view raw)
{
    return load_be32(raw.p + 1);
}

static void on_event(void *self, struct world *w, uint32_t node, const struct gossip_event *ev)
{
    struct books *b = self;
    (void)w;

    if (ev->kind == GOSSIP_MESSAGE) {
        b->seen[node][number_of(ev->raw)]++;
    }
    b->duplicates += ev->kind == GOSSIP_DUPLICATE;
    b->refused += ev->kind == GOSSIP_REFUSED;
}

/* An observer of the wire, which knows nothing of the engines: nobody grafts whom it pruned
 * itself, until the time that it named is over. */
static void on_wire(void *self, struct world *w, uint32_t from, uint32_t to, const struct blob *rpc,
                    enum gossip_class class)
{
    struct books *b = self;
    struct view v = blob_view(rpc);
    struct gossip_reader r;
    struct gossip_item it = {.kind = ITEM_SUB};
    uint64_t n = 0;
    (void)class;

    assert_int_equal(varint_take(&v, &n), E_OK);
    for (gossip_reader_init(&r, v); it.kind != ITEM_END;) {
        assert_int_equal(gossip_next_item(&r, &it), E_OK);
        unsigned topic = it.topic.n == 7 ? it.topic.p[6] - '0' : 0;
        uint64_t *backoff = &b->backoff_ns[topic][from][to];

        if (it.kind == ITEM_PRUNE) {
            *backoff = w->now_ns + SECONDS(it.backoff_s);
        } else if (it.kind == ITEM_GRAFT) {
            b->early_grafts += w->now_ns < *backoff;
        }
    }
}

static struct world *make(struct books *b, uint64_t seed, uint32_t degree)
{
    struct world *w = world_new(seed, NODES, NULL);

    memset(b, 0, sizeof *b);
    w->on_event = on_event;
    w->on_wire = on_wire;
    w->self = b;
    world_topic(w, "topic-0", true);
    world_topic(w, "topic-1", true);
    world_topic(w, "topic-2", true);
    world_connect_random(w, degree);
    return w;
}

/* Message `i` of a size that makes IDONTWANT worth while for every third. */
static void publish(struct world *w, uint32_t i)
{
    size_t size = i % 3 == 0 ? 5000 : 200;
    struct blob *b = blob_new(size);

    memset(b->b, 'm', size);
    store_be32(b->b + 1, i);
    enum err e = world_publish(w, i % NODES, i % TOPICS, blob_view(b));
    assert_int_equal(e, E_OK);
    blob_unref(b);
}

static void expect_everywhere_once(const struct books *b)
{
    for (uint32_t m = 0; m < MESSAGES; m++) {
        for (uint32_t n = 0; n < NODES; n++) {
            if (b->seen[n][m] != (n != m % NODES)) {
                fail_msg("node %u saw message %u %u times", n, m, b->seen[n][m]);
            }
        }
    }
}

static void every_message_reaches_everyone_once(void **state)
{
    struct books *b = mem_zalloc(sizeof *b);
    (void)state;

    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world *w = make(b, seed, 15);
        unsigned opens = 0;

        world_run(w, SECONDS(6));
        for (uint32_t i = 0; i < MESSAGES; i++) {
            publish(w, i);
            world_run(w, w->now_ns + MILLIS(20));
        }
        world_run(w, w->now_ns + SECONDS(4));
        expect_everywhere_once(b);
        for (uint32_t n = 0; n < NODES; n++) {
            opens += w->nodes[n].open.calls;
        }
        assert_int_equal(opens, NODES * MESSAGES); /* no duplicate was opened */
        assert_true(b->duplicates > 0);
        assert_int_equal(b->refused, 0);
        assert_int_equal(b->early_grafts, 0);
        world_free(w);
    }
    mem_free(b);
}

static void meshes_settle_within_their_bounds(void **state)
{
    struct books *b = mem_zalloc(sizeof *b);
    struct world *w = make(b, 11, 20);
    (void)state;

    world_run(w, SECONDS(150)); /* two backoffs long */
    for (uint32_t n = 0; n < NODES; n++) {
        for (uint32_t t = 0; t < TOPICS; t++) {
            size_t size = gossipsub_mesh_size(w->nodes[n].g, t);

            assert_in_range(size, 6, 12);
            for (uint32_t p = 0; p < NODES; p++) { /* both sides agree who is meshed */
                assert_int_equal(gossipsub_in_mesh(w->nodes[n].g, t, p),
                                 gossipsub_in_mesh(w->nodes[p].g, t, n));
            }
        }
    }
    assert_int_equal(b->early_grafts, 0);
    world_free(w);
    mem_free(b);
}

static void churn(struct world *w)
{
    uint32_t a = (uint32_t)rng_below(&w->rng.base, w->n);

    for (uint32_t b = 0; b < w->n; b++) {
        if (rng_below(&w->rng.base, 4) == 0) {
            world_disconnect(w, a, b);
        }
    }
    world_connect_random(w, 12);
}

static void messages_survive_churn_by_gossip(void **state)
{
    struct books *b = mem_zalloc(sizeof *b);
    (void)state;

    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world *w = make(b, seed, 12);

        world_run(w, SECONDS(6));
        for (uint32_t i = 0; i < MESSAGES; i++) {
            if (i % 4 == 0) {
                churn(w);
            }
            publish(w, i);
            world_run(w, w->now_ns + MILLIS(50));
        }
        world_run(w, w->now_ns + SECONDS(6));
        expect_everywhere_once(b);
        assert_int_equal(b->early_grafts, 0);
        world_free(w);
    }
    mem_free(b);
}

static uint64_t digest_of_a_run(uint64_t seed)
{
    struct books *b = mem_zalloc(sizeof *b);
    struct world *w = make(b, seed, 12);

    world_run(w, SECONDS(4));
    for (uint32_t i = 0; i < 40; i++) {
        churn(w);
        publish(w, i);
        world_run(w, w->now_ns + MILLIS(300));
    }
    uint64_t digest = w->digest;
    world_free(w);
    mem_free(b);
    return digest;
}

static void the_same_seed_sends_the_same_bytes(void **state)
{
    (void)state;
    assert_true(digest_of_a_run(5) == digest_of_a_run(5));
    assert_true(digest_of_a_run(5) != digest_of_a_run(6));
}

static void bad_messages_do_not_spread(void **state)
{
    struct books *b = mem_zalloc(sizeof *b);
    struct world *w = make(b, 4, 12);
    unsigned ignored = 0, rejected = 0;
    (void)state;

    world_run(w, SECONDS(6));
    /* The publisher takes its own message for good; its neighbours do not. */
    assert_int_equal(world_publish(w, 0, 0, view_of("i\0\0\0\1", 5)), E_OK);
    assert_int_equal(world_publish(w, 0, 0, view_of("x\0\0\0\2", 5)), E_OK);
    world_run(w, SECONDS(9));
    for (uint32_t n = 1; n < NODES; n++) {
        bool neighbour = w->links[n] != 0;

        ignored += b->seen[n][1];
        rejected += b->seen[n][2];
        assert_true(neighbour || (b->seen[n][1] == 0 && b->seen[n][2] == 0));
    }
    assert_true(ignored >= 6 && rejected >= 6);
    world_free(w);
    mem_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_reaches_everyone_once),
        cmocka_unit_test(meshes_settle_within_their_bounds),
        cmocka_unit_test(messages_survive_churn_by_gossip),
        cmocka_unit_test(the_same_seed_sends_the_same_bytes),
        cmocka_unit_test(bad_messages_do_not_spread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
