#include <base/clock.h>
#include <base/mem.h>
#include <node/ranges.h>

#define AGAIN_NS SECONDS(2) /* all answers to a batch were wrong: time for other peers to come */

void ranges_init(struct ranges *r, const struct ranges_config *cfg)
{
    memset(r, 0, sizeof *r);
    r->cfg = *cfg;
    r->slots = cfg->batch_slots;
}

/* ---- one batch ---- */

void range_clear(struct range *b)
{
    for (size_t i = 0; i < b->n; i++) {
        blob_unref(b->blocks[i].packed);
    }
    b->n = b->bytes = 0;
}

static void range_done(struct range *b)
{
    range_clear(b);
    mem_free(b->blocks);
    b->blocks = NULL;
    b->cap = 0;
}

bool range_doubts(const struct range *b, conn_id c)
{
    for (size_t i = 0; i < b->n_tries; i++) {
        if (b->tries[i].conn == c) {
            return true;
        }
    }
    return false;
}

enum err range_add(struct ranges *r, struct range *b, const struct range_block *block)
{
    const struct range_block *before = b->n == 0 ? NULL : &b->blocks[b->n - 1];

    if (block->slot < b->from || block->slot >= b->end ||
        (before != NULL && block->slot <= before->slot)) {
        return E_BLOCK_UNASKED;
    }
    if (before != NULL && memcmp(before->root, block->parent, 32) != 0) {
        return E_BLOCK_LINK;
    }
    if (b->bytes + block->packed->n > r->cfg.bytes_max / 4 && b->n != 0) {
        return E_FULL;
    }
    if (b->n == b->cap) {
        b->cap = b->cap == 0 ? 16 : 2 * b->cap;
        b->blocks = mem_realloc(b->blocks, b->cap * sizeof *b->blocks);
    }
    b->blocks[b->n] = *block;
    blob_ref(block->packed);
    b->bytes += block->packed->n;
    b->n++;
    return E_OK;
}

static struct range_print print_of(const struct range *b)
{
    struct range_print p = {.n = b->n};

    if (b->n != 0) {
        memcpy(p.last, b->blocks[b->n - 1].root, 32);
    }
    return p;
}

void range_answered(struct range *b, conn_id c)
{
    b->state = RANGE_HELD;
    b->conn = c;
}

void range_failed(struct range *b, uint64_t not_before_ns)
{
    range_clear(b);
    b->state = RANGE_WANTED;
    b->not_before_ns = not_before_ns;
}

void ranges_asked(struct range *b, uint64_t ask)
{
    range_clear(b);
    b->state = RANGE_ASKED;
    b->ask = ask;
}

/* ---- cutting ---- */

void ranges_done(struct ranges *r)
{
    for (size_t i = 0; i < r->n; i++) {
        range_done(&r->all[i]);
    }
    r->n = 0;
}

void ranges_begin(struct ranges *r, uint64_t from, uint64_t end)
{
    ranges_done(r);
    r->leapt = false;
    r->next = r->cfg.down ? end : from;
    r->last = r->cfg.down ? from : end;
}

void ranges_extend(struct ranges *r, uint64_t end)
{
    if (!r->cfg.down && end > r->last) {
        r->last = end;
    }
}

static bool all_cut(const struct ranges *r)
{
    return r->cfg.down ? r->next <= r->last : r->next >= r->last;
}

bool ranges_over(const struct ranges *r)
{
    return all_cut(r) && (r->n == 0 || r->all[r->n - 1].state == RANGE_TAKEN);
}

uint64_t ranges_place(const struct ranges *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->all[i].state != RANGE_TAKEN) {
            return r->cfg.down ? r->all[i].end : r->all[i].from;
        }
    }
    return r->next;
}

