/* Two ends of multistream-select in one process. */
#ifndef PLAY_MS_H
#define PLAY_MS_H

#include <proto/multistream.h>

struct ms_end {
    struct ms ms;
    struct buf out;
    struct buf rest; /* what followed the agreement */
    enum err result; /* E_MORE until it is over */
    size_t index;
};

void ms_end_start(struct ms_end *e, bool dialer, const struct view *protocols, size_t n);
void ms_end_done(struct ms_end *e);
/* Feed in pieces; bytes behind the agreement gather in `rest`, those behind an error are lost. */
void ms_end_feed(struct ms_end *e, struct view bytes, size_t piece);
/* Hand bytes over until both have nothing to say. */
void ms_play(struct ms_end *a, struct ms_end *b, size_t piece);

#endif
