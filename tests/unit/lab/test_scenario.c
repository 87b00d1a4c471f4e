#include <base/clock.h>
#include <lab/scenario.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct scenario sc;

static void words_fill_the_scenario(void **state)
{
    static const char text[] = "# a comment\n"
                               "seed 7\n"
                               "nodes 50   # another\n"
                               "\tboot 2\r\n"
                               "\n"
                               "latency 20ms 1.5s\n"
                               "loss 0.25%\n"
                               "bandwidth 1.5mbit 500kbit\n"
                               "producer 3-5\n"
                               "silent 4\n"
                               "nat 20%\n"
                               "run 122s\n"
                               "at 30s partition 25-49\n"
                               "at 50s heal\n"
                               "at 10s kill 3\n"
                               "at 60s latency 1ms 2ms\n"
                               "expect delivered 99.5% within 4s\n"
                               "expect peers 3\n"
                               "expect same-head";
    char fault[SCENARIO_FAULT_MAX] = "";
    (void)state;

    scenario_default(&sc);
    if (!scenario_parse(&sc, view_str(text), fault)) {
        fail_msg("%s", fault);
    }
    assert_int_equal(sc.sim.seed, 7);
    assert_int_equal(sc.nodes, 50);
    assert_int_equal(sc.boot, 2);
    assert_int_equal(sc.sim.latency_min_ns, MILLIS(20));
    assert_int_equal(sc.sim.latency_max_ns, MILLIS(1500));
    assert_int_equal(sc.sim.loss_ppm, 2500);
    assert_int_equal(sc.sim.down_bps, 1500000);
    assert_int_equal(sc.sim.up_bps, 500000);
    assert_int_equal(sc.producer_first, 3);
    assert_int_equal(sc.producer_last, 5);
    assert_int_equal(sc.adversaries[ADVERSARY_SILENT], 4);
    assert_int_equal(sc.nat_ppm, 200000);
    assert_int_equal(sc.run_ns, SECONDS(122));
    assert_int_equal(sc.n_steps, 4);
    assert_int_equal(sc.steps[0].kind, STEP_PARTITION);
    assert_int_equal(sc.steps[0].first, 25);
    assert_int_equal(sc.steps[0].last, 49);
    assert_int_not_equal(sc.steps[0].value, 0);
    assert_int_equal(sc.steps[2].at_ns, SECONDS(10));
    assert_int_equal(sc.steps[2].last, 3);
    assert_int_equal(sc.steps[3].value2, MILLIS(2));
    assert_int_equal(sc.n_expects, 3);
    assert_int_equal(sc.expects[0].value, 995000);
    assert_int_equal(sc.expects[0].value2, SECONDS(4));
    assert_string_equal(sc.expects[0].text, "delivered 99.5% within 4s");
}

static void villains_traffic_and_classes_are_read(void **state)
{
    static const char text[] = "nodes 20\n"
                               "bare\n"
                               "brief\n"
                               "villains censor 3\n"
                               "villains eclipse 4\n"
                               "villain-groups 2\n"
                               "target 5-6\n"
                               "columns 128 6\n"
                               "attestations 500 8\n"
                               "subnets 16\n"
                               "class 0-3 all-subnets\n"
                               "class 4 bandwidth 10mbit 2mbit\n"
                               "at 10s strike\n"
                               "at 20s kill 26\n"
                               "expect delivered column 99% within 4s\n"
                               "expect held 10% since 30s\n";
    char fault[SCENARIO_FAULT_MAX] = "";
    (void)state;

    scenario_default(&sc);
    if (!scenario_parse(&sc, view_str(text), fault)) {
        fail_msg("%s", fault);
    }
    assert_true(sc.bare && sc.brief);
    assert_int_equal(sc.villains[VILLAIN_CENSOR], 3);
    assert_int_equal(scenario_villains(&sc), 7);
    assert_int_equal(sc.villain_groups, 2);
    assert_int_equal(sc.target_last, 6);
    assert_int_equal(sc.columns, 128);
    assert_int_equal(sc.blobs, 6);
    assert_int_equal(sc.attestation_subnets, 8);
    assert_int_equal(sc.n_classes, 2);
    assert_true(sc.classes[0].all_subnets);
    assert_int_equal(sc.classes[1].up_bps, 2000000);
    assert_int_equal(sc.steps[0].kind, STEP_STRIKE);
    assert_int_equal(sc.expects[0].topic, LAB_COLUMN);
    assert_int_equal(sc.expects[1].value2, SECONDS(30));
}