static void cut(struct ranges *r)
{
    while (r->n < RANGES_BATCHES && !all_cut(r)) {
        struct range *b = &r->all[r->n++];
        uint64_t left = r->cfg.down ? r->next - r->last : r->last - r->next;
        uint64_t slots = left < r->slots ? left : r->slots;

        *b = (struct range){.state = RANGE_WANTED};
        b->from = r->cfg.down ? r->next - slots : r->next;
        b->end = b->from + slots;
        r->next = r->cfg.down ? b->from : b->end;
    }
}

struct range *ranges_want(struct ranges *r, uint64_t now_ns)
{
    unsigned asked = 0;
    size_t held = 0;
    bool in_line = true;

    cut(r);
    for (size_t i = 0; i < r->n; i++) {
        asked += r->all[i].state == RANGE_ASKED;
        held += r->all[i].bytes;
    }
    for (size_t i = 0; i < r->n && asked < r->cfg.asked_max; i++) {
        struct range *b = &r->all[i];

        if (b->state == RANGE_WANTED && b->not_before_ns <= now_ns &&
            (in_line || held < r->cfg.bytes_max)) {
            return b;
        }
        in_line = in_line && b->state == RANGE_TAKEN;
    }
    return NULL;
}

uint64_t ranges_want_ns(const struct ranges *r)
{
    uint64_t at = NEVER;

    for (size_t i = 0; i < r->n; i++) {
        if (r->all[i].state == RANGE_WANTED && r->all[i].not_before_ns < at) {
            at = r->all[i].not_before_ns;
        }
    }
    return at;
}

struct range *ranges_of(struct ranges *r, uint64_t ask)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->all[i].state == RANGE_ASKED && r->all[i].ask == ask) {
            return &r->all[i];
        }
    }
    return NULL;
}

bool ranges_next_asked(const struct ranges *r, size_t *at, uint64_t *ret_ask)
{
    while (*at < r->n) {
        const struct range *b = &r->all[(*at)++];

        if (b->state == RANGE_ASKED) {
            *ret_ask = b->ask;
            return true;
        }
    }
    return false;
}

void ranges_split(struct ranges *r, struct range *b, conn_id c)
{
    size_t at = (size_t)(b - r->all);
    uint64_t middle = b->blocks[b->n - 1].slot + 1;
    struct range rest = {.from = middle, .end = b->end, .state = RANGE_WANTED};

    range_answered(b, c);
    if (middle == b->end) {
        return;
    }
    if (r->n == RANGES_BATCHES) {
        range_failed(b, 0); /* no place for another: all of it once more */
        return;
    }
    b->end = middle;
    at += r->cfg.down ? 0 : 1; /* down, the higher slots are taken first */
    memmove(&r->all[at + 1], &r->all[at], (r->n - at) * sizeof r->all[0]);
    r->all[at] = rest;
    r->n++;
}

void ranges_shrink(struct ranges *r)
{
    uint64_t place = ranges_place(r);

    r->slots = r->slots > 1 ? r->slots / 2 : 1;
    while (r->n != 0 && r->all[r->n - 1].state != RANGE_TAKEN) {
        range_done(&r->all[--r->n]);
    }
    r->next = place;
}

/* ---- taking ---- */

struct range *ranges_ready(struct ranges *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->all[i].state != RANGE_TAKEN) {
            return r->all[i].state == RANGE_HELD ? &r->all[i] : NULL;
        }
    }
    return NULL;
}

static void blame(struct ranges *r, conn_id c, enum err why)
{
    if (r->n_blamed < RANGES_BLAMED) {
        r->blamed[r->n_blamed++] = (struct ranges_blame){c, why};
    }
}

bool ranges_blame(struct ranges *r, struct ranges_blame *ret)
{
    if (r->n_blamed == 0) {
        return false;
    }
    *ret = r->blamed[--r->n_blamed];
    return true;
}

static void blame_print(struct ranges *r, conn_id c, const struct range_print *print)
{
    blame(r, c, print->n == 0 ? E_NOT_FOUND : E_BLOCK_LINK);
}

