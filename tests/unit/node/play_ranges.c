/* A chain with holes, fetched up or down from peers of which some lie. The script decides where the
 * holes are, who lies how, who is asked, and in which order answers come. */
#include "play_ranges.h"

#include <base/mem.h>
#include <base/rng.h>
#include <node/ranges.h>
#include <stdio.h>
#include <stdlib.h>

/* Bytes of the script, then seeded ones: a script of any length plays a whole run. */
struct script {
    struct rng base;
    struct view left;
    struct rng_seeded then;
};

static void script_fill(struct rng *self, void *p, size_t n)
{
    struct script *s = (struct script *)(void *)self;
    size_t k = n < s->left.n ? n : s->left.n;

    if (k != 0) {
        memcpy(p, s->left.p, k);
        s->left = view_of(s->left.p + k, s->left.n - k);
    }
    if (k < n) {
        rng_fill(&s->then.base, (uint8_t *)p + k, n - k);
    }
}

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "play_ranges: %s\n", what);
        abort();
    }
}

#define SLOTS 400u
#define PEERS 8u
#define STEPS 100000u

enum manner { TRUE_TO_ALL, WITHHOLDS_THE_END, ALWAYS_EMPTY, OTHER_CHAIN, UNLINKED, MANNERS };

struct world {
    bool block[SLOTS]; /* of the true chain */
    enum manner peer[PEERS + 1];
    bool blamed[PEERS + 1];
    struct script rng;
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
            must(e == E_OK, "a true block is refused");
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
        must(blame.conn >= 1 && blame.conn <= PEERS, "nobody is blamed");
        /* One who withholds the end makes the next one's blocks hang in the air; it is never a true
         * answer that is blamed. */
        must(w->peer[blame.conn] != TRUE_TO_ALL, "a peer is blamed that told the truth");
        w->blamed[blame.conn] = true;
    }
}

/* What the engine promises of its memory and order. */
static void verify(const struct ranges *r)
{
    unsigned asked = 0;

    must(r->n <= RANGES_BATCHES, "too many batches");
    for (size_t i = 0; i < r->n; i++) {
        const struct range *b = &r->all[i];
        size_t bytes = 0;

        asked += b->state == RANGE_ASKED;
        must(b->from < b->end && b->n_tries <= RANGE_TRIES, "a batch is empty or tried too often");
        must(i == 0 || (r->cfg.down ? b->end == b[-1].from : b->from == b[-1].end),
             "batches leave a hole between them");
        must(b->state != RANGE_TAKEN || b->n == 0, "a batch that was taken holds blocks");
        for (size_t k = 0; k < b->n; k++) {
            bytes += b->blocks[k].packed->n;
            must(b->blocks[k].slot >= b->from && b->blocks[k].slot < b->end,
                 "a block lies outside of its batch");
        }
        must(bytes == b->bytes, "the bytes held are counted wrongly");
    }
    must(asked <= r->cfg.asked_max, "too many requests are under way");
}

static void begin_world(struct world *w, bool down, unsigned liars)
{
    struct ranges_config cfg = {
        .down = down, .batch_slots = 32, .asked_max = 6, .bytes_max = 64 * KIB};

    w->bytes = blob_new(100);
    for (uint64_t s = 0; s < SLOTS; s++) { /* runs of empty slots, some longer than batches */
        w->block[s] = (s / 90) % 7 != 3 || rng_below(&w->rng.base, 40) == 0;
        w->block[s] = w->block[s] && rng_below(&w->rng.base, 8) != 0;
    }
    w->block[0] = w->block[SLOTS - 1] = true;
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
}

void play_ranges(struct view text)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct rd r = rd_of(text);
    uint8_t how = rd_u8(&r), liars = rd_u8(&r);
    bool down = how & 1;
    uint64_t steps = 0;

    w->rng = (struct script){.base = {script_fill}, .left = rd_rest(&r)};
    rng_seeded_init(&w->rng.then, 1 + text.n);
    begin_world(w, down, liars % (PEERS - 2));
    while (steps < STEPS) {
        if (ranges_over(&w->r) && (!down || w->wanted == 0)) {
            break;
        }
        if (ranges_over(&w->r)) { /* the last ones were kept back, and nothing lies below them */
            begin(w);
        }
        step(w, ++steps * 1000000000);
        verify(&w->r);
    }
    must(steps < STEPS, "it does not come to an end");
    for (uint64_t s = 1; s + 1 < SLOTS; s++) {
        /* What is behind the last block that linked may have been withheld: nothing follows it. */
        must(!w->block[s] || w->known[s] || (!down && s >= SLOTS - 10 * 32), "a block is missing");
    }
    ranges_done(&w->r);
    blob_unref(w->bytes);
    mem_free(w);
}
