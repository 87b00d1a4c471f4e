#include <base/bytes.h>

int view_cmp(struct view a, struct view b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);

    if (c != 0 || a.n == b.n) {
        return c;
    }
    return a.n < b.n ? -1 : 1;
}

struct view rd_take(struct rd *r, size_t n)
{
    if (r->bad || n > rd_left(r)) {
        r->bad = true;
        return (struct view){NULL, 0};
    }
    struct view v = {r->p, n};
    if (n != 0) {
        r->p += n;
    }
    return v;
}

struct view rd_rest(struct rd *r)
{
    return rd_take(r, r->bad ? 0 : rd_left(r));
}

uint8_t rd_u8(struct rd *r)
{
    struct view v = rd_take(r, 1);

    return v.p == NULL ? 0 : v.p[0];
}

uint16_t rd_be16(struct rd *r)
{
    struct view v = rd_take(r, 2);

    return v.p == NULL ? 0 : load_be16(v.p);
}

uint32_t rd_be24(struct rd *r)
{
    struct view v = rd_take(r, 3);

    return v.p == NULL ? 0 : (uint32_t)v.p[0] << 16 | load_be16(v.p + 1);
}

uint32_t rd_be32(struct rd *r)
{
    struct view v = rd_take(r, 4);

    return v.p == NULL ? 0 : load_be32(v.p);
}

uint64_t rd_be64(struct rd *r)
{
    struct view v = rd_take(r, 8);

    return v.p == NULL ? 0 : load_be64(v.p);
}

uint16_t rd_le16(struct rd *r)
{
    struct view v = rd_take(r, 2);

    return v.p == NULL ? 0 : (uint16_t)(v.p[0] | (unsigned)v.p[1] << 8);
}

uint32_t rd_le24(struct rd *r)
{
    struct view v = rd_take(r, 3);

    return v.p == NULL ? 0 : (uint32_t)v.p[0] | (uint32_t)v.p[1] << 8 | (uint32_t)v.p[2] << 16;
}

uint32_t rd_le32(struct rd *r)
{
    struct view v = rd_take(r, 4);

    return v.p == NULL ? 0 : load_le32(v.p);
}

uint64_t rd_le64(struct rd *r)
{
    struct view v = rd_take(r, 8);

    return v.p == NULL ? 0 : load_le64(v.p);
}

/* Room for `n` more bytes, or NULL with the cursor marked bad. */
static uint8_t *wr_room(struct wr *w, size_t n)
{
    uint8_t *at = w->p;

    if (w->bad || n > (size_t)(w->end - w->p)) {
        w->bad = true;
        return NULL;
    }
    w->p += n;
    return at;
}

void wr_bytes(struct wr *w, const void *p, size_t n)
{
    uint8_t *at = wr_room(w, n);

    if (at != NULL && n != 0) {
        memcpy(at, p, n);
    }
}

void wr_view_bytes(struct wr *w, struct view v)
{
    wr_bytes(w, v.p, v.n);
}

void wr_zero(struct wr *w, size_t n)
{
    uint8_t *at = wr_room(w, n);

    if (at != NULL && n != 0) {
        memset(at, 0, n);
    }
}

void wr_u8(struct wr *w, uint8_t x)
{
    wr_bytes(w, &x, 1);
}

void wr_be16(struct wr *w, uint16_t x)
{
    uint8_t b[2];

    store_be16(b, x);
    wr_bytes(w, b, sizeof b);
}

void wr_be32(struct wr *w, uint32_t x)
{
    uint8_t b[4];

    store_be32(b, x);
    wr_bytes(w, b, sizeof b);
}

void wr_be64(struct wr *w, uint64_t x)
{
    uint8_t b[8];

    store_be64(b, x);
    wr_bytes(w, b, sizeof b);
}

void wr_le16(struct wr *w, uint16_t x)
{
    uint8_t b[2] = {(uint8_t)x, (uint8_t)(x >> 8)};

    wr_bytes(w, b, sizeof b);
}

void wr_le24(struct wr *w, uint32_t x)
{
    uint8_t b[3] = {(uint8_t)x, (uint8_t)(x >> 8), (uint8_t)(x >> 16)};

    wr_bytes(w, b, sizeof b);
}

void wr_le32(struct wr *w, uint32_t x)
{
    uint8_t b[4];

    store_le32(b, x);
    wr_bytes(w, b, sizeof b);
}

void wr_le64(struct wr *w, uint64_t x)
{
    uint8_t b[8];

    store_le64(b, x);
    wr_bytes(w, b, sizeof b);
}
