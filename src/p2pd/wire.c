/*
 * Frames by control.def, the table of the daemon's own engine: a kind is a row of fields, a field a
 * place in struct p2pd_event and its form on the wire. The code is written a second time for a
 * reason: a library in somebody else's process must not end it when memory is short, as the daemon
 * does.
 */
#include "conn.h"

#include <string.h>

enum form {
    FORM_INT,
    FORM_BYTES,
    FORM_TEXT8,
    FORM_TEXT16,
    FORM_REST,
    /* The table's others: their size is the member's. */
    FORM_U8 = FORM_INT,
    FORM_U16 = FORM_INT,
    FORM_U32 = FORM_INT,
    FORM_U64 = FORM_INT,
    FORM_BYTES4 = FORM_BYTES,
    FORM_BYTES20 = FORM_BYTES,
};

enum field {
    END,

#define FIELD(id, form, member) id,
#include <proto/control.def>
#undef FIELD
};

static const struct {
    enum form form;
    size_t size, at; /* of the member */
} fields[] = {

#define FIELD(id, form, member)                                  \
    [id] = {FORM_##form, sizeof((struct p2pd_event *)0)->member, \
            offsetof(struct p2pd_event, member)},
#include <proto/control.def>
#undef FIELD
};

static const struct row {
    uint8_t number;
    uint8_t fields[9];
} rows[] = {

#define F(id, number, from, ...) {number, {__VA_ARGS__}},
#include <proto/control.def>
#undef F
};

/* The header's numbers are the table's. */
#define CLIENT(id, number)
#define DAEMON(id, number) \
    _Static_assert((int)P2PD_EV_##id == (number), "p2pd.h and control.def differ");
#define F(id, number, from, ...) from(id, number)
#include <proto/control.def>
#undef F
#undef CLIENT
#undef DAEMON

static const struct row *row_of(int kind)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].number == kind) {
            return &rows[i];
        }
    }
    return NULL;
}

static size_t length_bytes(enum form form)
{
    return form == FORM_TEXT8 ? 1 : form == FORM_TEXT16 ? 2 : 0;
}

/* The fields' bytes in memory are taken apart here, so that the host's order does not matter. */
static uint64_t load(const void *at, size_t size)
{
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;

    switch (size) {
    case 1:
        memcpy(&u8, at, size);
        return u8;
    case 2:
        memcpy(&u16, at, size);
        return u16;
    case 4:
        memcpy(&u32, at, size);
        return u32;
    default:
        memcpy(&u64, at, size);
        return u64;
    }
}

static void store(void *at, size_t size, uint64_t x)
{
    uint8_t u8 = (uint8_t)x;
    uint16_t u16 = (uint16_t)x;
    uint32_t u32 = (uint32_t)x;

    memcpy(at,
           size == 1   ? (void *)&u8
           : size == 2 ? (void *)&u16
           : size == 4 ? (void *)&u32
                       : &x,
           size);
}

static uint64_t le_get(const uint8_t *p, size_t size)
{
    uint64_t x = 0;

    for (size_t i = size; i-- > 0;) {
        x = x << 8 | p[i];
    }
    return x;
}

static uint8_t *le_put(uint8_t *p, size_t size, uint64_t x)
{
    for (size_t i = 0; i < size; i++) {
        p[i] = (uint8_t)(x >> 8 * i);
    }
    return p + size;
}

/* ---- writing ---- */

size_t p2pdi_wire_size(int kind, const struct p2pd_event *f)
{
    const struct row *row = row_of(kind);
    size_t n = 1;

    for (const uint8_t *i = row->fields; *i != END; i++) {
        const struct p2pd_bytes *v = (const void *)((const uint8_t *)f + fields[*i].at);
        enum form form = fields[*i].form;

        if (form == FORM_INT || form == FORM_BYTES) {
            n += fields[*i].size;
        } else if (v->n > (form == FORM_TEXT8    ? UINT8_MAX
                           : form == FORM_TEXT16 ? UINT16_MAX
                                                 : P2PD_DATA_MAX)) {
            return 0;
        } else {
            n += length_bytes(form) + v->n;
        }
    }
    return n > FRAME_MAX ? 0 : HEAD + n;
}

void p2pdi_wire_put(int kind, const struct p2pd_event *f, uint8_t *out)
{
    const struct row *row = row_of(kind);
    uint8_t *p = le_put(out, HEAD, p2pdi_wire_size(kind, f) - HEAD);

    *p++ = row->number;
    for (const uint8_t *i = row->fields; *i != END; i++) {
        const void *at = (const uint8_t *)f + fields[*i].at;
        enum form form = fields[*i].form;

        if (form == FORM_INT) {
            p = le_put(p, fields[*i].size, load(at, fields[*i].size));
        } else if (form == FORM_BYTES) {
            memcpy(p, at, fields[*i].size);
            p += fields[*i].size;
        } else {
            const struct p2pd_bytes *v = at;
            p = le_put(p, length_bytes(form), v->n);
            if (v->n != 0) {
                memcpy(p, v->p, v->n);
            }
            p += v->n;
        }
    }
}

/* ---- reading ---- */

/* False: the frame is too short for it. */
static bool read_field(struct p2pd_bytes *in, enum field field, struct p2pd_event *ret)
{
    void *at = (uint8_t *)ret + fields[field].at;
    enum form form = fields[field].form;
    size_t size = fields[field].size, head = length_bytes(form);

    if (form == FORM_REST) {
        *(struct p2pd_bytes *)at = *in;
        in->n = 0;
        return true;
    }
    if (form == FORM_TEXT8 || form == FORM_TEXT16) {
        size = in->n < head ? SIZE_MAX : (size_t)le_get(in->p, head);
    }
    if (size == SIZE_MAX || in->n - head < size) {
        return false;
    }
    if (form == FORM_INT) {
        store(at, size, le_get(in->p, size));
    } else if (form == FORM_BYTES) {
        memcpy(at, in->p, size);
    } else {
        *(struct p2pd_bytes *)at = (struct p2pd_bytes){in->p + head, size};
    }
    in->p += head + size;
    in->n -= head + size;
    return true;
}

int p2pdi_wire_get(struct p2pd_bytes frame, struct p2pd_event *ret)
{
    const struct row *row = frame.n == 0 ? NULL : row_of(frame.p[0]);
    struct p2pd_bytes in = {frame.p + 1, frame.n - 1};

    if (row == NULL || row->number < 0x80) {
        return frame.n == 0 ? P2PD_PROTOCOL : 0;
    }
    *ret = (struct p2pd_event){.kind = (enum p2pd_kind)row->number};
    for (const uint8_t *i = row->fields; *i != END; i++) {
        if (!read_field(&in, (enum field) * i, ret)) {
            return P2PD_PROTOCOL;
        }
    }
    return in.n == 0 ? 1 : P2PD_PROTOCOL;
}
