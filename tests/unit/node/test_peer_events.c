/* The ring of what happened to peers, and its table of reasons. */
#include <node/peer_events.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void the_last_ones_are_kept_in_order(void **state)
{
    struct peer_events *es = peer_events_new(16);
    struct peer_event e = {.reason = WHY_FOUND};
    (void)state;

    assert_null(peer_events_at(es, 0));
    for (unsigned i = 0; i < 100; i++) {
        snprintf(e.text, sizeof e.text, "%u", i);
        peer_events_note(es, &e, (struct now){i, 2 * i});
    }
    assert_int_equal(peer_events_count(es), 100);
    const struct peer_event *first = peer_events_at(es, 0);
    assert_int_equal(first->number, 84);
    for (uint64_t i = 84; i < 100; i++) {
        const struct peer_event *x = peer_events_at(es, i);

        assert_int_equal(x->number, i);
        assert_int_equal(x->mono_ns, i);
        assert_int_equal(x->wall_ns, 2 * i);
        assert_int_equal(strtoul(x->text, NULL, 10), i);
    }
    assert_null(peer_events_at(es, 100));
    peer_events_free(es);
}

static void each_reason_has_a_name_of_its_own_and_a_text(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PEER_REASONS; i++) {
        assert_true(strlen(peer_reasons[i].name) > 0 && strlen(peer_reasons[i].text) > 10);
        assert_non_null(peer_act_name(peer_reasons[i].act));
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(peer_reasons[i].name, peer_reasons[j].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_ones_are_kept_in_order),
        cmocka_unit_test(each_reason_has_a_name_of_its_own_and_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
