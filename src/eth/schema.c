/*
 * schema.def made usable: the rows that are valid in a fork are sealed with a preset's numbers,
 * for each fork and preset.
 */
#include <assert.h>
#include <eth/schema.h>
#include <ssz/type.h>
#include <stdio.h>
#include <stdlib.h>

/* What a row's type may be made of. */
#define EXPR(...)            (&(const struct ssz_expr){__VA_ARGS__})
#define P(name)              (SSZ_CONSTANT | PRESET_NUMBER_##name)
#define U8                   EXPR(SSZ_UINT, 1, NULL, NULL)
#define U64                  EXPR(SSZ_UINT, 8, NULL, NULL)
#define U256                 EXPR(SSZ_UINT, 32, NULL, NULL)
#define BOOL                 EXPR(SSZ_BOOLEAN, 1, NULL, NULL)
#define BYTE                 EXPR(SSZ_BYTE, 1, NULL, NULL)
#define REF(name)            EXPR(SSZ_REF, 0, NULL, #name)
#define VECTOR(type, length) EXPR(SSZ_VECTOR, length, type, NULL)
#define LIST(type, limit)    EXPR(SSZ_LIST, limit, type, NULL)
#define PLIST(type)          EXPR(SSZ_PROGRESSIVE_LIST, 0, type, NULL)
#define BITVEC(length)       EXPR(SSZ_BITVECTOR, length, NULL, NULL)
#define BITLIST(limit)       EXPR(SSZ_BITLIST, limit, NULL, NULL)
#define PBITLIST             EXPR(SSZ_PROGRESSIVE_BITLIST, 0, NULL, NULL)
#define BYTES(length)        VECTOR(BYTE, length)
#define BYTE_LIST(limit)     LIST(BYTE, limit)
#define PBYTE_LIST           PLIST(BYTE)
#define ROOT                 BYTES(32)
#define TRANSACTIONS         LIST(BYTE_LIST(P(MAX_BYTES_PER_TRANSACTION)), P(MAX_TRANSACTIONS_PER_PAYLOAD))

#define F(name, type) {#name, type, 0},
#define CONTAINER(since, name, ...) \
    static const struct ssz_member since##_##name[] = {__VA_ARGS__{NULL, NULL, 0}};
#define PROGRESSIVE(since, name, ...) \
    static const struct ssz_member since##_##name[] = {__VA_ARGS__{NULL, NULL, 0}};
#define ALIAS(since, name, type)
#include <eth/schema.def>
#undef CONTAINER
#undef PROGRESSIVE
#undef ALIAS

struct row {
    enum fork since;
    struct ssz_def def;
};

static const struct row rows[] = {
#define CONTAINER(since, name, ...) {since, {#name, SSZ_CONTAINER, since##_##name, NULL, NULL}},
#define PROGRESSIVE(since, name, ...) \
    {since, {#name, SSZ_PROGRESSIVE_CONTAINER, since##_##name, NULL, NULL}},
#define ALIAS(since, name, type) {since, {#name, SSZ_REF, NULL, type, NULL}},
#include <eth/schema.def>
#undef CONTAINER
#undef PROGRESSIVE
#undef ALIAS
};

/* Written by schema_start() only. */
static struct ssz_set *sets[PRESET_COUNT][FORK_COUNT];

static bool redefined(size_t row, enum fork fork)
{
    for (size_t i = row + 1; i < ARRAY_LEN(rows) && rows[i].since <= fork; i++) {
        if (strcmp(rows[i].def.name, rows[row].def.name) == 0) {
            return true;
        }
    }
    return false;
}

static struct ssz_set *seal(enum preset preset, enum fork fork)
{
    const struct ssz_def *defs[ARRAY_LEN(rows)];
    const char *bad = NULL;
    struct ssz_set *set;
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(rows) && rows[i].since <= fork; i++) {
        assert((i == 0 || rows[i].since >= rows[i - 1].since) && "rows stand in the forks' order");
        if (!redefined(i, fork)) {
            defs[n++] = &rows[i].def;
        }
    }
    if (ssz_set_new(defs, n, preset_numbers(preset), &set, &bad) != E_OK) {
        fprintf(stderr, "eth/schema.def: the row %s of %s cannot be resolved\n", bad,
                fork_name(fork));
        abort(); /* our own mistake, which every test of this folder meets first */
    }
    return set;
}

void schema_start(void)
{
    for (enum preset p = 0; p < PRESET_COUNT; p++) {
        for (enum fork f = 0; f < FORK_COUNT; f++) {
            if (sets[p][f] == NULL) {
                sets[p][f] = seal(p, f);
            }
        }
    }
}

const struct ssz_type *schema_type(enum preset preset, enum fork fork, const char *name)
{
    assert(sets[preset][fork] != NULL && "schema_start() has run");
    return ssz_set_type(sets[preset][fork], name);
}

const char *schema_name(size_t i)
{
    size_t at = 0;

    for (size_t row = 0; row < ARRAY_LEN(rows); row++) {
        bool seen = false;

        for (size_t j = 0; j < row && !seen; j++) {
            seen = strcmp(rows[j].def.name, rows[row].def.name) == 0;
        }
        if (!seen && at++ == i) {
            return rows[row].def.name;
        }
    }
    return NULL;
}
