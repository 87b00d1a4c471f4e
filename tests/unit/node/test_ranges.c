/* Batches are cut, asked for, taken and judged: by hand, and in worlds where peers lie. */
#include "play_ranges.h"

#include <base/clock.h>
#include <base/rng.h>
#include <node/ranges.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* Blocks are named by their slot. */
static void name(uint8_t ret[static 32], uint64_t slot)
{
    memset(ret, 0, 32);
    store_le64(ret, slot);
}

/* 800 worlds: the chain comes whole, and nobody is blamed who told the truth. */
static void liars_cost_nobody_but_themselves(void **state)
{
    struct rng_seeded rng;
    uint8_t script[600];
    (void)state;

    for (uint64_t seed = 1; seed <= 400; seed++) {
        rng_seeded_init(&rng, seed);
        rng_fill(&rng.base, script, sizeof script);
        for (uint8_t down = 0; down < 2; down++) {
            script[0] = down;
            play_ranges(view_of(script, sizeof script));
        }
    }
}

static struct range *want(struct ranges *r)
{
    struct range *b = ranges_want(r, 0);

    assert_non_null(b);
    ranges_asked(b, (uint64_t)(b - r->all) + 100);
    return b;
}

static void answers_are_checked_block_by_block(void **state)
{
    struct ranges_config cfg = {.batch_slots = 16, .asked_max = 4, .bytes_max = 4096};
    struct range_block one = {.slot = 9, .packed = blob_new(400)}, two = one;
    struct ranges r;
    (void)state;

    ranges_init(&r, &cfg);
    ranges_begin(&r, 10, 100);
    struct range *b = want(&r);
    assert_int_equal(b->from, 10);
    assert_int_equal(b->end, 26);
    assert_int_equal(range_add(&r, b, &one), E_BLOCK_UNASKED); /* before the range */
    one.slot = 26;
    assert_int_equal(range_add(&r, b, &one), E_BLOCK_UNASKED); /* behind it */
    one.slot = 12;
    name(one.root, 12);
    assert_int_equal(range_add(&r, b, &one), E_OK);
    two.slot = 12;
    assert_int_equal(range_add(&r, b, &two), E_BLOCK_UNASKED); /* the same slot again */
    two.slot = 13;
    assert_int_equal(range_add(&r, b, &two), E_BLOCK_LINK);
    memcpy(two.parent, one.root, 32);
    name(two.root, 13);
    assert_int_equal(range_add(&r, b, &two), E_OK);
    two.slot = 14;
    memset(two.parent, 0, 32);
    assert_int_equal(range_add(&r, b, &two), E_BLOCK_LINK);
    ranges_done(&r);
    blob_unref(one.packed);
}

static void large_blocks_make_the_batches_smaller(void **state)
{
    struct ranges_config cfg = {.batch_slots = 16, .asked_max = 4, .bytes_max = 4096};
    struct range_block one = {.slot = 10, .packed = blob_new(1000)};
    struct ranges r;
    (void)state;

    ranges_init(&r, &cfg);
    ranges_begin(&r, 10, 100);
    struct range *b = want(&r);
    assert_int_equal(range_add(&r, b, &one), E_OK); /* one is always taken, however large */
    memcpy(one.parent, one.root, 32);
    one.slot = 11;
    assert_int_equal(range_add(&r, b, &one), E_FULL);
    ranges_shrink(&r);
    for (unsigned i = 0; i < 3; i++) {
        b = want(&r);
        assert_int_equal(b->from, 10 + 8 * i);
        assert_int_equal(b->end, 18 + 8 * i);
    }
    ranges_done(&r);
    blob_unref(one.packed);
}

/* A slow peer's half of an answer is used; the other half is asked of somebody else. */
static void an_answer_that_ends_early_is_split(void **state)
{
    struct range_block one = {.slot = 12, .packed = blob_new(10)};
    (void)state;

    for (int down = 0; down < 2; down++) {
        struct ranges_config cfg = {
            .down = down != 0, .batch_slots = 16, .asked_max = 4, .bytes_max = 4096};
        struct ranges r;

        ranges_init(&r, &cfg);
        ranges_begin(&r, 10, 26);
        struct range *b = want(&r);
        assert_int_equal(range_add(&r, b, &one), E_OK);
        ranges_split(&r, b, 7);
        struct range *rest = want(&r);
        assert_int_equal(rest->from, 13);
        assert_int_equal(rest->end, 26);
        /* Up, what came is in line; down, what is missing. */
        assert_true((ranges_ready(&r) != NULL) == (down == 0));
        range_answered(rest, 8);
        assert_int_equal(ranges_ready(&r)->from, down ? 13 : 10);
        ranges_done(&r);
    }
    blob_unref(one.packed);
}

static void what_is_asked_and_held_is_bounded(void **state)
{
    struct ranges_config cfg = {.batch_slots = 16, .asked_max = 3, .bytes_max = 4000};
    struct range_block one = {.packed = blob_new(1000)};
    struct range *asked[3];
    struct ranges r;
    uint64_t ask;
    size_t at = 0;
    (void)state;

    ranges_init(&r, &cfg);
    ranges_begin(&r, 0, UINT64_MAX); /* a liar's head: nothing is made of it but numbers */
    for (size_t i = 0; i < 3; i++) {
        asked[i] = want(&r);
    }
    assert_null(ranges_want(&r, 0));
    for (size_t i = 1; i < 3; i++) { /* two answers behind the one in line */
        for (uint64_t k = 0; k < 2; k++) {
            one.slot = asked[i]->from + k;
            IGNORE(range_add(&r, asked[i], &one), "the second is over the batch's part");
        }
        range_answered(asked[i], i);
    }
    assert_int_equal(asked[1]->bytes + asked[2]->bytes, 2000);
    assert_null(ranges_ready(&r)); /* the first is awaited */
    assert_ptr_equal(ranges_of(&r, asked[0]->ask), asked[0]);
    assert_true(ranges_next_asked(&r, &at, &ask));
    assert_int_equal(ask, asked[0]->ask);
    assert_false(ranges_next_asked(&r, &at, &ask));
    for (size_t i = 0; i < 2; i++) {
        struct range *b = want(&r);

        one.slot = b->from;
        assert_int_equal(range_add(&r, b, &one), E_OK);
        range_answered(b, 9);
    }
    assert_null(ranges_want(&r, 0)); /* 4000 bytes are held */
    range_failed(asked[0], 5);
    assert_null(ranges_want(&r, 4));
    assert_int_equal(ranges_want_ns(&r), 0);
    assert_ptr_equal(ranges_want(&r, 5), asked[0]); /* the one in line always may */
    ranges_done(&r);
    blob_unref(one.packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_checked_block_by_block),
        cmocka_unit_test(large_blocks_make_the_batches_smaller),
        cmocka_unit_test(an_answer_that_ends_early_is_split),
        cmocka_unit_test(what_is_asked_and_held_is_bounded),
        cmocka_unit_test(liars_cost_nobody_but_themselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
