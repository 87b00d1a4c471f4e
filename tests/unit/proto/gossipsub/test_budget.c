/* Every refused charge is an ordinary answer: no crash, no leak, and the router goes on. */
#include "play_one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* A life with a bit of everything that is charged; feeds may fail. */
static void live(struct one *o)
{
    static char large[3000];
    struct rpc_text r;
    enum gossip_class class;

    one_topic(o, "t", true);
    one_peer(o, 1, GOSSIP_1_2, false, false);
    one_peer(o, 2, GOSSIP_1_2, false, false);
    memset(large, 'l', sizeof large - 1);
    rpc_begin(&r);
    rpc_sub(&r, "t", true);
    rpc_sub(&r, "other", true);
    rpc_message(&r, "t", view_str(large));
    rpc_message(&r, "t", view_str("small"));
    struct blob *rpc = rpc_end(&r);
    for (size_t i = 0; i < rpc->n; i += 700) { /* cut, so it is gathered */
        struct view piece = {rpc->b + i, rpc->n - i < 700 ? rpc->n - i : 700};

        if (gossipsub_feed(o->g, 1, &piece, o->now) != E_OK) {
            gossipsub_remove_peer(o->g, 1, o->now);
            break;
        }
        one_drain(o);
    }
    blob_unref(rpc);
    one_verdict(o, GOSSIP_ACCEPT);
    IGNORE(gossipsub_publish(o->g, 0, view_str("ours"), o->now), "may have no memory");
    one_ticks(o, 8);
    rpc_begin(&r);
    rpc_sub(&r, "t", true);
    rpc_sub(&r, "more", true);
    IGNORE(one_feed_error(o, 2, &r), "may have no memory");
    one_sleep(o, SECONDS(120));
    IGNORE(gossipsub_publish(o->g, 0, view_str("later"), o->now), "may have no memory");
    blob_unref(gossipsub_send(o->g, 2, &class));
    one_drain(o);
}

static void every_refused_charge_is_survived(void **state)
{
    static struct one o;
    size_t charges = 0;
    (void)state;

    for (bool more = true; more; charges++) {
        one_init(&o);
        one_start(&o);
        o.mem.deny_in = charges + 1;
        live(&o);
        more = o.mem.deny_in == 0; /* it was reached */
        o.mem.deny_in = 0;
        /* The router still works for a newcomer. */
        one_crowd(&o, 10, 1, "t");
        one_send_message(&o, 10, "t", "afterwards");
        assert_true(o.n_messages > 0);
        one_done(&o);
    }
    print_message("%zu charges refused, one by one\n", charges - 1);
    assert_true(charges > 8);
}

static void without_any_memory_nothing_is_kept_and_nothing_breaks(void **state)
{
    static struct one o;
    (void)state;

    one_init(&o);
    one_start(&o);
    o.mem.max = 0;
    live(&o);
    assert_int_equal(o.n_messages, 0);
    one_done(&o);
}

/* Many peers that send most of an RPC and then wait: honest ones still get through. */
static void slow_senders_of_large_rpcs_cannot_take_all_memory(void **state)
{
    static struct one o;
    static uint8_t part[600000] = {0x80, 0x80, 0x40, 0x12, 0xfb, 0xff, 0x3f}; /* of 1 MiB */
    unsigned refused = 0;
    (void)state;

    one_init(&o);
    budget_init(&o.mem, NULL, "one", 16 * MIB);
    one_start(&o);
    one_topic(&o, "t", true);
    for (uint32_t p = 0; p < 40; p++) {
        struct view v = {part, sizeof part};

        one_peer(&o, p, GOSSIP_1_2, false, false);
        enum err e = gossipsub_feed(o.g, p, &v, o.now);
        assert_true(e == E_OK || e == E_BUDGET);
        refused += e == E_BUDGET;
    }
    assert_true(refused > 0);
    assert_true(o.mem.used <= 8 * MIB + 64 * KIB);
    one_crowd(&o, 50, 1, "t");
    one_send_message(&o, 50, "t", "hello");
    assert_int_equal(o.n_messages, 1);
    one_done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_refused_charge_is_survived),
        cmocka_unit_test(without_any_memory_nothing_is_kept_and_nothing_breaks),
        cmocka_unit_test(slow_senders_of_large_rpcs_cannot_take_all_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
