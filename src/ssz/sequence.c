#include "sequence.h"

#include "walk.h"

/* On this thread, tile by tile. NOLINTNEXTLINE(misc-no-recursion): follows the type */
static void elements_here(struct scratch *s, const struct ssz_value *seq, uint64_t from,
                          uint64_t to, struct node *ret)
{
    UNINITIALIZED struct stack stack;
    UNINITIALIZED struct view v[SEQUENCE_TILE];
    uint8_t *buf = scratch_take(s, 32 * (SEQUENCE_TILE + 1));
    unsigned level = merkle_depth(SEQUENCE_TILE);
    bool one_tile = to - from <= SEQUENCE_TILE;

    stack_init(&stack, level);
    for (uint64_t i = from; i < to; i += SEQUENCE_TILE) {
        size_t n = to - i < SEQUENCE_TILE ? (size_t)(to - i) : SEQUENCE_TILE;
        struct scratch_mark m = scratch_mark(s);

        walk_elements(seq->type, seq->bytes, i, n, v);
        roots(s, seq->type->inner, v, n, rows_of(buf, 1));
        scratch_back(s, m);
        merkle_fold(buf, n, 0, ret);
        if (one_tile) {
            return;
        }
        node_lift(ret, level);
        stack_push(&stack, ret->root);
    }
    stack_end(&stack, ret);
}

/* ---- large sequences, cut into subtrees of one size that workers hash ---- */

#define PARALLEL_BYTES (256 * KIB) /* below, starting threads costs more than it gives */
#define PART_LEVEL     12u         /* a subtree has 4096 leaves: more than 100 µs of work */

struct parts {
    const struct ssz_value *seq; /* NULL: chunks of `bytes` */
    struct view bytes;
    uint64_t from, to; /* leaves */
    uint8_t (*root)[32];
};

static void hash_part(void *arg, size_t i)
{
    const struct parts *p = arg;
    uint64_t from = p->from + ((uint64_t)i << PART_LEVEL), to = from + (UINT64_C(1) << PART_LEVEL);
    struct node x;

    to = to < p->to ? to : p->to;
    if (p->seq == NULL) {
        struct view rest = view_skip(p->bytes, (size_t)from * 32);
        size_t n = (size_t)(to - from) * 32;

        merkle_bytes(view_of(rest.p, rest.n < n ? rest.n : n), &x);
    } else {
        UNINITIALIZED struct scratch s;

        scratch_init(&s, NULL);
        elements_here(&s, p->seq, from, to, &x);
        scratch_done(&s);
    }
    node_lift(&x, PART_LEVEL);
    memcpy(p->root[i], x.root, 32);
}

static void shared_node(struct scratch *s, struct parts *p, struct node *ret)
{
    size_t n = (size_t)((p->to - p->from + (1u << PART_LEVEL) - 1) >> PART_LEVEL);
    uint8_t *roots_of_parts = scratch_take(s, 32 * (n + 1));

    p->root = (uint8_t(*)[32])roots_of_parts;
    s->workers->run(s->workers, hash_part, p, n);
    merkle_fold(roots_of_parts, n, PART_LEVEL, ret);
}

static bool is_worth_sharing(const struct scratch *s, size_t bytes, uint64_t leaves)
{
    return s->workers != NULL && bytes >= PARALLEL_BYTES && leaves > UINT64_C(1) << PART_LEVEL;
}

void elements_node(struct scratch *s, const struct ssz_value *seq, uint64_t from, uint64_t to,
                   struct node *ret)
{
    struct parts p = {seq, {0}, from, to, NULL};

    if (is_worth_sharing(s, seq->bytes.n, to - from)) {
        shared_node(s, &p, ret);
    } else {
        elements_here(s, seq, from, to, ret);
    }
}

void bytes_node(struct scratch *s, struct view v, struct node *ret)
{
    struct parts p = {NULL, v, 0, (v.n + 31) / 32, NULL};

    if (is_worth_sharing(s, v.n, p.to)) {
        shared_node(s, &p, ret);
    } else {
        merkle_bytes(v, ret);
    }
}
