/*
 * Any bytes as any type: refused, or every property of play_ssz() holds. Two ways to make a value:
 * the input's own bytes, or a random valid value whose offsets, lengths, booleans and bit
 * delimiters are then changed as the input says, so that faults deep inside are reached.
 *
 * Input: preset and fork, type (2), way, then bytes, or a seed (8) and changes (6 each).
 */
#include "../../unit/eth/play_ssz.h"

#include <assert.h>
#include <eth/schema.h>
#include <ssz/type.h>
#include <stdlib.h>

#define VALUE_MAX  (64 * KIB) /* larger random values are passed over: too slow */
#define SITES_MAX  4096
#define PLAY_MAX   (16 * KIB) /* JSON and proofs only up to here */
#define WHOLE_FUZZ 32         /* one of so many values goes through every property */

static size_t sites[SITES_MAX], n_sites;
static const struct ssz_type *types[8192];
static size_t n_types;

static void site(size_t at)
{
    if (n_sites < SITES_MAX) {
        sites[n_sites++] = at;
    }
}

/* Where `v`, which begins at byte `base`, can be wrong. */
static void find_sites(const struct ssz_type *t, struct view v, size_t base)
{
    if (t->trivial) {
        return;
    }
    if (t->kind == SSZ_CONTAINER || t->kind == SSZ_PROGRESSIVE_CONTAINER) {
        for (unsigned i = 0; i < t->n_fields; i++) {
            const struct ssz_field *f = &t->fields[i];
            struct ssz_value x;

            if (!f->type->fixed) {
                site(base + f->at);
            }
            if (ssz_get(t, v, f->name, &x) == E_OK) {
                find_sites(f->type, x.bytes, base + (size_t)(x.bytes.p - v.p));
            }
        }
        return;
    }
    if (t->inner == NULL) {
        site(base + (v.n == 0 ? 0 : v.n - 1)); /* booleans, bits: the last byte */
        return;
    }
    struct ssz_value seq = {t, v}, e;
    uint64_t n = ssz_count(&seq);

    for (uint64_t i = 0; i < n && i < 64; i++) {
        if (!t->inner->fixed) {
            site(base + 4 * (size_t)i);
        }
        if (ssz_element(&seq, i, &e) == E_OK) {
            find_sites(t->inner, e.bytes, base + (size_t)(e.bytes.p - v.p));
        }
    }
}

static void change(struct buf *b, const uint8_t c[static 6])
{
    size_t at = n_sites == 0 ? 0 : sites[load_be16(c) % n_sites];
    uint8_t *p = b->p + at;

    if (b->n == 0 || at >= b->n) {
        return;
    }
    switch (c[2] % 8) {
    case 0:
        p[0] = (uint8_t)(p[0] + c[3]);
        break;
    case 1:
        p[0] = c[3];
        break;
    case 2:
        p[b->n - at > 3 ? 3 : 0] = c[3];
        break;
    case 3:
        b->n -= c[3] % b->n; /* shorter */
        break;
    case 4:
        p[0] = (uint8_t)(p[0] + (c[3] % 2 == 0 ? 4 : -4));
        break;
    case 5:
        b->p[load_be16(c + 3) % b->n] ^= (uint8_t)(1u << c[5] % 8); /* anywhere */
        break;
    case 6: /* longer, if there is room */
        if (buf_append(b, c + 3, 1 + c[5] % 3) != E_OK) {
            return;
        }
        break;
    default: /* bytes out of the middle */
        if (at + c[3] % 16 < b->n) {
            size_t gap = c[3] % 16;

            memmove(b->p + at, b->p + at + gap, b->n - at - gap);
            b->n -= gap;
        }
        break;
    }
}

static void start(void)
{
    schema_start();
    for (enum preset p = 0; p < PRESET_COUNT; p++) {
        for (enum fork f = 0; f < FORK_COUNT; f++) {
            for (size_t i = 0; schema_name(i) != NULL; i++) {
                const struct ssz_type *t = schema_type(p, f, schema_name(i));

                if (t != NULL && n_types < ARRAY_LEN(types)) {
                    types[n_types++] = t;
                }
            }
        }
    }
}

static void play(const struct ssz_type *t, struct view v, uint64_t seed)
{
    /* A copy of the exact size: ASan sees an overrun. */
    uint8_t *copy = malloc(v.n == 0 ? 1 : v.n), root[32];

    assert(copy != NULL);
    if (v.n != 0) {
        memcpy(copy, v.p, v.n);
    }
    v.p = copy;
    if (v.n <= PLAY_MAX && seed % WHOLE_FUZZ == 0) {
        (void)play_ssz(t, v, seed);
    } else if (ssz_check(t, v, NULL) == E_OK) {
        ssz_root(t, v, root);
        if (v.n <= PLAY_MAX && (t->kind == SSZ_CONTAINER || t->kind == SSZ_PROGRESSIVE_CONTAINER)) {
            play_ssz_rebuild(t, v); /* decoded by paths and encoded: the same bytes */
        }
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct buf b;
    struct rng_seeded rng;

    if (n_types == 0) {
        start();
        buf_init(&b, VALUE_MAX);
    }
    if (n < 11) {
        return 0;
    }
    const struct ssz_type *t = types[load_be16(p) % n_types];
    uint64_t seed = load_le64(p + 3);

    if (p[2] % 2 == 0) {
        play(t, view_of(p + 3, n - 3), seed);
        return 0;
    }
    buf_clear(&b);
    rng_seeded_init(&rng, seed);
    if (ssz_size_min(t) > VALUE_MAX || ssz_random(t, &rng.base, &b) != E_OK) {
        return 0;
    }
    n_sites = 0;
    assert(ssz_check(t, buf_view(&b), NULL) == E_OK);
    find_sites(t, buf_view(&b), 0);
    for (size_t at = 11; at + 6 <= n && at < 11 + 6 * 8; at += 6) {
        change(&b, p + at);
    }
    play(t, buf_view(&b), seed);
    return 0;
}
