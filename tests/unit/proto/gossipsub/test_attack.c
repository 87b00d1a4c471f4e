/*
 * Attacks of the gossipsub 1.1 evaluation, small: half of the network is hostile. What must hold:
 * honest nodes get everything, once; attackers end outside of the meshes or cannot hurt; memory
 * stays in its bounds.
 */
#include "play_gossip.h"

#include <base/mem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NODES    40u
#define HONEST   20u /* nodes 0 to HONEST - 1 */
#define MESSAGES 60u

struct books {
    uint8_t seen[NODES][MESSAGES];
    unsigned duplicates;
};

static void on_event(void *self, struct world *w, uint32_t node, const struct gossip_event *ev)
{
    struct books *b = self;
    (void)w;

    if (ev->kind == GOSSIP_MESSAGE && ev->raw.p[0] == 'm') {
        b->seen[node][load_be32(ev->raw.p + 1)]++;
    }
    b->duplicates += ev->kind == GOSSIP_DUPLICATE;
}

static struct world *make(struct books *b, uint32_t degree)
{
    struct world *w = world_new(21, NODES, NULL);
    const struct gossip_topic_config cfg = {
        .name = view_str("t"),
        .class = GOSSIP_ATTESTATION,
        .data_max = 10000,
        .score = {.weight = 0.5,
                  .time_in_mesh_weight = 0.01,
                  .time_in_mesh_cap = 300,
                  .time_in_mesh_quantum_ns = SECONDS(12),
                  .first_weight = 1,
                  .first_decay = 0.9,
                  .first_cap = 20,
                  .invalid_weight = -140,
                  .invalid_decay = 0.98},
    };

    memset(b, 0, sizeof *b);
    w->on_event = on_event;
    w->self = b;
    for (uint32_t n = 0; n < NODES; n++) {
        uint32_t topic;

        assert_int_equal(gossipsub_add_topic(w->nodes[n].g, &cfg, &topic), E_OK);
        gossipsub_join(w->nodes[n].g, topic, (struct now){.mono_ns = w->now_ns});
        world_pump(w, n);
    }
    world_connect_random(w, degree);
    return w;
}

static void publish(struct world *w, uint32_t i)
{
    struct blob *b = blob_new(300);

    memset(b->b, 'm', b->n);
    store_be32(b->b + 1, i);
    assert_int_equal(world_publish(w, i % HONEST, 0, blob_view(b)), E_OK);
    blob_unref(b);
}

typedef void attack(struct world *w, uint32_t from, uint32_t to);

/* Publish by honest nodes for some seconds, each attacker acting on each neighbour in between. */
static void run(struct world *w, attack *act)
{
    world_run(w, w->now_ns + SECONDS(5));
    for (uint32_t i = 0; i < MESSAGES; i++) {
        for (uint32_t from = HONEST; act != NULL && from < NODES; from++) {
            for (uint32_t to = 0; to < HONEST; to++) {
                if (w->links[from * NODES + to] != 0) {
                    act(w, from, to);
                }
            }
        }
        publish(w, i);
        world_run(w, w->now_ns + MILLIS(200));
    }
    world_run(w, w->now_ns + SECONDS(5));
}

static void expect_all_honest(const struct books *b)
{
    for (uint32_t m = 0; m < MESSAGES; m++) {
        for (uint32_t n = 0; n < HONEST; n++) {
            if (b->seen[n][m] != (n != m % HONEST)) {
                fail_msg("node %u saw message %u %u times", n, m, b->seen[n][m]);
            }
        }
    }
}

/* Attackers in meshes of honest nodes, and attackers that honest nodes rate below zero. */
static void look(struct world *w, unsigned *meshed, unsigned *negative, unsigned *links)
{
    *meshed = *negative = *links = 0;
    for (uint32_t n = 0; n < HONEST; n++) {
        for (uint32_t p = HONEST; p < NODES; p++) {
            *links += w->links[n * NODES + p] != 0;
            *meshed += gossipsub_in_mesh(w->nodes[n].g, 0, p);
            *negative += gossipsub_score(w->nodes[n].g, p) < 0;
        }
    }
}

static void half_of_the_relays_pass_nothing_on(void **state)
{
    struct books *b = mem_zalloc(sizeof *b);
    struct world *w = make(b, 12);
    (void)state;

    for (uint32_t n = HONEST; n < NODES; n++) {
        w->nodes[n].censors = true;
    }
    run(w, NULL);
    expect_all_honest(b); /* what the mesh does not bring, gossip does */
    world_free(w);
    mem_free(b);
}