static const struct {
    const char *text, *fault;
} refusals[] = {
    {"speed 7", "line 1: speed: wanted is a word that docs/internals/sim.md has"},
    {"\nnodes", "line 2: nodes: wanted is another number of words"},
    {"nodes 0", "line 1: nodes: wanted is a whole number in range"},
    {"nodes 1.5", "line 1: nodes: wanted is a whole number in range"},
    {"nodes 99999", "line 1: nodes: wanted is a whole number in range"},
    {"run 10", "line 1: run: wanted is a time: 20ms, 1.5s, 10min, 2h"},
    {"run 99999999999999999999h", "line 1: run: wanted is a time: 20ms, 1.5s, 10min, 2h"},
    {"run 1.2345s", "line 1: run: wanted is a time: 20ms, 1.5s, 10min, 2h"},
    {"loss 101%", "line 1: loss: wanted is a share: 0.5%"},
    {"bandwidth 0kbit 1kbit", "line 1: bandwidth: wanted is a rate: 500kbit, 50mbit, 1gbit"},
    {"latency 2s 1s", "line 1: latency: wanted is the lower one first"},
    {"slot 10ms", "line 1: slot: wanted is a time of at least 1s"},
    {"producer 5-3", "line 1: producer: wanted is a node or nodes: 7, 7-12"},
    {"at 5s explode 3",
     "line 1: at: wanted is partition, heal, kill, stop, start, loss, latency, move, "
     "clock-ahead, clock-back or strike after the time"},
    {"at 5s kill", "line 1: at: wanted is another number of words"},
    {"expect joy",
     "line 1: expect: wanted is peers, found, mesh, blocks, covered, cells, held, "
     "delivered, "
     "villain-mesh, villain-peers, target-peers, fair, served, diverse, clients, entries, floors, "
     "memory or same-head"},
    {"expect delivered 9% in 4s",
     "line 1: expect: wanted is [block|column|attestation] SHARE within TIME"},
    {"expect delivered rumour 9% within 4s",
     "line 1: expect: wanted is [block|column|attestation] SHARE within TIME"},
    {"expect held 10% after 4s", "line 1: expect: wanted is SHARE since TIME"},
    {"villains bully 3", "line 1: villains: wanted is censor, graft, ihave, iwant, invalid, slow, "
                         "eclipse, muzzle or cells, and a number"},
    {"columns 129 1", "line 1: columns: wanted is a whole number in range"},
    {"attestations 10 0", "line 1: attestations: wanted is a whole number in range"},
    {"class 3 clever", "line 1: class: wanted is class A-B and peers N, custody N, all-subnets, "
                       "cells or bandwidth DOWN UP"},
    {"class 16 all-subnets", "a class names a node that is not there"},
    {"run 120s\nexpect same-head",
     "expect same-head: the run ends as a block is made; end it between two"},
    {"target 16", "targets must be among the nodes"},
    {"bare 1", "line 1: bare: wanted is another number of words"},
    {"a b c d e f g h i", "line 1: a: wanted is fewer words"},
    {"no\x01printables", "line 1: text: wanted is shorter words of printable characters"},
    {"producer 16", "boot nodes and producers must be among the nodes"},
    {"boot 17", "boot nodes and producers must be among the nodes"},
    {"at 5s kill 16", "a step names a node that is not there"},
    {"at 5min kill 3", "a step comes after the run"},
};

static void what_is_wrong_is_named(void **state)
{
    char fault[SCENARIO_FAULT_MAX];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        scenario_default(&sc);
        assert_false(scenario_parse(&sc, view_str(refusals[i].text), fault));
        assert_string_equal(fault, refusals[i].fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_fill_the_scenario),
        cmocka_unit_test(villains_traffic_and_classes_are_read),
        cmocka_unit_test(what_is_wrong_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
