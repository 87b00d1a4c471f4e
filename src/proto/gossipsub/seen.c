/*
 * Sets of 8-byte fingerprints that forget by age. A fingerprint is a keyed hash: nobody who does
 * not know our key can make two messages share one.
 *
 * Entries go into the newest of SEEN_GENERATIONS tables; each period the oldest table is freed
 * whole, so an entry lives for the time to live at least and an eighth of all longer at most.
 *
 * Tables grow from 2^k to 3/2 2^k to 2^(k+1) slots, and shrink to four fifths full once the next
 * one is begun: mainnet's two million ids of two epochs are the router's largest piece of memory.
 */
#include "router.h"

#include <base/mem.h>

#define CAP_MIN 64u

void gossip_seen_init(struct seen *s, uint64_t ttl_ns, struct budget *mem, struct now now)
{
    *s = (struct seen){.mem = mem, .period_ns = ttl_ns / (SEEN_GENERATIONS - 1)};
    s->rotate_ns = now.mono_ns + s->period_ns;
}

static void gen_free(struct seen *s, struct seen_gen *gen)
{
    mem_free(gen->slots);
    budget_give(s->mem, gen->cap * sizeof *gen->slots);
    *gen = (struct seen_gen){0};
}

void gossip_seen_done(struct seen *s)
{
    for (unsigned i = 0; i < SEEN_GENERATIONS; i++) {
        gen_free(s, &s->gens[i]);
    }
}

static uint64_t not_zero(uint64_t fp)
{
    return fp == 0 ? 1 : fp;
}

static size_t slot_of(const struct seen_gen *gen, uint64_t fp)
{
    size_t i = (size_t)((fp >> 32) * gen->cap >> 32); /* the high half, scaled to the table */

    while (gen->slots[i] != 0 && gen->slots[i] != fp) {
        i = i + 1 == gen->cap ? 0 : i + 1;
    }
    return i;
}

bool gossip_seen_has(const struct seen *s, uint64_t fp)
{
    fp = not_zero(fp);
    for (unsigned i = 0; i < SEEN_GENERATIONS; i++) { /* newest first: most duplicates are young */
        const struct seen_gen *gen = &s->gens[(s->at + SEEN_GENERATIONS - i) % SEEN_GENERATIONS];

        if (gen->n != 0 && gen->slots[slot_of(gen, fp)] != 0) {
            return true;
        }
    }
    return false;
}

/* Forget the oldest generation that holds memory, but not the newest; false: there is none. */
static bool forget_oldest(struct seen *s)
{
    for (unsigned i = 1; i < SEEN_GENERATIONS; i++) {
        struct seen_gen *gen = &s->gens[(s->at + i) % SEEN_GENERATIONS];

        if (gen->cap != 0) {
            gen_free(s, gen);
            return true;
        }
    }
    return false;
}

static size_t next_cap(size_t cap)
{
    if (cap == 0) {
        return CAP_MIN;
    }
    return (cap & (cap - 1)) == 0 ? cap / 2 * 3 : cap / 3 * 4;
}

/* Into a table of `cap` slots, whose bytes are charged already. */
static void move_to(struct seen *s, struct seen_gen *gen, size_t cap)
{
    struct seen_gen other = {.n = gen->n, .cap = cap};

    other.slots = mem_zalloc_array(cap, sizeof *other.slots);
    for (size_t i = 0; i < gen->cap; i++) {
        if (gen->slots[i] != 0) {
            other.slots[slot_of(&other, gen->slots[i])] = gen->slots[i];
        }
    }
    gen_free(s, gen);
    *gen = other;
}

static bool grow(struct seen *s, struct seen_gen *gen)
{
    size_t cap = next_cap(gen->cap);

    while (budget_take(s->mem, cap * sizeof *gen->slots) != E_OK) {
        if (!forget_oldest(s)) {
            return false;
        }
    }
    move_to(s, gen, cap);
    return true;
}

/* A generation that gets no more entries gives back its room for them. */
static void shrink(struct seen *s, struct seen_gen *gen)
{
    size_t cap = gen->n + gen->n / 4 + 1;

    if (gen->cap > CAP_MIN && cap < gen->cap &&
        budget_take(s->mem, cap * sizeof *gen->slots) == E_OK) {
        move_to(s, gen, cap);
    }
}

void gossip_seen_add(struct seen *s, uint64_t fp)
{
    struct seen_gen *gen = &s->gens[s->at];

    fp = not_zero(fp);
    if ((gen->n + 1) * 4 > gen->cap * 3 && !grow(s, gen)) {
        return;
    }
    size_t i = slot_of(gen, fp);
    gen->n += gen->slots[i] == 0;
    gen->slots[i] = fp;
}

void gossip_seen_tick(struct seen *s, struct now now)
{
    for (unsigned i = 0; i < SEEN_GENERATIONS && now.mono_ns >= s->rotate_ns; i++) {
        shrink(s, &s->gens[s->at]);
        s->at = (s->at + 1) % SEEN_GENERATIONS;
        gen_free(s, &s->gens[s->at]);
        s->rotate_ns += s->period_ns;
    }
    if (now.mono_ns >= s->rotate_ns) { /* the clock jumped over all of it */
        s->rotate_ns = now.mono_ns + s->period_ns;
    }
}
