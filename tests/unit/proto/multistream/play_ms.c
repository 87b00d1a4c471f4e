#include "play_ms.h"

#include <stdlib.h>

#define ROOM (256 * KIB)

static void must(enum err e)
{
    if (e != E_OK) {
        abort(); /* the test's own room */
    }
}

void ms_end_start(struct ms_end *e, bool dialer, const struct view *protocols, size_t n)
{
    buf_init(&e->out, ROOM);
    buf_init(&e->rest, ROOM);
    e->result = E_MORE;
    e->index = SIZE_MAX;
    must((dialer ? ms_dial : ms_listen)(&e->ms, protocols, n, &e->out));
}

void ms_end_done(struct ms_end *e)
{
    buf_done(&e->out);
    buf_done(&e->rest);
}

void ms_end_feed(struct ms_end *e, struct view bytes, size_t piece)
{
    while (bytes.n != 0) {
        struct view in = view_of(bytes.p, bytes.n < piece ? bytes.n : piece);

        bytes = view_skip(bytes, in.n);
        if (e->result == E_MORE) {
            e->result = ms_feed(&e->ms, &in, &e->out, &e->index);
        }
        if (e->result == E_OK) {
            must(buf_append_view(&e->rest, in));
        }
    }
}

void ms_play(struct ms_end *a, struct ms_end *b, size_t piece)
{
    while (a->out.n != 0 || b->out.n != 0) {
        struct ms_end *from = a->out.n != 0 ? a : b, *to = from == a ? b : a;
        size_t n = from->out.n;

        ms_end_feed(to, buf_view(&from->out), piece);
        buf_consume(&from->out, n);
    }
}
