#include <assert.h>
#include <base/mem.h>
#include <codec/varint.h>
#include <proto/reqresp.h>

/* Input taken before memory is charged again; with snappy's ratio this bounds one growth step. */
#define SLICE_MAX (16 * KIB)

enum state {
    AT_CODE,    /* a response may end here */
    AT_CONTEXT, /* 4 bytes of fork digest */
    AT_LENGTH,
    AT_PAYLOAD,
    AT_OWED, /* a request is whole: the end is waited for */
    AT_OVER, /* after an error event */
};

struct reqresp {
    struct reqresp_config cfg;
    struct budget *mem;
    size_t charged;
    enum state state;
    uint8_t code;
    uint8_t context[4];
    uint8_t head[VARINT_MAX]; /* the length */
    size_t n_head;            /* bytes of length, context or identifier that came */
    bool empty_before;        /* the payload before had no bytes: an identifier may follow */
    uint32_t n_chunks;
    struct snappy_reader snappy;
    struct buf plain;
    struct buf packed; /* keep_packed: length and frames */
};

struct reqresp *reqresp_new(const struct reqresp_config *cfg, struct budget *mem)
{
    struct reqresp *r = mem_zalloc(sizeof *r);

    r->cfg = *cfg;
    r->mem = mem;
    r->state = cfg->is_request ? AT_LENGTH : AT_CODE;
    return r;
}

static void drop_payload(struct reqresp *r)
{
    snappy_reader_done(&r->snappy);
    buf_done(&r->plain);
    buf_done(&r->packed);
    budget_give(r->mem, r->charged);
    r->charged = 0;
}

void reqresp_free(struct reqresp *r)
{
    if (r != NULL) {
        drop_payload(r);
        mem_free(r);
    }
}

/* Have the memory that is held charged. */
static enum err charge(struct reqresp *r)
{
    size_t held = r->plain.cap + r->packed.cap + r->snappy.frame.cap;

    if (held > r->charged) {
        enum err e = budget_take(r->mem, held - r->charged);
        if (e != E_OK) {
            drop_payload(r);
            return e;
        }
        r->charged = held;
    }
    return E_OK;
}

static enum err on_code(struct reqresp *r, uint8_t code)
{
    if (code == RR_SUCCESS && r->n_chunks == r->cfg.chunks_max) {
        return E_REQRESP_CHUNKS;
    }
    r->code = code;
    memset(r->context, 0, sizeof r->context);
    r->state = code == RR_SUCCESS && r->cfg.has_context ? AT_CONTEXT : AT_LENGTH;
    return E_OK;
}

/*
 * An encoder of nothing may write the stream identifier or no bytes at all; both are taken. So
 * behind an empty object 0xff begins an identifier; a result byte 255 cannot stand there (no type
 * of Ethereum's is empty: only lists in requests and error texts are).
 */
static enum err take_identifier(struct reqresp *r, struct view *in)
{
    if (in->p[0] != (uint8_t)SNAPPY_IDENTIFIER[r->n_head]) {
        return E_SNAPPY;
    }
    *in = view_skip(*in, 1);
    if (++r->n_head == SNAPPY_IDENTIFIER_SIZE) {
        r->n_head = 0;
        r->empty_before = false;
    }
    return E_OK;
}

static enum err take_code(struct reqresp *r, struct view *in)
{
    uint8_t b = in->p[0];

    if (r->empty_before && (r->n_head != 0 || b == (uint8_t)SNAPPY_IDENTIFIER[0])) {
        return take_identifier(r, in);
    }
    r->empty_before = false;
    *in = view_skip(*in, 1);
    return on_code(r, b);
}

static void take_context(struct reqresp *r, struct view *in)
{
    r->context[r->n_head++] = in->p[0];
    *in = view_skip(*in, 1);
    if (r->n_head == sizeof r->context) {
        r->n_head = 0;
        r->state = AT_LENGTH;
    }
}

/* Spec: consensus-specs specs/phase0/p2p-interface.md "Encoding strategies" */
static enum err bounds_of(const struct reqresp *r, size_t *min, size_t *max)
{
    *min = r->cfg.min;
    *max = r->cfg.max;
    if (r->code != RR_SUCCESS) {
        *min = 0;
        *max = REQRESP_ERROR_TEXT_MAX;
    } else if (r->cfg.bounds != NULL && !r->cfg.bounds(r->cfg.self, r->context, min, max)) {
        return E_REQRESP_CONTEXT;
    }
    return E_OK;
}

static enum err take_length(struct reqresp *r, struct view *in)
{
    uint64_t n;
    size_t min, max;

    r->head[r->n_head++] = in->p[0];
    *in = view_skip(*in, 1);
    struct view head = {r->head, r->n_head};
    enum err e = varint_take(&head, &n);
    if (e == E_MORE && r->n_head < sizeof r->head) {
        return E_OK;
    }
    TRY(e == E_MORE ? E_VARINT : e);
    TRY(bounds_of(r, &min, &max));
    if (n < min || n > max) {
        return E_REQRESP_LENGTH;
    }
    snappy_reader_init(&r->snappy, (size_t)n);
    buf_init(&r->plain, (size_t)n);
    buf_init(&r->packed, sizeof r->head + r->snappy.eat_max);
    if (r->cfg.keep_packed) {
        TRY(buf_append(&r->packed, r->head, r->n_head));
    }
    r->n_head = 0;
    r->state = AT_PAYLOAD;
    return E_OK;
}

