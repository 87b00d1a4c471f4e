#include "merkle.h"

#include <crypto/sha256.h>

unsigned merkle_depth(uint64_t chunks)
{
    unsigned d = 0;

    while (d < 64 && chunks > UINT64_C(1) << d) {
        d++;
    }
    return d;
}

void merkle_pair(const uint8_t left[static 32], const uint8_t right[static 32],
                 uint8_t ret[static 32])
{
    UNINITIALIZED uint8_t pair[64];

    memcpy(pair, left, 32);
    memcpy(pair + 32, right, 32);
    sha256_pairs(ret, pair, 1);
}

void node_lift(struct node *x, unsigned level)
{
    for (; x->level < level; x->level++) {
        merkle_pair(x->root, zero_root[x->level], x->root);
    }
}

void stack_init(struct stack *s, unsigned level)
{
    s->n = 0;
    s->level = level;
}

void stack_push(struct stack *s, const uint8_t root[static 32])
{
    uint8_t x[32];
    unsigned i = 0;

    memcpy(x, root, 32);
    for (; (s->n >> i & 1) != 0; i++) {
        merkle_pair(s->node[i], x, x);
    }
    memcpy(s->node[i], x, 32);
    s->n++;
}

void stack_end(struct stack *s, struct node *ret)
{
    unsigned i = 0;

    while ((s->n >> i & 1) == 0) {
        i++;
    }
    memcpy(ret->root, s->node[i], 32);
    /* `left` nodes at this height, ours the last of them. */
    for (uint64_t left = s->n >> i; left > 1; left = left / 2 + left % 2, i++) {
        if (left % 2 == 0) {
            merkle_pair(s->node[i], ret->root, ret->root);
        } else {
            merkle_pair(ret->root, zero_root[s->level + i], ret->root);
        }
    }
    ret->level = s->level + i;
}

void merkle_fold(uint8_t *buf, size_t n, unsigned level, struct node *ret)
{
    for (; n > 1; level++) {
        if (n % 2 != 0) {
            memcpy(buf + 32 * n, zero_root[level], 32);
            n++;
        }
        n /= 2;
        sha256_pairs(buf, buf, n);
    }
    memcpy(ret->root, buf, 32);
    ret->level = level;
}

/* At most a tile of bytes, more than one chunk. */
static void tile(struct view v, struct node *ret)
{
    UNINITIALIZED uint8_t buf[MERKLE_TILE / 2 + 32];
    uint8_t pair[64] = {0};
    size_t n = v.n / 64;

    sha256_pairs(buf, v.p, n);
    if (v.n % 64 != 0) {
        memcpy(pair, v.p + 64 * n, v.n % 64);
        sha256_pairs(buf + 32 * n, pair, 1);
        n++;
    }
    merkle_fold(buf, n, 1, ret);
}

void merkle_bytes(struct view v, struct node *ret)
{
    if (v.n <= 32) {
        memset(ret, 0, sizeof *ret);
        if (v.n != 0) {
            memcpy(ret->root, v.p, v.n);
        }
        return;
    }
    if (v.n <= MERKLE_TILE) {
        tile(v, ret);
        return;
    }
    UNINITIALIZED struct stack s;

    stack_init(&s, MERKLE_TILE_LEVEL);
    while (v.n != 0) {
        size_t n = v.n < MERKLE_TILE ? v.n : MERKLE_TILE;
        struct node x;

        if (n <= 32) {
            merkle_bytes(view_of(v.p, n), &x); /* NOLINT(misc-no-recursion): once */
        } else {
            tile(view_of(v.p, n), &x);
        }
        node_lift(&x, MERKLE_TILE_LEVEL);
        stack_push(&s, x.root);
        v = view_skip(v, n);
    }
    stack_end(&s, ret);
}

void merkle_rows(uint8_t *buf, size_t n, size_t w, unsigned level)
{
    for (; w > 1; level++) {
        if (w % 2 != 0) { /* from the last row on, so that none is overwritten before it is moved */
            for (size_t i = n; i-- > 0;) {
                memmove(buf + 32 * i * (w + 1), buf + 32 * i * w, 32 * w);
                memcpy(buf + 32 * (i * (w + 1) + w), zero_root[level], 32);
            }
            w++;
        }
        w /= 2;
        sha256_pairs(buf, buf, n * w);
    }
}
