/*
 * Plays bytes into a stream multiplexer and writes down what happens, in a form that no cut of the
 * bytes may change: "open 1, data 1 2 hi, end 1, error E_YAMUX_TYPE".
 *
 * A user is played too: it takes a stream's data when another event shows that the run of data is
 * over, so its doings depend on the events alone.
 */
#ifndef TESTS_LIB_MUX_PLAY_H
#define TESTS_LIB_MUX_PLAY_H

#include <proto/mux.h>

#define MUX_PLAY_TEXT 65536u

enum mux_play_user {
    MUX_USER_READS = 0,  /* consumes, ends its side when the remote did */
    MUX_USER_RESETS = 1, /* resets each stream at its first data */
    MUX_USER_STALLS = 2, /* never consumes */
    MUX_USER_WRITES = 3, /* reads, and answers as many bytes as the window lets it */
};

struct mux_play {
    struct mux *mux;
    enum mux_play_user user;
    bool at_once; /* consume with each piece: for recorded senders that use their windows up */
    void (*verify)(const struct mux *m);
    uint64_t now_ns;
    enum err error;
    size_t opened, data_bytes, ended, reset;
    uint64_t sent_bytes, sent_hash; /* of all control and data frames */
    /* A run of data not yet written down. */
    bool run;
    uint32_t run_sid;
    size_t run_n;
    uint64_t run_hash;
    char run_first[17];
    size_t n;
    char text[MUX_PLAY_TEXT]; /* cut off when full; `n` counts on */
};

void mux_play_start(struct mux_play *p, const struct mux_ops *ops, const struct mux_config *cfg,
                    void (*verify)(const struct mux *m));
void mux_play_done(struct mux_play *p); /* the transcript stays */
/* Feed in pieces of `piece` bytes, until an error. */
void mux_play_feed(struct mux_play *p, struct view bytes, size_t piece);
/* What is pending is over: at the end of the bytes. */
void mux_play_flush(struct mux_play *p);
void mux_play_note(struct mux_play *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool mux_play_same(const struct mux_play *a, const struct mux_play *b);

#endif