/* Everyone around the victim is hostile but two. */
static void an_eclipsed_node_lives_by_its_last_honest_peers(void **state)
{
    struct books *b = mem_zalloc(sizeof *b);
    struct world *w = make(b, 12);
    (void)state;

    for (uint32_t n = HONEST; n < NODES; n++) {
        w->nodes[n].censors = true;
        world_connect(w, n, 0, GOSSIP_1_2);
    }
    for (uint32_t n = 1; n < HONEST; n++) {
        world_disconnect(w, 0, n);
    }
    world_connect(w, 0, 1, GOSSIP_1_2);
    world_connect(w, 2, 0, GOSSIP_1_2);
    run(w, NULL);
    expect_all_honest(b);
    world_free(w);
    mem_free(b);
}

static void graft_and_gossip_flood(struct world *w, uint32_t from, uint32_t to)
{
    struct rpc_text r;
    uint8_t ids[40 * GOSSIP_ID_MAX];

    rpc_begin(&r);
    rng_fill(&w->rng.base, ids, sizeof ids);
    rpc_prune(&r, "t", 3600); /* so that every graft after it is inside a backoff */
    rpc_graft(&r, "t");
    rpc_ids(&r, ITEM_IHAVE, "t", ids, 40); /* nothing of it exists */
    rpc_ids(&r, ITEM_IWANT, "t", ids, 40);
    rpc_ids(&r, ITEM_IDONTWANT, "t", ids, 40);
    world_inject(w, from, to, rpc_end(&r));
}

static void floods_of_control_end_in_the_graylist_and_hurt_nobody(void **state)
{
    struct books *b = mem_zalloc(sizeof *b);
    struct world *w = make(b, 12);
    unsigned meshed, negative, links;
    (void)state;

    for (uint32_t n = HONEST; n < NODES; n++) {
        w->nodes[n].censors = true;
    }
    run(w, graft_and_gossip_flood);
    expect_all_honest(b);
    look(w, &meshed, &negative, &links);
    assert_int_equal(meshed, 0);
    assert_int_equal(negative, links); /* all of them, everywhere */
    world_free(w);
    mem_free(b);
}

static void invalid_messages(struct world *w, uint32_t from, uint32_t to)
{
    struct rpc_text r;

    rpc_begin(&r);
    for (unsigned i = 0; i < 3; i++) {
        uint8_t data[9] = {i == 0 ? '!' : 'x'}; /* does not decompress; is rejected */

        rng_fill(&w->rng.base, data + 1, 8);
        rpc_message(&r, "t", view_of(data, sizeof data));
    }
    world_inject(w, from, to, rpc_end(&r));
}

static void senders_of_invalid_messages_are_cut_off(void **state)
{
    struct books *b = mem_zalloc(sizeof *b);
    struct world *w = make(b, 12);
    unsigned meshed, negative, links, opened = 0;
    (void)state;

    run(w, invalid_messages);
    expect_all_honest(b);
    look(w, &meshed, &negative, &links);
    assert_int_equal(meshed, 0);
    assert_int_equal(negative, links);
    for (uint32_t n = 0; n < HONEST; n++) {
        opened += w->nodes[n].open.calls;
    }
    /* Of 3 * 60 bad messages by each attacker on each link only the first few were looked at. */
    assert_true(opened < HONEST * MESSAGES + links * 60);
    world_free(w);
    mem_free(b);
}

static void peers_that_do_not_read_cost_bounded_memory(void **state)
{
    struct books *b = mem_zalloc(sizeof *b);
    struct world *w = make(b, 12);
    (void)state;

    for (uint32_t n = HONEST; n < NODES; n++) {
        w->nodes[n].stuck = true;
    }
    run(w, NULL);
    expect_all_honest(b);
    for (uint32_t n = 0; n < HONEST; n++) {
        assert_true(w->nodes[n].mem.peak < 1 * MIB);
    }
    world_free(w);
    mem_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_of_the_relays_pass_nothing_on),
        cmocka_unit_test(an_eclipsed_node_lives_by_its_last_honest_peers),
        cmocka_unit_test(floods_of_control_end_in_the_graylist_and_hurt_nobody),
        cmocka_unit_test(senders_of_invalid_messages_are_cut_off),
        cmocka_unit_test(peers_that_do_not_read_cost_bounded_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
