#include <proto/ping.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct rng_seeded rng;

/* Spec: ping/ping.md "Protocol" */
static void questions_come_back_in_every_cut(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= 2 * PING_BYTES; piece++) {
        struct ping asker = {{0}, 0, false, 0}, echo = asker;
        struct buf asked, answered;
        uint64_t rtt = 0;

        buf_init(&asked, 1024);
        buf_init(&answered, 1024);
        for (size_t round = 0; round < 3; round++) { /* on one stream */
            enum err e = E_MORE;

            assert_int_equal(ping_ask(&asker, &rng.base, 1000, &asked), E_OK);
            assert_int_equal(ping_ask(&asker, &rng.base, 1000, &asked), E_EXISTS);
            while (asked.n != 0) {
                struct view in = view_of(asked.p, asked.n < piece ? asked.n : piece);
                size_t n = in.n;

                assert_int_equal(ping_answer(&echo, &in, &answered), E_OK);
                buf_consume(&asked, n);
            }
            assert_int_equal(answered.n, PING_BYTES);
            while (answered.n != 0) {
                struct view in = view_of(answered.p, answered.n < piece ? answered.n : piece);
                size_t n = in.n;

                assert_int_equal(e, E_MORE);
                e = ping_take(&asker, &in, 1700, &rtt);
                buf_consume(&answered, n);
            }
            assert_int_equal(e, E_OK);
            assert_int_equal(rtt, 700);
        }
        buf_done(&asked);
        buf_done(&answered);
    }
}

static void an_answer_that_differs_in_any_bit_is_refused(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * PING_BYTES; bit++) {
        struct ping asker = {{0}, 0, false, 0};
        struct buf asked;
        uint64_t rtt;

        buf_init(&asked, 64);
        assert_int_equal(ping_ask(&asker, &rng.base, 0, &asked), E_OK);
        asked.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct view in = buf_view(&asked);
        assert_int_equal(ping_take(&asker, &in, 0, &rtt), E_PING_MISMATCH);
        buf_done(&asked);
    }
}

static void an_answer_to_nothing_is_refused(void **state)
{
    struct ping asker = {{0}, 0, false, 0};
    struct view in = view_str("x");
    uint64_t rtt;

    (void)state;
    assert_int_equal(ping_take(&asker, &in, 0, &rtt), E_PING_MISMATCH);
}

static void a_remote_that_asks_and_never_reads_is_refused(void **state)
{
    static const uint8_t flood[4096];
    struct ping echo = {{0}, 0, false, 0};
    struct view in = view_of(flood, sizeof flood);
    struct buf out;

    (void)state;
    buf_init(&out, 1024);
    assert_int_equal(ping_answer(&echo, &in, &out), E_LIMIT);
    assert_int_equal(out.n, 1024);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_come_back_in_every_cut),
        cmocka_unit_test(an_answer_that_differs_in_any_bit_is_refused),
        cmocka_unit_test(an_answer_to_nothing_is_refused),
        cmocka_unit_test(a_remote_that_asks_and_never_reads_is_refused),
    };

    rng_seeded_init(&rng, 7);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
