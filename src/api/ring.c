/* A ring of texts that any number of readers share. */
#include "events.h"

#include <base/mem.h>

#define ALIGN 16u /* of records, whose heads are that long */

struct head {
    uint32_t len; /* of the text */
    uint32_t id;  /* EVENT_COUNT: nothing, up to the ring's end */
    uint64_t number;
};

const struct event_row event_rows[EVENT_COUNT] = {
#define EVENT(id, name, whose) [id] = {name, whose},
#include "events.def"
#undef EVENT
};

uint32_t event_bits(enum event_whose whose)
{
    uint32_t bits = 0;

    for (unsigned i = 0; i < EVENT_COUNT; i++) {
        bits |= event_rows[i].whose == whose ? UINT32_C(1) << i : 0;
    }
    return bits;
}

void ring_init(struct ring *r, size_t size)
{
    *r = (struct ring){.bytes = mem_alloc(size), .size = size};
}

void ring_done(struct ring *r)
{
    mem_free(r->bytes);
}

static uint8_t *spot(const struct ring *r, uint64_t at)
{
    return r->bytes + (at & (r->size - 1));
}

static struct head head_at(const struct ring *r, uint64_t at)
{
    struct head h;

    memcpy(&h, spot(r, at), sizeof h);
    return h;
}

static size_t record_size(size_t len)
{
    return (sizeof(struct head) + len + ALIGN - 1) / ALIGN * ALIGN;
}

/* Room for so many bytes at the end, in one piece. */
static void make_room(struct ring *r, size_t n)
{
    while (r->size - (r->end - r->begin) < n) {
        r->begin += record_size(head_at(r, r->begin).len);
    }
}

bool ring_put(struct ring *r, enum event_id id, struct view text)
{
    enum event_whose whose = event_rows[id].whose;
    size_t need = record_size(text.n), left = r->size - (r->end & (r->size - 1));

    if (need > r->size / 4) {
        return false;
    }
    if (left < need) {
        struct head filler = {.len = (uint32_t)(left - sizeof filler), .id = EVENT_COUNT};

        make_room(r, left);
        memcpy(spot(r, r->end), &filler, sizeof filler);
        r->end += left;
    }
    struct head h = {.len = (uint32_t)text.n, .id = id, .number = r->written[whose]++};
    make_room(r, need);
    memcpy(spot(r, r->end), &h, sizeof h);
    memcpy(spot(r, r->end) + sizeof h, text.p, text.n);
    r->end += need;
    return true;
}

bool ring_holds(const struct ring *r, const struct ring_place *p)
{
    return p->at >= r->begin;
}

bool ring_at(const struct ring *r, struct ring_place *p, uint32_t kinds, struct ring_event *ret)
{
    while (p->at != r->end) {
        struct head h = head_at(r, p->at);

        if (h.id != EVENT_COUNT && (kinds >> h.id & 1) != 0) {
            *ret = (struct ring_event){.id = (enum event_id)h.id,
                                       .number = h.number,
                                       .text = view_of(spot(r, p->at) + sizeof h, h.len)};
            return true;
        }
        p->at += record_size(h.len);
    }
    return false;
}

void ring_pass(const struct ring *r, struct ring_place *p)
{
    p->at += record_size(head_at(r, p->at).len);
    p->done = 0;
}

/* ---- frames ---- */

/* Copy of `piece` what lies behind the first *io_skip bytes; counts them down. */
static size_t copy_piece(struct view piece, size_t *io_skip, char *to, size_t max)
{
    size_t skip = *io_skip < piece.n ? *io_skip : piece.n;
    size_t n = piece.n - skip < max ? piece.n - skip : max;

    *io_skip -= skip;
    memcpy(to, piece.p + skip, n);
    return n;
}

size_t ring_read(const struct ring *r, struct ring_place *p, uint32_t kinds, char *to, size_t max)
{
    struct ring_event e;
    size_t n = 0;

    while (n < max && ring_at(r, p, kinds, &e)) {
        const struct view pieces[] = {
            view_str("event: "), view_str(event_rows[e.id].name), view_str("\ndata: "), e.text,
            view_str("\n\n"),
        };
        size_t skip = p->done, whole = 0, begin = n;

        for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
            whole += pieces[i].n;
            n += copy_piece(pieces[i], &skip, to + n, max - n);
        }
        p->done += n - begin;
        if (p->done == whole) {
            ring_pass(r, p);
        }
    }
    return n;
}
