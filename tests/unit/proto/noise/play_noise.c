#include "play_noise.h"

#include <stdlib.h>

#define ROOM (512 * KIB)

static void fill(struct rng *self, void *p, size_t n)
{
    struct play_rng *r = (struct play_rng *)self;
    size_t from_first = n < r->first.n ? n : r->first.n;

    if (from_first != 0) {
        memcpy(p, r->first.p, from_first);
        r->first = view_skip(r->first, from_first);
    }
    rng_fill(&r->rest.base, (uint8_t *)p + from_first, n - from_first);
}

void play_rng_init(struct play_rng *r, struct view first, uint64_t seed)
{
    *r = (struct play_rng){.base.fill = fill, .first = first};
    rng_seeded_init(&r->rest, seed);
}

void play_end_init(struct play_end *e, uint64_t seed)
{
    *e = (struct play_end){0};
    play_rng_init(&e->rng, (struct view){NULL, 0}, seed);
    ident_random(&e->rng.base, &e->ident);
    noise_static_init(&e->own, &e->ident, &e->rng.base);
    buf_init(&e->in, ROOM);
    buf_init(&e->out, ROOM);
}

void play_end_start(struct play_end *e, struct noise_config cfg)
{
    cfg.own = &e->own;
    noise_free(e->noise);
    e->noise = noise_new(&cfg, &e->rng.base);
    buf_clear(&e->in);
    buf_clear(&e->out);
    e->error = E_OK;
    e->done = false;
}

void play_end_done(struct play_end *e)
{
    noise_free(e->noise);
    buf_done(&e->in);
    buf_done(&e->out);
}

void play_step(struct play_end *e)
{
    struct view in = buf_view(&e->in);

    if (e->error != E_OK || e->done) {
        return;
    }
    e->error = noise_handshake(e->noise, &in, &e->out, &e->done);
    buf_consume(&e->in, e->in.n - in.n);
}

void play_move(struct play_end *from, struct play_end *to, size_t n)
{
    n = n < from->out.n ? n : from->out.n;
    if (buf_append(&to->in, from->out.p, n) != E_OK) {
        abort(); /* the test's own room */
    }
    buf_consume(&from->out, n);
}

void play_run(struct play_end *a, struct play_end *b, size_t piece)
{
    do {
        play_step(a);
        play_step(b);
        play_move(a, b, piece);
        play_move(b, a, piece);
    } while (a->out.n != 0 || b->out.n != 0);
    play_step(a);
    play_step(b);
    if (a->out.n != 0 || b->out.n != 0) {
        play_run(a, b, piece); /* the last step wrote: at most three messages, so this ends */
    }
}
