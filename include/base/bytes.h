/*
 * Borrowed bytes, and sticky cursors to read and write them.
 *
 * A view borrows: it ends with the call that passed it. A cursor's first overrun sets `bad` and
 * sticks; reads after it give 0, writes after it do nothing. Check `bad` once, before any value
 * decides a size or a loop. Never read from a cursor inside an initializer or argument list: C
 * leaves the order open.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KIB          ((size_t)1024)
#define MIB          (1024 * KIB)
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct view {
    const uint8_t *p; /* may be NULL when n is 0 */
    size_t n;
};

static inline struct view view_of(const void *p, size_t n)
{
    return (struct view){p, n};
}

/* The bytes of a C string, without its end. */
static inline struct view view_str(const char *s)
{
    return (struct view){(const uint8_t *)s, strlen(s)};
}

static inline bool view_eq(struct view a, struct view b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* `v` without its first `n` bytes; `n` at most v.n. */
static inline struct view view_skip(struct view v, size_t n)
{
    return (struct view){n == 0 ? v.p : v.p + n, v.n - n};
}

/* Bytewise order, shorter first on a common prefix: <0, 0, >0. */
int view_cmp(struct view a, struct view b);

/* ---- reading ---- */
struct rd {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct rd rd_of(struct view v)
{
    return (struct rd){v.p, v.n == 0 ? v.p : v.p + v.n, false};
}

static inline size_t rd_left(const struct rd *r)
{
    return (size_t)(r->end - r->p);
}

struct view rd_take(struct rd *r, size_t n); /* empty, and bad, when fewer are left */
struct view rd_rest(struct rd *r);
uint8_t rd_u8(struct rd *r);
uint16_t rd_be16(struct rd *r);
uint32_t rd_be24(struct rd *r);
uint32_t rd_be32(struct rd *r);
uint64_t rd_be64(struct rd *r);
uint16_t rd_le16(struct rd *r);
uint32_t rd_le24(struct rd *r);
uint32_t rd_le32(struct rd *r);
uint64_t rd_le64(struct rd *r);

/* ---- writing into fixed space ---- */
struct wr {
    uint8_t *start, *p, *end;
    bool bad;
};

static inline struct wr wr_of(void *p, size_t n)
{
    return (struct wr){p, p, (uint8_t *)p + n, false};
}

static inline size_t wr_len(const struct wr *w)
{
    return (size_t)(w->p - w->start);
}

static inline struct view wr_view(const struct wr *w)
{
    return (struct view){w->start, wr_len(w)};
}

void wr_bytes(struct wr *w, const void *p, size_t n);
void wr_view_bytes(struct wr *w, struct view v);
void wr_zero(struct wr *w, size_t n);
void wr_u8(struct wr *w, uint8_t x);
void wr_be16(struct wr *w, uint16_t x);
void wr_be32(struct wr *w, uint32_t x);
void wr_be64(struct wr *w, uint64_t x);
void wr_le16(struct wr *w, uint16_t x);
void wr_le24(struct wr *w, uint32_t x);
void wr_le32(struct wr *w, uint32_t x);
void wr_le64(struct wr *w, uint64_t x);

/* ---- integers at an address, any alignment ---- */
static inline uint16_t load_be16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)load_be16(p) << 16 | load_be16(p + 2);
}

static inline uint64_t load_be64(const uint8_t *p)
{
    return (uint64_t)load_be32(p) << 32 | load_be32(p + 4);
}

static inline uint32_t load_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t load_le64(const uint8_t *p)
{
    return (uint64_t)load_le32(p) | (uint64_t)load_le32(p + 4) << 32;
}

static inline void store_be16(uint8_t *p, uint16_t x)
{
    p[0] = (uint8_t)(x >> 8);
    p[1] = (uint8_t)x;
}

static inline void store_be32(uint8_t *p, uint32_t x)
{
    store_be16(p, (uint16_t)(x >> 16));
    store_be16(p + 2, (uint16_t)x);
}

static inline void store_be64(uint8_t *p, uint64_t x)
{
    store_be32(p, (uint32_t)(x >> 32));
    store_be32(p + 4, (uint32_t)x);
}

static inline void store_le32(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
    p[2] = (uint8_t)(x >> 16);
    p[3] = (uint8_t)(x >> 24);
}

static inline void store_le64(uint8_t *p, uint64_t x)
{
    store_le32(p, (uint32_t)x);
    store_le32(p + 4, (uint32_t)(x >> 32));
}

#endif
