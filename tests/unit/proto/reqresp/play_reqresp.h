/* Feed a stream in pieces; what came of it as a transcript, for unit tests and fuzzing. */
#ifndef PLAY_REQRESP_H
#define PLAY_REQRESP_H

#include <proto/reqresp.h>

struct transcript {
    char text[4096]; /* "chunk 01020304 84 crc 1234abcd, error 2 'x', end" */
    size_t n;
    enum err error; /* of feed or end */
    uint32_t chunks;
    struct buf last; /* data of the last event */
};

/* The stream is ended when `in` is used up. `mem` may be NULL: no limit. */
void reqresp_play(struct transcript *t, const struct reqresp_config *cfg, struct budget *mem,
                  struct view in, size_t piece);
void transcript_done(struct transcript *t);

#endif
