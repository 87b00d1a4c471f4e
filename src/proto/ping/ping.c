#include <assert.h>
#include <proto/ping.h>

enum err ping_ask(struct ping *p, struct rng *rng, uint64_t now_ns, struct buf *out)
{
    if (p->waiting) {
        return E_EXISTS;
    }
    rng_fill(rng, p->block, sizeof p->block);
    TRY(buf_append(out, p->block, sizeof p->block));
    p->waiting = true;
    p->got = 0;
    p->sent_ns = now_ns;
    return E_OK;
}

/* The part of *in that belongs to the block under way. */
static struct view take_part(struct ping *p, struct view *in)
{
    size_t left = PING_BYTES - p->got;
    struct view part = view_of(in->p, in->n < left ? in->n : left);

    *in = view_skip(*in, part.n);
    return part;
}

enum err ping_take(struct ping *p, struct view *in, uint64_t now_ns, uint64_t *ret_rtt_ns)
{
    if (in->n == 0) {
        return E_MORE;
    }
    if (!p->waiting) {
        return E_PING_MISMATCH;
    }
    struct view part = take_part(p, in);
    if (memcmp(p->block + p->got, part.p, part.n) != 0) {
        return E_PING_MISMATCH;
    }
    p->got = (uint8_t)(p->got + part.n);
    if (p->got < PING_BYTES) {
        return E_MORE;
    }
    p->waiting = false;
    *ret_rtt_ns = now_ns - p->sent_ns;
    return E_OK;
}

enum err ping_answer(struct ping *p, struct view *in, struct buf *out)
{
    assert(!p->waiting);
    while (in->n != 0) {
        struct view part = take_part(p, in);

        memcpy(p->block + p->got, part.p, part.n);
        p->got = (uint8_t)(p->got + part.n);
        if (p->got == PING_BYTES) {
            p->got = 0;
            if (buf_append(out, p->block, PING_BYTES) != E_OK) {
                return E_LIMIT;
            }
        }
    }
    return E_OK;
}
