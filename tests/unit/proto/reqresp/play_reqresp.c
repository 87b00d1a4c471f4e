#include "play_reqresp.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static void PRINTF_LIKE(2, 3) note(struct transcript *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(t->text + t->n, sizeof t->text - t->n, fmt, ap);
    va_end(ap);
    t->n += n < 0 ? 0 : (size_t)n;
    t->n = t->n < sizeof t->text ? t->n : sizeof t->text - 1;
}

static void note_event(struct transcript *t, const struct reqresp_event *ev)
{
    static const char *const names[] = {"none", "request", "chunk", "error"};

    t->chunks += ev->kind == RR_CHUNK;
    note(t, "%s %u %08x %zu %08x, ", names[ev->kind], ev->code, load_be32(ev->context), ev->data.n,
         crc32c(ev->data));
    if (ev->packed.n != 0) { /* what is kept packed opens to the same */
        struct blob *opened = NULL;

        assert(reqresp_open(ev->packed, ev->data.n, &opened) == E_OK);
        assert(view_eq(blob_view(opened), ev->data));
        blob_unref(opened);
    }
    buf_done(&t->last);
    buf_init(&t->last, SIZE_MAX);
    IGNORE(buf_append_view(&t->last, ev->data), "it has no limit");
}

static enum err play(struct transcript *t, struct reqresp *r, struct view in, size_t piece)
{
    struct reqresp_event ev;

    while (in.n != 0) {
        size_t n = in.n < piece ? in.n : piece;
        struct view part = {in.p, n};

        do {
            TRY(reqresp_feed(r, &part, &ev));
            if (ev.kind != RR_NONE) {
                note_event(t, &ev);
            }
        } while (ev.kind != RR_NONE);
        assert(part.n == 0);
        in = view_skip(in, n);
    }
    TRY(reqresp_end(r, &ev));
    if (ev.kind != RR_NONE) {
        note_event(t, &ev);
    }
    return E_OK;
}

void reqresp_play(struct transcript *t, const struct reqresp_config *cfg, struct budget *mem,
                  struct view in, size_t piece)
{
    struct budget all;

    budget_init(&all, NULL, "test", SIZE_MAX);
    struct budget *b = mem == NULL ? &all : mem;
    struct reqresp_config keeping = *cfg;

    keeping.keep_packed = true;
    struct reqresp *r = reqresp_new(&keeping, b);

    *t = (struct transcript){.n = 0};
    t->error = play(t, r, in, piece);
    note(t, "%s", t->error == E_OK ? "end" : err_table[t->error].name);
    reqresp_free(r);
    assert(b->used == 0);
}

void transcript_done(struct transcript *t)
{
    buf_done(&t->last);
}
