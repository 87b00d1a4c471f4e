/* Two endpoints over a link in memory that delays, drops and reorders. */
#ifndef TESTS_UNIT_PROTO_QUIC_PLAY_QUIC_H
#define TESTS_UNIT_PROTO_QUIC_PLAY_QUIC_H

#include "../../../../src/proto/quic/state.h" /* to ask ngtcp2 for what only time brings */

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define FLYING_MAX 4096u
#define DELAY_NS   MILLIS(10)
#define STEPS_MAX  2000000u

struct flying {
    uint64_t at;
    unsigned to;
    size_t n;
    uint8_t b[QUIC_DATAGRAM_MAX];
};

struct side {
    struct quic *q;
    struct ident ident;
    struct peer_id id;
    struct addr addr;
    uint64_t conn; /* the last one that came up */
    unsigned n_up, n_closed;
    enum err closed_why;
    char closed_text[96];
    size_t opened, got, ended, reset, writable;
    bool echo, consume; /* send back what comes; take it at once */
};

struct world {
    struct side side[2]; /* the first one dials */
    struct rng_seeded rng;
    struct now now;
    struct flying *flying[FLYING_MAX];
    size_t n_flying;
    unsigned loss_percent, reorder_percent;
};

void world_new(struct world *w, void (*change)(unsigned side, struct quic_config *cfg));
/* Two who know each other; returns the dialler's streams. */
struct mux *world_connected(struct world *w);
void world_free(struct world *w);
void connect_both(struct world *w);
struct mux *mux_of(const struct world *w, unsigned side);
struct quic_conn *conn_of(const struct world *w, unsigned side);
uint32_t open_stream(struct mux *m);
void say(struct mux *m, uint32_t sid, const char *text);
/* The next thing that happens; false: nothing ever will. */
bool step(struct world *w);
void run_for(struct world *w, uint64_t ns);
/* What a side wants to send now goes nowhere: how many bytes is it? */
size_t swallow(struct world *w, unsigned side);

#define UNTIL(w, condition)                                       \
    do {                                                          \
        unsigned steps_ = 0;                                      \
        while (!(condition) && steps_++ < STEPS_MAX && step(w)) { \
        }                                                         \
        assert_true(condition);                                   \
    } while (0)

#endif