/*
 * Is a payload packed as all clients do: one identifier, frames of 64 KiB but for the last? Others
 * are as valid, but who keeps and serves them as they are would carry on one peer's oddities.
 */
static bool is_common(struct view packed, size_t n)
{
    struct view v = packed;
    uint64_t declared;

    if (varint_take(&v, &declared) != E_OK || v.n < SNAPPY_IDENTIFIER_SIZE || n == 0) {
        return false;
    }
    for (v = view_skip(v, SNAPPY_IDENTIFIER_SIZE); v.n > 8; n -= n < 65536 ? n : 65536) {
        size_t body = (size_t)v.p[1] | (size_t)v.p[2] << 8 | (size_t)v.p[3] << 16;
        size_t plain = body - 4, want = n < 65536 ? n : 65536;

        if (v.p[0] > 1 || body < 4 || body + 4 > v.n ||
            (v.p[0] == 0 && snappy_block_length(view_of(v.p + 8, body - 4), &plain) != E_OK) ||
            plain != want) {
            return false;
        }
        v = view_skip(v, body + 4);
    }
    return n == 0 && v.n == 0;
}

static void on_payload(struct reqresp *r, struct reqresp_event *ev)
{
    *ev = (struct reqresp_event){.kind = RR_CHUNK, .code = r->code, .data = buf_view(&r->plain)};
    memcpy(ev->context, r->context, sizeof ev->context);
    if (r->cfg.keep_packed && is_common(buf_view(&r->packed), r->plain.n)) {
        ev->packed = buf_view(&r->packed);
    }
    r->empty_before = r->plain.n == 0;
    r->n_head = 0;
    r->state = AT_CODE;
    if (r->cfg.is_request) {
        ev->kind = RR_NONE;
        r->state = AT_OWED;
    } else if (r->code != RR_SUCCESS) {
        ev->kind = RR_ERROR;
        r->state = AT_OVER;
    } else {
        r->n_chunks++;
    }
}

static enum err take_payload(struct reqresp *r, struct view *in, struct reqresp_event *ev)
{
    size_t n = in->n < SLICE_MAX ? in->n : SLICE_MAX;
    struct view slice = {in->p, n};
    bool done;
    enum err e = snappy_reader_feed(&r->snappy, &slice, &r->plain, &done);

    TRY(e);
    if (r->cfg.keep_packed) { /* eat_max bounds it */
        TRY(buf_append(&r->packed, in->p, n - slice.n));
    }
    *in = view_skip(*in, n - slice.n);
    TRY(charge(r));
    if (done) {
        on_payload(r, ev);
    }
    return E_OK;
}

/* Behind a request nothing may come but the identifier of an empty payload. */
static enum err take_after(struct reqresp *r, struct view *in)
{
    return r->empty_before ? take_identifier(r, in) : E_REQRESP_EXTRA;
}

static enum err step(struct reqresp *r, struct view *in, struct reqresp_event *ev)
{
    switch (r->state) {
    case AT_CODE:
        return take_code(r, in);
    case AT_CONTEXT:
        take_context(r, in);
        return E_OK;
    case AT_LENGTH:
        return r->cfg.is_request && r->cfg.empty_request ? E_REQRESP_EXTRA : take_length(r, in);
    case AT_PAYLOAD:
        return take_payload(r, in, ev);
    case AT_OWED:
        return take_after(r, in);
    case AT_OVER:
        *in = view_skip(*in, in->n);
        return E_OK;
    }
    return E_INVALID;
}

/* A payload of no bytes needs none to be done. */
static bool can_step(const struct reqresp *r, const struct view *in)
{
    return in->n != 0 || (r->state == AT_PAYLOAD && r->snappy.want == 0);
}

enum err reqresp_feed(struct reqresp *r, struct view *in, struct reqresp_event *ev)
{
    *ev = (struct reqresp_event){.kind = RR_NONE};
    if (r->state == AT_CODE && r->charged != 0) {
        drop_payload(r); /* of the last event */
    }
    while (ev->kind == RR_NONE && can_step(r, in)) {
        TRY(step(r, in, ev));
    }
    return E_OK;
}

enum err reqresp_end(struct reqresp *r, struct reqresp_event *ev)
{
    *ev = (struct reqresp_event){.kind = RR_NONE};
    if (!r->cfg.is_request) {
        return (r->state == AT_CODE && r->n_head == 0) || r->state == AT_OVER ? E_OK
                                                                              : E_REQRESP_EOF;
    }
    if (r->cfg.empty_request && r->state == AT_LENGTH) {
        ev->kind = RR_REQUEST;
        return E_OK;
    }
    if (r->state != AT_OWED || r->n_head != 0) {
        return E_REQRESP_EOF;
    }
    ev->kind = RR_REQUEST;
    ev->data = buf_view(&r->plain);
    return E_OK;
}
