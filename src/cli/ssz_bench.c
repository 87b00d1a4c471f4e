/* beacon-p2pd ssz bench: one value, our ways over it; medians. tests/bench/ssz reads the lines. */
#define _GNU_SOURCE
#include "ssz_common.h"

#include <base/mem.h>
#include <crypto/sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUN_NS         (20 * 1000 * 1000) /* a run repeats its work until this much time has passed */
#define RUNS_MAX       101u
#define JSON_BYTES_MAX (16 * MIB) /* a state as text would not fit most machines */

static uint64_t mono_ns(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

struct work {
    const struct ssz_type *type;
    struct view bytes;
    struct buf out;
};

typedef void work_fn(struct work *w);

static void check(struct work *w)
{
    if (ssz_check(w->type, w->bytes, NULL) != E_OK) {
        abort(); /* they were checked before */
    }
}

static void root(struct work *w)
{
    uint8_t r[32];

    ssz_root(w->type, w->bytes, r);
}

static void check_and_root(struct work *w)
{
    check(w);
    root(w);
}

static void json(struct work *w)
{
    buf_clear(&w->out);
    if (ssz_to_json(w->type, w->bytes, &w->out) != E_OK) {
        abort(); /* the buffer holds what ssz_check() admitted */
    }
}

/* What the hash function alone costs: 1024 nodes that are in the cache. */
static void primitive(struct work *w)
{
    static uint8_t nodes[64 * 1024];

    (void)w;
    sha256_pairs(nodes, nodes, 1024);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median_ns(struct work *w, work_fn *fn, unsigned runs)
{
    double ns[RUNS_MAX];

    runs = runs > RUNS_MAX ? RUNS_MAX : runs;
    for (unsigned r = 0; r < runs; r++) {
        uint64_t start = mono_ns(), passed, n = 0;

        do {
            fn(w);
            n++;
            passed = mono_ns() - start;
        } while (passed < RUN_NS);
        ns[r] = (double)passed / (double)n;
    }
    qsort(ns, runs, sizeof ns[0], compare);
    return ns[runs / 2];
}

int ssz_bench(const struct ssz_type *t, struct view v, unsigned runs)
{
    static const struct {
        const char *name;
        work_fn *fn;
    } works[] = {{"check", check}, {"root", root}, {"check+root", check_and_root}, {"json", json}};
    struct work w = {t, v, {0}};

    buf_init(&w.out, 4 * SSZ_FILE_MAX);
    printf("# %zu bytes, sha256 by %s, medians of %u runs\n", v.n, sha256_impls()[0], runs);
    printf("%-12s %14s %10s\n", "#work", "ns", "MB/s");
    printf("%-12s %14.1f\n", "node", median_ns(&w, primitive, runs) / 1024);
    for (size_t i = 0; i < ARRAY_LEN(works); i++) {
        if (works[i].fn == json && v.n > JSON_BYTES_MAX) {
            continue;
        }
        double ns = median_ns(&w, works[i].fn, runs);

        printf("%-12s %14.0f %10.1f\n", works[i].name, ns, (double)v.n * 1000 / ns);
    }
    buf_done(&w.out);
    return 0;
}
