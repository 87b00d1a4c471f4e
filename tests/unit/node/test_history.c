/* A node's entry on disk: every cut and every changed bit is refused, or reads as something whole.
 */
#include "../../../src/node/history.h"

#include <crypto/ident.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static size_t make(uint8_t out[static HISTORY_SIZE_MAX], struct history *ret)
{
    static const uint8_t secret[32] = {9, 9};
    struct enr_draft d;
    struct ident id;

    assert_int_equal(ident_from_secret(secret, &id), E_OK);
    enr_draft_init(&d, 7);
    enr_draft_set_endpoint(&d, "udp", &(struct addr){.family = 4, .port = 9, .ip = {20, 0, 0, 1}});
    *ret = (struct history){.last_s = 1700000000, .successes = 3, .failures = 1};
    assert_int_equal(enr_sign(&d, &id, &ret->enr), E_OK);
    return history_encode(ret, out);
}

static void what_is_written_is_read(void **state)
{
    uint8_t bytes[HISTORY_SIZE_MAX];
    struct history in, out;
    size_t n = make(bytes, &in);
    (void)state;

    assert_int_equal(history_decode(view_of(bytes, n), &out), E_OK);
    assert_int_equal(out.last_s, in.last_s);
    assert_int_equal(out.successes, 3);
    assert_int_equal(out.failures, 1);
    assert_true(node_id_eq(&out.enr.id, &in.enr.id) && out.enr.seq == 7);
}

static void damage_is_survived(void **state)
{
    uint8_t bytes[HISTORY_SIZE_MAX];
    struct history in, out;
    size_t n = make(bytes, &in);
    (void)state;

    for (size_t cut = 0; cut < n; cut++) {
        assert_int_not_equal(history_decode(view_of(bytes, cut), &out), E_OK);
    }
    for (size_t bit = 0; bit < 8 * n; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        bool history = bit / 8 >= 1 && bit / 8 < 17; /* any number is one */
        assert_int_equal(history_decode(view_of(bytes, n), &out) == E_OK, history);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(damage_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
