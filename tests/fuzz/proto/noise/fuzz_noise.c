/*
 * Two ends; the input says who moves how many bytes and which of them are changed on the way. If
 * nothing was changed both finish; a changed byte never leads to a finished pair that disagrees,
 * and never to data that was not sent.
 */
#include "play_noise.h"

#include <assert.h>

struct script {
    const uint8_t *p;
    size_t n;
};

static uint8_t next(struct script *s)
{
    if (s->n == 0) {
        return 0xff;
    }
    s->n--;
    return *s->p++;
}

/* One move: its length, and perhaps one byte of it changed or one byte left out. */
static bool move(struct script *s, struct play_end *from, struct play_end *to)
{
    size_t n = next(s);
    uint8_t how = next(s), value = next(s);

    n = n < from->out.n ? n : from->out.n;
    if (n == 0) {
        return false;
    }
    if (how >= 0xfe || value == 0) { /* mostly honest, or no script would reach the end */
        play_move(from, to, n);
        return false;
    }
    from->out.p[how % n] ^= value;
    play_move(from, to, n);
    return true;
}

static void data(struct play_end *from, struct play_end *to, struct script *s, bool honest)
{
    uint8_t record[300];
    struct view plain = view_of(from->own.payload, next(s)), got;
    size_t n, eaten;

    assert(noise_seal(from->noise, &plain, 1, record, &n) == E_OK);
    uint8_t change = honest ? 0 : next(s);
    size_t at = next(s) % n;
    record[at] ^= change == 0xff ? 0 : change;
    if (noise_open(to->noise, record, n, &got, &eaten) == E_OK) {
        assert(change == 0 || change == 0xff);
        assert(eaten == n && view_eq(got, plain));
    } else {
        assert(change != 0 && change != 0xff);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct play_end a, b;
    static const struct view muxers[] = {{(const uint8_t *)"/yamux/1.0.0", 12},
                                         {(const uint8_t *)"/mplex/6.7.0", 12}};
    struct script s = {p, n};
    bool changed = false;

    if (a.own.payload_n == 0) {
        play_end_init(&a, 1);
        play_end_init(&b, 2);
    }
    play_rng_init(&a.rng, (struct view){NULL, 0}, 3);
    play_rng_init(&b.rng, (struct view){NULL, 0}, 4);
    uint8_t offers = next(&s);
    play_end_start(
        &a, (struct noise_config){.initiator = true, .muxers = muxers, .n_muxers = offers % 3});
    play_end_start(&b, (struct noise_config){.muxers = muxers, .n_muxers = offers / 3 % 3});
    while (s.n != 0 && !(a.done && b.done)) {
        play_step(&a);
        play_step(&b);
        changed = move(&s, &a, &b) || changed;
        changed = move(&s, &b, &a) || changed;
    }
    if (!changed) {
        play_run(&a, &b, SIZE_MAX);
        assert(a.done && b.done);
    }
    /* b is last to finish: then all that a saw and sent is what b did. */
    if (b.done) {
        assert(a.done && noise_early_muxer(a.noise) == noise_early_muxer(b.noise));
        data(&a, &b, &s, true);
        data(&b, &a, &s, true);
        data(&a, &b, &s, false);
    }
    return 0;
}
