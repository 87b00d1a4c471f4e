/* A chain with holes is fetched up and down from peers of which some lie: it comes whole, in order,
 * and nobody is blamed who told the truth. */
#include <base/mem.h>
#include <base/rng.h>
#include <node/ranges.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define SLOTS 1500u
#define PEERS 8u
#define STEPS 200000u

enum manner { TRUE_TO_ALL, WITHHOLDS_THE_END, ALWAYS_EMPTY, OTHER_CHAIN, UNLINKED, MANNERS };

struct world {
    bool block[SLOTS]; /* of the true chain */
    enum manner peer[PEERS + 1];
    bool blamed[PEERS + 1];
    struct rng_seeded rng;
    struct ranges r;
    struct blob *bytes;
    bool known[SLOTS]; /* true blocks that we have linked */
    uint64_t wanted;   /* down: the slot of the next one */
    uint64_t next_ask;
};

/* Blocks of the true chain are named by their slot; those of others by a mark more. */
static void name(uint8_t ret[static 32], uint64_t slot, uint64_t mark)
{
    memset(ret, 0, 32);
    store_le64(ret, slot);
    store_le64(ret + 8, mark);
}

static uint64_t slot_before(const struct world *w, uint64_t slot)
{
    while (slot > 0 && !w->block[--slot]) {
    }
    return slot;
}

static struct range_block block_of(const struct world *w, uint64_t slot, uint64_t mark,
                                   uint64_t parent_mark)
{
    struct range_block b = {.slot = slot, .packed = w->bytes};

    name(b.root, slot, mark);
    name(b.parent, slot_before(w, slot), parent_mark);
    return b;
}

static void answer(struct world *w, struct range *b, conn_id c)
{
    enum manner m = w->peer[c];
    uint64_t end = m == WITHHOLDS_THE_END ? b->from + (b->end - b->from) / 2 : b->end;
    uint64_t parent_mark = m == UNLINKED ? 1000 + c : 0;
    enum err e = E_OK;

    for (uint64_t s = b->from; s < end && m != ALWAYS_EMPTY && e == E_OK; s++) {
        uint64_t mark = m == OTHER_CHAIN || m == UNLINKED ? c : 0;
        struct range_block one = block_of(w, s, mark, parent_mark);

        if (w->block[s]) {
            e = range_add(&w->r, b, &one);
            assert_int_equal(e, E_OK);
            parent_mark = mark;
        }
    }
    range_answered(b, c);
}

/* Another who can be asked, first one that is not in doubt. */
static conn_id choose(struct world *w, const struct range *b)
{
    conn_id c = 0;

    for (unsigned i = 0; i < 64 && (c == 0 || w->blamed[c] || range_doubts(b, c)); i++) {
        c = 1 + rng_below(&w->rng.base, PEERS);
    }
    while (w->blamed[c]) {
        c = 1 + rng_below(&w->rng.base, PEERS);
    }
    return c;
}

static bool others(const struct world *w, const struct range *b)
{
    for (conn_id c = 1; c <= PEERS; c++) {
        if (c != b->conn && !w->blamed[c] && !range_doubts(b, c)) {
            return true;
        }
    }
    return false;
}

/* Links as the chain does: a parent that is known, of whatever chain, or the wanted root. */
static bool links(const struct world *w, const struct range *b)
{
    if (b->n == 0) {
        return true;
    }
    if (!w->r.cfg.down) {
        uint64_t mark = load_le64(b->blocks[0].parent + 8);

        return mark == 0 && w->known[load_le64(b->blocks[0].parent)];
    }
    uint8_t want[32];
    name(want, w->wanted, 0);
    return memcmp(b->blocks[b->n - 1].root, want, 32) == 0;
}

static void take(struct world *w, struct range *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct range_block *one = &b->blocks[i];

        if (load_le64(one->root + 8) == 0) {
            w->known[one->slot] = true;
        }
    }
    if (b->n != 0) {
        w->wanted = load_le64(b->blocks[0].parent);
    }
    ranges_taken(&w->r, b);
}

static void begin(struct world *w)
{
    uint64_t from = 1;

    for (uint64_t s = 1; s < SLOTS && !w->r.cfg.down; s++) {
        from = w->known[s] ? s + 1 : from;
    }
    ranges_begin(&w->r, from, w->r.cfg.down ? w->wanted + 1 : SLOTS);
}

