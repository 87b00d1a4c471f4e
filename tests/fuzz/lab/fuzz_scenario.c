/* Any text: no crash; what is taken keeps within its bounds and is taken the same again. */
#include <assert.h>
#include <base/clock.h>
#include <lab/scenario.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct scenario once, again;
    char fault[SCENARIO_FAULT_MAX] = "";

    scenario_default(&once);
    scenario_default(&again);
    bool taken = scenario_parse(&once, view_of(p, n), fault);

    assert(scenario_parse(&again, view_of(p, n), fault) == taken);
    assert(taken || fault[0] != 0);
    if (taken) {
        assert(memcmp(&once, &again, sizeof once) == 0);
        assert(once.nodes >= 1 && once.boot <= once.nodes && once.producer_last < once.nodes);
        assert(once.sim.latency_min_ns <= once.sim.latency_max_ns);
        assert(once.n_classes <= SCENARIO_CLASS_MAX && once.target_last < once.nodes);
        assert(once.slot_ns >= SECONDS(1) && once.subnets <= 64 && once.custody <= 128);
        assert(once.nodes + scenario_villains(&once) <= SIM_NODES_MAX);
        assert(once.attestations == 0 || once.attestation_subnets >= 1);
        assert(once.n_steps <= SCENARIO_STEPS_MAX && once.n_expects <= SCENARIO_EXPECT_MAX);
    }
    return 0;
}
