/* Two ends of Noise in one process, with bytes handed over as the caller likes. */
#ifndef PLAY_NOISE_H
#define PLAY_NOISE_H

#include <base/rng.h>
#include <proto/noise.h>

struct play_rng { /* hands out the bytes given, then a seeded stream */
    struct rng base;
    struct view first;
    struct rng_seeded rest;
};

void play_rng_init(struct play_rng *r, struct view first, uint64_t seed);

struct play_end {
    struct play_rng rng;
    struct ident ident;
    struct noise_static own;
    struct noise *noise;
    struct buf in, out;
    enum err error;
    bool done;
};

void play_end_init(struct play_end *e, uint64_t seed);
/* cfg.own is filled in. */
void play_end_start(struct play_end *e, struct noise_config cfg);
void play_end_done(struct play_end *e);
/* What is in e->in, as far as it goes; stops at the first error. */
void play_step(struct play_end *e);
/* Move up to `n` bytes from a's out to b's in. */
void play_move(struct play_end *from, struct play_end *to, size_t n);
/* Hand bytes over in pieces until nothing moves. */
void play_run(struct play_end *a, struct play_end *b, size_t piece);

#endif
