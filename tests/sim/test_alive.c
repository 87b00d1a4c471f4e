/*
 * Whole nodes stay alive: after an hour without a link, on another address, with a wall clock that
 * stepped, one has 90 % of its target again within two virtual minutes.
 */
#include <base/clock.h>
#include <crypto/random.h>
#include <eth/schema.h>
#include <lab/lab.h>
#include <limits.h>
#include <proto/enr.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WHO    5u /* whom it happens to */
#define TARGET 6u
#define ENOUGH 6u /* 90 % of it, rounded up */

static struct scenario sc;

static void print_line(void *self, struct view line)
{
    (void)self;
    fwrite(line.p, 1, line.n, stdout);
}

static struct lab *begin(const char *words)
{
    char text[512], fault[SCENARIO_FAULT_MAX] = "";
    struct lab *l = NULL;

    snprintf(text, sizeof text,
             "nodes 11\nboot 2\npeers %u\nslot 12s\ngenesis 12s\nrun 2h\nproducer 0-1\n%s", TARGET,
             words);
    scenario_default(&sc);
    if (!scenario_parse(&sc, view_str(text), fault) ||
        lab_new(&sc, getenv("SIM_SHOW") == NULL ? NULL : print_line, NULL, getenv("SIM_LOG"), &l,
                fault) != E_OK) {
        fail_msg("%s", fault);
    }
    return l;
}

static uint64_t since_ns; /* connections from before do not count */

static unsigned connected(struct lab *l)
{
    return lab_connected(l, WHO, since_ns);
}

static bool has_enough(struct sim *s, void *self)
{
    (void)s;
    return connected(self) >= ENOUGH;
}

static bool has_nine(struct sim *s, void *self)
{
    (void)s;
    return connected(self) >= 9;
}

static void recovers_in_two_minutes(struct lab *l, const char *from)
{
    uint64_t begin_ns = sim_now(lab_sim(l)).mono_ns;
    bool ok = sim_run_until(lab_sim(l), has_enough, l, SECONDS(120));

    print_message("%s: %u peers of %u again after %lu s\n", from, connected(l), TARGET,
                  (unsigned long)((sim_now(lab_sim(l)).mono_ns - begin_ns) / SECONDS(1)));
    assert_true(ok);
}

static void an_hour_without_a_link(void **state)
{
    struct lab *l = begin("");
    (void)state;

    assert_true(sim_run_until(lab_sim(l), has_enough, l, SECONDS(60)));
    sim_run(lab_sim(l), SECONDS(60));
    sim_set_group(lab_sim(l), WHO, 1);
    sim_run(lab_sim(l), SECONDS(3600));
    assert_int_equal(connected(l), 0);
    sim_set_group(lab_sim(l), WHO, 0);
    recovers_in_two_minutes(l, "an hour without a link");
    lab_free(l);
}

static bool tells_its_address(struct sim *s, void *self)
{
    struct lab_view v;
    struct addr told;

    lab_look(self, WHO, &v);
    return enr_endpoint(v.record, 4, "udp", &told) &&
           memcmp(told.ip, sim_addr(s, WHO).ip, sizeof told.ip) == 0;
}

/* Its record follows, too: peers report the new address. */
static void another_address(void **state)
{
    struct lab *l = begin("learn 5\n");
    struct lab_view before, after;
    (void)state;

    assert_true(sim_run_until(lab_sim(l), has_enough, l, SECONDS(60)));
    assert_true(sim_run_until(lab_sim(l), tells_its_address, l, SECONDS(300)));
    lab_look(l, WHO, &before);
    uint64_t seq = before.record->seq;
    sim_run(lab_sim(l), SECONDS(600));
    sim_move(lab_sim(l), WHO);
    assert_false(tells_its_address(lab_sim(l), l));
    since_ns = sim_now(lab_sim(l)).mono_ns;
    recovers_in_two_minutes(l, "another address");
    assert_true(sim_run_until(lab_sim(l), tells_its_address, l, SECONDS(300)));
    lab_look(l, WHO, &after);
    assert_true(after.record->seq > seq);
    since_ns = 0;
    lab_free(l);
}

/* What it knew is on its disk: no boot node is needed, and none runs. There are nodes enough that
 * some have room for it. */
static void a_restart_without_boot_nodes(void **state)
{
    struct lab *l = begin("nodes 18\n");
    (void)state;

    assert_true(sim_run_until(lab_sim(l), has_enough, l, SECONDS(60)));
    sim_run(lab_sim(l), SECONDS(90)); /* it is written once a minute */
    for (uint32_t i = 0; i < 2; i++) {
        sim_kill(lab_sim(l), i);
    }
    sim_kill(lab_sim(l), WHO);
    sim_run(lab_sim(l), SECONDS(60));
    sim_start(lab_sim(l), WHO);
    recovers_in_two_minutes(l, "a restart without boot nodes");
    lab_free(l);
}

/* Nothing but the slot hangs on the wall clock: there is nothing to recover from. A neighbour that
 * has too many may still part with it, so the target is one of which 90 % are not all. */
static void a_wall_clock_that_steps(void **state)
{
    static const int64_t steps[] = {3600, -7200, 3600};
    struct lab *l = begin("nodes 18\npeers 10\n");
    (void)state;

    assert_true(sim_run_until(lab_sim(l), has_nine, l, SECONDS(60)));
    for (size_t i = 0; i < 3; i++) {
        unsigned least = UINT_MAX;

        sim_step_wall(lab_sim(l), WHO, steps[i] * 1000000000);
        for (unsigned n = 0; n < 12; n++) {
            sim_run(lab_sim(l), SECONDS(10));
            least = connected(l) < least ? connected(l) : least;
        }
        print_message("a wall clock that stepped by %d s: never fewer than %u peers of 10\n",
                      (int)steps[i], least);
        assert_true(least >= 9);
    }
    lab_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hour_without_a_link),
        cmocka_unit_test(another_address),
        cmocka_unit_test(a_restart_without_boot_nodes),
        cmocka_unit_test(a_wall_clock_that_steps),
    };

    if (crypto_start() != E_OK) {
        return 1;
    }
    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