static void step(struct world *w, uint64_t now)
{
    struct range *waiting[RANGES_BATCHES], *b;
    struct ranges_blame blame;
    size_t n = 0;

    while ((b = ranges_want(&w->r, now)) != NULL) {
        ranges_asked(b, ++w->next_ask);
    }
    for (size_t i = 0; i < w->r.n; i++) {
        if (w->r.all[i].state == RANGE_ASKED) {
            waiting[n++] = &w->r.all[i];
        }
    }
    if (n != 0) {
        b = waiting[rng_below(&w->rng.base, n)];
        if (rng_below(&w->rng.base, 10) == 0) {
            range_failed(b, now + 1);
        } else {
            answer(w, b, choose(w, b));
        }
    }
    while ((b = ranges_ready(&w->r)) != NULL) {
        if (links(w, b)) {
            take(w, b);
        } else if (!ranges_refused(&w->r, b, others(w, b), now)) {
            begin(w); /* at what is known */
        }
    }
    while (ranges_blame(&w->r, &blame)) {
        assert_true(blame.conn >= 1 && blame.conn <= PEERS);
        /* One who withholds the end makes the next one's blocks hang in the air; it is never a true
         * answer that is blamed. */
        if (w->peer[blame.conn] == TRUE_TO_ALL) {
            fail_msg("%s: peer %u told the truth: %s", w->r.cfg.down ? "down" : "up",
                     (unsigned)blame.conn, err_table[blame.why].name);
        }
        w->blamed[blame.conn] = true;
    }
}

static void run(uint64_t seed, bool down, unsigned liars)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct ranges_config cfg = {
        .down = down, .batch_slots = 32, .asked_max = 6, .bytes_max = 64 * KIB};
    uint64_t steps = 0;

    rng_seeded_init(&w->rng, seed);
    w->bytes = blob_new(100);
    for (uint64_t s = 0; s < SLOTS; s++) { /* runs of empty slots, some longer than batches */
        w->block[s] =
            s == 0 || s + 1 == SLOTS || (s / 90) % 7 != 3 || rng_below(&w->rng.base, 40) == 0;
        w->block[s] = w->block[s] && (s == 0 || s + 1 == SLOTS || rng_below(&w->rng.base, 8) != 0);
    }
    for (unsigned i = 1; i <= liars; i++) {
        w->peer[i] = (enum manner)(1 + rng_below(&w->rng.base, MANNERS - 1));
        if (!down && w->peer[i] == OTHER_CHAIN) {
            w->peer[i] = UNLINKED; /* up, a second chain that links is a branch, not a lie */
        }
    }
    ranges_init(&w->r, &cfg);
    w->known[0] = true;
    w->wanted = slot_before(w, SLOTS);
    begin(w);
    while (!ranges_over(&w->r) && steps < STEPS) {
        step(w, ++steps * 1000000000);
    }
    if (steps == STEPS) {
        fail_msg("seed %lu, %s: stands at slot %lu", (unsigned long)seed, down ? "down" : "up",
                 (unsigned long)ranges_place(&w->r));
    }
    for (uint64_t s = 1; s + 1 < SLOTS; s++) {
        /* What is behind the last block that linked may have been withheld: nothing follows it. */
        if (w->block[s] && !w->known[s] && (down || s < SLOTS - 10 * 32)) {
            fail_msg("seed %lu: slot %lu is missing", (unsigned long)seed, (unsigned long)s);
        }
    }
    ranges_done(&w->r);
    blob_unref(w->bytes);
    mem_free(w);
}

static void liars_cost_nobody_but_themselves(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        run(seed, false, (unsigned)(seed % (PEERS - 2)));
        run(seed, true, (unsigned)(seed % (PEERS - 2)));
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
    name(one.root, 12, 0);
    assert_int_equal(range_add(&r, b, &one), E_OK);
    two.slot = 12;
    assert_int_equal(range_add(&r, b, &two), E_BLOCK_UNASKED); /* the same slot again */
    two.slot = 13;
    assert_int_equal(range_add(&r, b, &two), E_BLOCK_LINK);
    memcpy(two.parent, one.root, 32);
    name(two.root, 13, 0);
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
        cmocka_unit_test(what_is_asked_and_held_is_bounded),
        cmocka_unit_test(liars_cost_nobody_but_themselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
