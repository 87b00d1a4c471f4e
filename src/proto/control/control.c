/*
 * Frames by table: a kind is a row of fields, a field is a place in struct control_frame and its
 * form on the wire. One function reads all kinds, one writes them.
 */
#include <assert.h>
#include <proto/control.h>

enum form { U8, U16, U32, U64, BYTES4, BYTES20, TEXT8, TEXT16, REST };

enum field {
    END,

#define FIELD(id, form, member) id,
#include <proto/control.def>
#undef FIELD
};

static const struct {
    enum form form;
    size_t at;
} fields[] = {

#define FIELD(id, form, member) [id] = {form, offsetof(struct control_frame, member)},
#include <proto/control.def>
#undef FIELD
};

#define FIELDS_MAX 9u /* of one frame, the end included */

enum side { CLIENT, DAEMON };

static const struct row {
    uint8_t number;
    enum side from;
    uint8_t fields[FIELDS_MAX];
} rows[] = {

#define F(id, number, from, ...) {number, from, {__VA_ARGS__}},
#include <proto/control.def>
#undef F
};

static const struct row *row_of(unsigned number)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].number == number) {
            return &rows[i];
        }
    }
    return NULL;
}

/* ---- reading ---- */

enum err control_split(struct view *in, struct view *ret_frame)
{
    if (in->n < CONTROL_HEAD) {
        return E_MORE;
    }
    size_t n = load_le32(in->p);
    if (n == 0 || n > CONTROL_FRAME_MAX) {
        return E_TOO_LONG;
    }
    if (in->n - CONTROL_HEAD < n) {
        return E_MORE;
    }
    *ret_frame = view_of(in->p + CONTROL_HEAD, n);
    *in = view_skip(*in, CONTROL_HEAD + n);
    return E_OK;
}

static void read_bytes(struct rd *r, void *at, size_t n)
{
    struct view v = rd_take(r, n);

    if (v.n == n) {
        memcpy(at, v.p, n);
    }
}

static void read_field(struct rd *r, enum form form, void *at)
{
    switch (form) {
    case U8:
        *(uint8_t *)at = rd_u8(r);
        break;
    case U16:
        *(uint16_t *)at = rd_le16(r);
        break;
    case U32:
        *(uint32_t *)at = rd_le32(r);
        break;
    case U64:
        *(uint64_t *)at = rd_le64(r);
        break;
    case BYTES4:
        read_bytes(r, at, CONTROL_CONTEXT);
        break;
    case BYTES20:
        read_bytes(r, at, CONTROL_HASH);
        break;
    case TEXT8: {
        uint8_t n = rd_u8(r);
        *(struct view *)at = rd_take(r, n);
        break;
    }
    case TEXT16: {
        uint16_t n = rd_le16(r);
        *(struct view *)at = rd_take(r, n);
        break;
    }
    case REST:
        *(struct view *)at = rd_rest(r);
        break;
    }
}

enum err control_decode(struct view frame, bool from_client, struct control_frame *ret)
{
    struct control_frame f = {.tag = 0};
    struct rd r = rd_of(frame);
    const struct row *row = row_of(rd_u8(&r));

    if (row == NULL || (row->from == CLIENT) != from_client) {
        return E_UNSUPPORTED;
    }
    f.kind = (enum control_kind)row->number;
    for (size_t i = 0; row->fields[i] != END; i++) {
        read_field(&r, fields[row->fields[i]].form, (uint8_t *)&f + fields[row->fields[i]].at);
    }
    if (r.bad || rd_left(&r) != 0) {
        return E_INVALID;
    }
    *ret = f;
    return E_OK;
}

uint32_t control_tag_of(struct view frame)
{
    const struct row *row = frame.n < 5 ? NULL : row_of(frame.p[0]);

    /* A kind of a later version has a tag too, or its answer has none: nobody waits for it. */
    return frame.n < 5 || (row != NULL && row->fields[0] != TAG) ? 0 : load_le32(frame.p + 1);
}

/* ---- writing ---- */

static size_t field_size(const struct control_frame *f, enum field field)
{
    const void *at = (const uint8_t *)f + fields[field].at;

    switch (fields[field].form) {
    case U8:
        return 1;
    case U16:
        return 2;
    case U32:
        return 4;
    case U64:
        return 8;
    case BYTES4:
        return CONTROL_CONTEXT;
    case BYTES20:
        return CONTROL_HASH;
    case TEXT8:
        return 1 + ((const struct view *)at)->n;
    case TEXT16:
        return 2 + ((const struct view *)at)->n;
    case REST:
        return ((const struct view *)at)->n;
    }
    return 0;
}

static void write_field(struct wr *w, enum form form, const void *at)
{
    const struct view *v = at; /* of the forms that are views */

    switch (form) {
    case U8:
        wr_u8(w, *(const uint8_t *)at);
        break;
    case U16:
        wr_le16(w, *(const uint16_t *)at);
        break;
    case U32:
        wr_le32(w, *(const uint32_t *)at);
        break;
    case U64:
        wr_le64(w, *(const uint64_t *)at);
        break;
    case BYTES4:
        wr_bytes(w, at, CONTROL_CONTEXT);
        break;
    case BYTES20:
        wr_bytes(w, at, CONTROL_HASH);
        break;
    case TEXT8:
        assert(v->n <= UINT8_MAX);
        wr_u8(w, (uint8_t)v->n);
        wr_view_bytes(w, *v);
        break;
    case TEXT16:
        assert(v->n <= UINT16_MAX);
        wr_le16(w, (uint16_t)v->n);
        wr_view_bytes(w, *v);
        break;
    case REST:
        wr_view_bytes(w, *v);
        break;
    }
}

enum err control_encode(const struct control_frame *f, struct buf *out)
{
    const struct row *row = row_of((unsigned)f->kind);
    size_t n = 1;
    uint8_t *at;

    assert(row != NULL);
    for (size_t i = 0; row->fields[i] != END; i++) {
        n += field_size(f, (enum field)row->fields[i]);
    }
    assert(n <= CONTROL_FRAME_MAX);
    TRY(buf_reserve(out, CONTROL_HEAD + n, &at));
    struct wr w = wr_of(at, CONTROL_HEAD + n);
    wr_le32(&w, (uint32_t)n);
    wr_u8(&w, row->number);
    for (size_t i = 0; row->fields[i] != END; i++) {
        write_field(&w, fields[row->fields[i]].form,
                    (const uint8_t *)f + fields[row->fields[i]].at);
    }
    assert(!w.bad && wr_len(&w) == CONTROL_HEAD + n);
    buf_commit(out, CONTROL_HEAD + n);
    return E_OK;
}

/* ---- verdicts ---- */

enum err control_next_judgement(struct view *data, struct control_judgement *ret)
{
    if (data->n == 0) {
        return E_MORE;
    }
    if (data->n < CONTROL_JUDGEMENT_BYTES || data->p[8] >= CONTROL_VERDICT_KINDS) {
        return E_INVALID;
    }
    *ret = (struct control_judgement){
        .message = load_le64(data->p),
        .verdict = (enum control_verdict)data->p[8],
        .score = (int32_t)load_le32(data->p + 9),
    };
    *data = view_skip(*data, CONTROL_JUDGEMENT_BYTES);
    return E_OK;
}

void control_put_judgement(const struct control_judgement *j,
                           uint8_t out[static CONTROL_JUDGEMENT_BYTES])
{
    store_le32(out, (uint32_t)j->message);
    store_le32(out + 4, (uint32_t)(j->message >> 32));
    out[8] = (uint8_t)j->verdict;
    store_le32(out + 9, (uint32_t)j->score);
}
