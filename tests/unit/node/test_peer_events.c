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
    struct peer_event e = {.reason = WHY_CONNECTED};
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

static uint64_t now_s = 1000;

static void note(struct peer_events *es, const char *peer, enum peer_reason why, enum err error)
{
    struct peer_event e = {.reason = why, .error = error, .change = -1};

    e.peer.n = (uint8_t)strlen(peer);
    memcpy(e.peer.b, peer, strlen(peer));
    now_s++;
    peer_events_note(es, &e, (struct now){SECONDS(now_s), SECONDS(now_s)});
}

static size_t count(const struct peer_events *es, char peer)
{
    const struct peer_event *e;
    size_t n = 0;

    for (uint64_t at = 0; (e = peer_events_at(es, at)) != NULL; at = e->number + 1) {
        n += e->peer.b[0] == (uint8_t)peer;
    }
    return n;
}

/* A static peer that is away is dialled for ever; one that misbehaves is rated for ever. */
static void repetitions_are_one_event(void **state)
{
    struct peer_events *es = peer_events_new(PEER_EVENTS_MAX);
    (void)state;

    for (unsigned i = 0; i < 5000; i++) {
        note(es, "a", WHY_DIAL_NAMED, E_OK);
        note(es, "b", WHY_RATED, i % 2 == 0 ? E_RATE : E_TIMEOUT);
        note(es, "a", WHY_GONE_DIAL, E_DIAL);
    }
    assert_int_equal(count(es, 'a'), 2);
    assert_int_equal(count(es, 'b'), 2);
    const struct peer_event *e = peer_events_at(es, 1);
    assert_int_equal(e->error, E_RATE);
    assert_int_equal(e->times, 2500);
    assert_true(e->change == -2500.0 && e->last_wall_ns > e->wall_ns);
    /* A connection's end between: what comes after is told anew. */
    note(es, "b", WHY_GONE_LINK, E_CLOSED);
    note(es, "b", WHY_RATED, E_RATE);
    assert_int_equal(count(es, 'b'), 4);
    peer_events_free(es);
}

/* Strangers can knock from a hundred thousand addresses; peers' stories stay. */
static void knocking_pushes_nobody_out(void **state)
{
    struct peer_events *es = peer_events_new(PEER_EVENTS_MAX);
    (void)state;

    note(es, "a", WHY_CONNECTED, E_OK);
    for (uint32_t i = 0; i < 100000; i++) {
        struct peer_event e = {.reason = WHY_REFUSED_HOST, .error = E_IP_MAX};

        e.addr = (struct addr){.family = 4,
                               .ip = {1, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        peer_events_note(es, &e, (struct now){MILLIS(i), MILLIS(i)});
    }
    assert_int_equal(count(es, 'a'), 1);
    assert_int_equal(peer_events_count(es), 2);
    peer_events_free(es);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_ones_are_kept_in_order),
        cmocka_unit_test(repetitions_are_one_event),
        cmocka_unit_test(knocking_pushes_nobody_out),
        cmocka_unit_test(each_reason_has_a_name_of_its_own_and_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