static bool ends_with(const struct range_print *p, const uint8_t last[static 32])
{
    return p->n != 0 && memcmp(p->last, last, 32) == 0;
}

/* It is known that the chain has `last` as its last block before some slot behind this batch. Is it
 * in the batch? Somebody's answer says so, or nobody's; whoever said otherwise was wrong. */
static bool judge(struct ranges *r, struct range *b, const uint8_t last[static 32])
{
    bool here = ends_with(&b->print, last);

    for (size_t i = 0; i < b->n_tries; i++) {
        here = here || ends_with(&b->tries[i].print, last);
    }
    for (size_t i = 0; i < b->n_tries; i++) {
        const struct range_print *p = &b->tries[i].print;

        if (here ? !ends_with(p, last) : p->n != 0) {
            blame_print(r, b->tries[i].conn, p);
        }
    }
    if (here ? !ends_with(&b->print, last) : b->print.n != 0) {
        blame_print(r, b->conn, &b->print); /* what it held back had come from another before */
    }
    return here;
}

/* The first `n` leave. */
static void retire(struct ranges *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        range_done(&r->all[i]);
    }
    r->n -= n;
    memmove(&r->all[0], &r->all[n], r->n * sizeof r->all[0]);
    if (n != 0 && r->slots < r->cfg.batch_slots) {
        r->slots++;
    }
}

/* `b` links: what was in doubt before it is proven, or known to be wrong. */
static void prove(struct ranges *r, struct range *b, const uint8_t parent[static 32])
{
    size_t at = (size_t)(b - r->all);

    r->leapt = false;
    if (r->cfg.down) {
        for (size_t i = 0; i <= at; i++) {
            (void)judge(r, &r->all[i], b->print.last);
        }
        retire(r, at + 1);
        return;
    }
    for (size_t i = at; i > 0 && !judge(r, &r->all[i - 1], parent); i--) {
    }
    retire(r, at);
}

void ranges_taken(struct ranges *r, struct range *b)
{
    uint8_t parent[32];
    size_t doubted = 0;

    b->print = print_of(b);
    b->state = RANGE_TAKEN;
    if (b->n != 0) {
        memcpy(parent, b->blocks[0].parent, 32);
    }
    range_done(b);
    if (b->print.n != 0) {
        prove(r, b, parent);
    }
    while (doubted < r->n && r->all[doubted].state == RANGE_TAKEN) {
        doubted++;
    }
    if (doubted > RANGES_DOUBTED) {
        retire(r, doubted - RANGES_DOUBTED);
        r->leapt = true;
    }
}

static void ask_again(struct range *b, const struct range_print *print, uint64_t not_before_ns)
{
    if (b->n_tries < RANGE_TRIES) {
        b->tries[b->n_tries++] = (struct range_try){b->conn, *print};
    }
    range_done(b);
    b->state = RANGE_WANTED;
    b->not_before_ns = not_before_ns;
}

bool ranges_refused(struct ranges *r, struct range *b, bool others, uint64_t now_ns)
{
    size_t at = (size_t)(b - r->all);
    struct range_print print = print_of(b);
    bool exhausted = b->n_tries + 1 >= RANGE_TRIES || !others;

    if (r->leapt ? at == 0 || exhausted : at == 0 && exhausted && !r->cfg.down) {
        return false;
    }
    if (at == 0 && r->cfg.down) {
        blame(r, b->conn, E_BLOCK_LINK); /* the block above names its parent: this is not it */
    }
    ask_again(b, &print, exhausted ? now_ns + AGAIN_NS : now_ns);
    b->n_tries = exhausted ? 0 : b->n_tries;
    /* Those before it that are in doubt: empty ones, and the last that had blocks. */
    for (size_t i = at; i > 0; i--) {
        struct range *before = &r->all[i - 1];
        bool empty = before->print.n == 0;

        ask_again(before, &before->print, now_ns);
        if (!empty) {
            break;
        }
    }
    return true;
}
