/*
 * Fifty whole nodes, from discv5 and Noise upward, in one process: they find each other, mesh, and
 * a block made by one reaches all. The same seed gives the same bytes.
 */
#include <base/clock.h>
#include <crypto/random.h>
#include <eth/schema.h>
#include <lab/lab.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODES 50u

static struct scenario sc;

static void print_line(void *self, struct view line)
{
    (void)self;
    fwrite(line.p, 1, line.n, stdout);
}

static struct lab *begin(const char *text, uint64_t seed)
{
    char fault[SCENARIO_FAULT_MAX] = "";
    struct lab *l = NULL;

    scenario_default(&sc);
    bool good = scenario_parse(&sc, view_str(text), fault);
    sc.sim.seed = seed;
    if (!good || lab_new(&sc, getenv("SIM_SHOW") == NULL ? NULL : print_line, NULL,
                         getenv("SIM_LOG"), &l, fault) != E_OK) {
        fail_msg("%s", fault);
    }
    return l;
}

static bool all_meshed(struct sim *s, void *self)
{
    struct lab_view v;
    (void)s;

    for (uint32_t i = 0; i < NODES; i++) {
        lab_look(self, i, &v);
        if (!v.running || v.peers < 4 || v.mesh < 4) {
            return false;
        }
    }
    return true;
}

static bool second_block_is_everywhere(struct sim *s, void *self)
{
    struct lab_block b;
    (void)s;

    return lab_block(self, 1, &b) && b.reached == NODES;
}

static const char fifty[] = "nodes 50\n"
                            "peers 12\n"
                            "latency 20ms 120ms\n"
                            "loss 0.1%\n"
                            "slot 4s\n"
                            "genesis 14s\n"
                            "run 40s\n";

static void a_block_of_one_node_reaches_all_fifty(void **state)
{
    struct lab *l = begin(fifty, 1);
    struct lab_block b;
    unsigned found = 0;
    (void)state;

    assert_true(sim_run_until(lab_sim(l), all_meshed, l, SECONDS(24)));
    assert_true(sim_run_until(lab_sim(l), second_block_is_everywhere, l, SECONDS(16)));
    for (uint32_t i = 0; i < NODES; i++) {
        struct lab_view v;

        lab_look(l, i, &v);
        found += v.found;
    }
    assert_true(found >= NODES * 4); /* not all by the boot node */
    assert_true(lab_block(l, 1, &b));
    print_message("block of slot %lu: half of the nodes after %lu ms, all after %lu ms\n",
                  (unsigned long)b.slot, (unsigned long)(b.median_ns / MILLIS(1)),
                  (unsigned long)(b.last_ns / MILLIS(1)));
    assert_true(b.last_ns < SECONDS(2));
    assert_true(b.median_ns >= MILLIS(20)); /* it did travel */
    lab_free(l);
}

static uint64_t digest_of(const char *text, uint64_t seed, struct sim_stats *ret)
{
    struct lab *l = begin(text, seed);

    lab_run(l);
    uint64_t digest = sim_digest(lab_sim(l));

    sim_stats(lab_sim(l), ret);
    lab_free(l);
    return digest;
}

static const char dozen[] = "nodes 12\n"
                            "peers 8\n"
                            "loss 1%\n"
                            "slot 3s\n"
                            "genesis 8s\n"
                            "run 24s\n"
                            "garbage 1\n"
                            "silent 1\n"
                            "at 10s kill 5\n"
                            "at 12s partition 8-11\n"
                            "at 16s heal\n"
                            "at 18s start 5\n";

static void the_same_seed_gives_the_same_bytes(void **state)
{
    struct sim_stats a, b, c;
    (void)state;

    uint64_t first = digest_of(dozen, 7, &a), again = digest_of(dozen, 7, &b),
             other = digest_of(dozen, 8, &c);
    assert_true(first == again);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(first != other);
    assert_true(a.conns > 20 && a.tcp_bytes > 100000 && a.udp_bytes > 10000);
}

/* What goes into a node is what the port, its random bytes and its config give: nothing else. */
static void a_recorded_node_does_the_same_again(void **state)
{
    struct lab *l = begin(dozen, 9);
    char fault[REPLAY_FAULT_MAX] = "";
    uint64_t calls = 0;
    struct buf recording;
    (void)state;

    buf_init(&recording, 256 * MIB);
    lab_record(l, 3, &recording);
    lab_run(l);
    if (!lab_replay(l, buf_view(&recording), fault, &calls)) {
        fail_msg("%s", fault);
    }
    assert_true(calls > 500);

    /* And a replay can fail: a bit of what came in is flipped. Not every bit decides something (a
     * timer's nanosecond does not): one of these does. */
    bool same = true;
    uint64_t calls_then = 0;
    for (size_t at = recording.n / 2; same && at < recording.n; at += recording.n / 32) {
        recording.p[at] ^= 1;
        same = lab_replay(l, buf_view(&recording), fault, &calls_then);
        recording.p[at] ^= 1;
    }
    assert_false(same);
    assert_true(calls_then < calls);
    lab_free(l);
    buf_done(&recording);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_of_one_node_reaches_all_fifty),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(a_recorded_node_does_the_same_again),
    };

    if (crypto_start() != E_OK) {
        return 1;
    }
    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
