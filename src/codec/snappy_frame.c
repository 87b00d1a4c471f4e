#include <assert.h>
#include <codec/snappy.h>

#include <snappy-c.h>

/* Spec: google/snappy framing_format.txt "4. Chunk types" */
enum chunk_type {
    CHUNK_COMPRESSED = 0x00,
    CHUNK_PLAIN = 0x01,
    CHUNK_SKIPPABLE = 0x80, /* up to 0xfe, padding */
    CHUNK_IDENTIFIER = 0xff,
};

#define HEAD_SIZE      4u /* type, length in 3 bytes */
#define CRC_SIZE       4u
#define PLAIN_MAX      65536u /* of one chunk */
#define COMPRESSED_MAX 76490u /* what PLAIN_MAX bytes compress to at worst */
#define FRAME_MAX      (HEAD_SIZE + CRC_SIZE + COMPRESSED_MAX)
#define EXPANSION_MAX  22u /* as in snappy_block.c */

/* ---- CRC-32C (Castagnoli), reflected polynomial 0x82f63b78 ---- */

static const uint32_t crc_of_nibble[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

static uint32_t crc_portable(uint32_t c, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        c = (c >> 4) ^ crc_of_nibble[c & 15];
        c = (c >> 4) ^ crc_of_nibble[c & 15];
    }
    return c;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_sse(uint32_t c, const uint8_t *p, size_t n)
{
    uint64_t wide = c;

    for (; n >= 8; p += 8, n -= 8) {
        wide = __builtin_ia32_crc32di(wide, load_le64(p));
    }
    c = (uint32_t)wide;
    for (; n != 0; p++, n--) {
        c = __builtin_ia32_crc32qi(c, *p);
    }
    return c;
}
#endif

uint32_t crc32c(struct view v)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2")) {
        return ~crc_sse(UINT32_MAX, v.p, v.n);
    }
#endif
    return ~crc_portable(UINT32_MAX, v.p, v.n);
}

/* Spec: google/snappy framing_format.txt "3. Checksum format" */
static uint32_t masked_crc(struct view v)
{
    uint32_t c = crc32c(v);

    return (c >> 15 | c << 17) + 0xa282ead8u;
}

/* ---- writing ---- */

static enum err pack_chunk(struct view plain, struct buf *out)
{
    uint8_t *at;

    TRY(buf_reserve(out, FRAME_MAX, &at));
    size_t n = COMPRESSED_MAX;
    struct wr w = wr_of(at, HEAD_SIZE + CRC_SIZE);
    uint8_t *body = at + HEAD_SIZE + CRC_SIZE;
    snappy_status s = snappy_compress((const char *)plain.p, plain.n, (char *)body, &n);
    bool smaller =
        s == SNAPPY_OK && n < plain.n - plain.n / 8; /* else not worth the reader's time */

    if (!smaller) {
        n = plain.n;
        memcpy(body, plain.p, n);
    }
    wr_u8(&w, smaller ? CHUNK_COMPRESSED : CHUNK_PLAIN);
    wr_le24(&w, (uint32_t)(CRC_SIZE + n));
    wr_le32(&w, masked_crc(plain));
    assert(!w.bad);
    buf_commit(out, HEAD_SIZE + CRC_SIZE + n);
    return E_OK;
}

enum err snappy_frames_pack(struct view plain, struct buf *out)
{
    TRY(buf_append(out, SNAPPY_IDENTIFIER, SNAPPY_IDENTIFIER_SIZE));
    while (plain.n != 0) {
        size_t n = plain.n < PLAIN_MAX ? plain.n : PLAIN_MAX;

        TRY(pack_chunk(view_of(plain.p, n), out));
        plain = view_skip(plain, n);
    }
    return E_OK;
}

/* ---- reading ---- */

void snappy_reader_init(struct snappy_reader *s, size_t want)
{
    *s = (struct snappy_reader){.want = want, .eat_max = snappy_max_compressed(want)};
    buf_init(&s->frame, FRAME_MAX);
}

void snappy_reader_done(struct snappy_reader *s)
{
    buf_done(&s->frame);
}

/* Everything that can be refused by a chunk's head is, before its body is waited for. */
static enum err check_head(const struct snappy_reader *s, uint8_t type, size_t n)
{
    if (!s->identified && type != CHUNK_IDENTIFIER) {
        return E_SNAPPY;
    }
    if (HEAD_SIZE + n > s->eat_max - s->eaten) {
        return E_TOO_LONG;
    }
    if (type == CHUNK_IDENTIFIER) {
        return n == SNAPPY_IDENTIFIER_SIZE - HEAD_SIZE ? E_OK : E_SNAPPY;
    }
    if (type >= CHUNK_SKIPPABLE) {
        return E_OK;
    }
    size_t body_max = type == CHUNK_PLAIN ? PLAIN_MAX : COMPRESSED_MAX;

    if (type > CHUNK_PLAIN || n < CRC_SIZE || n > CRC_SIZE + body_max) {
        return E_SNAPPY;
    }
    return type == CHUNK_PLAIN && n - CRC_SIZE > s->want - s->got ? E_SNAPPY_LENGTH : E_OK;
}

static enum err check_crc(struct snappy_reader *s, uint32_t crc, struct view plain, struct buf *out)
{
    if (masked_crc(plain) != crc) {
        return E_SNAPPY_CRC;
    }
    buf_commit(out, plain.n);
    s->got += plain.n;
    return E_OK;
}

static enum err take_compressed(struct snappy_reader *s, struct view body, struct buf *out)
{
    uint32_t crc = load_le32(body.p);
    size_t n;
    uint8_t none, *at;

    body = view_skip(body, CRC_SIZE);
    TRY(snappy_block_length(body, &n));
    if (n > PLAIN_MAX || n / EXPANSION_MAX > body.n) {
        return E_SNAPPY;
    }
    if (n > s->want - s->got) {
        return E_SNAPPY_LENGTH;
    }
    if (n == 0) {
        at = &none; /* the library wants an address */
    } else {
        TRY(buf_reserve(out, n, &at));
    }
    size_t got = n;
    if (snappy_uncompress((const char *)body.p, body.n, (char *)at, &got) != SNAPPY_OK ||
        got != n) {
        return E_SNAPPY;
    }
    return check_crc(s, crc, view_of(at, n), out);
}

static enum err take_plain(struct snappy_reader *s, struct view body, struct buf *out)
{
    uint32_t crc = load_le32(body.p);
    uint8_t *at;

    body = view_skip(body, CRC_SIZE);
    if (body.n == 0) {
        return check_crc(s, crc, body, out);
    }
    TRY(buf_reserve(out, body.n, &at));
    memcpy(at, body.p, body.n);
    return check_crc(s, crc, view_of(at, body.n), out);
}

/* One whole chunk that is not skippable. */
static enum err take_chunk(struct snappy_reader *s, struct view chunk, struct buf *out)
{
    uint8_t type = chunk.p[0];

    if (type == CHUNK_IDENTIFIER) {
        if (memcmp(chunk.p, SNAPPY_IDENTIFIER, SNAPPY_IDENTIFIER_SIZE) != 0) {
            return E_SNAPPY;
        }
        s->identified = true;
        return E_OK;
    }
    chunk = view_skip(chunk, HEAD_SIZE);
    return type == CHUNK_PLAIN ? take_plain(s, chunk, out) : take_compressed(s, chunk, out);
}

/* Move bytes from the input into s->frame until it holds n; false when the input ends before. */
static bool gather(struct snappy_reader *s, struct view *in, size_t n)
{
    size_t more = s->frame.n >= n ? 0 : n - s->frame.n;

    more = more < in->n ? more : in->n;
    if (more != 0) {
        IGNORE(buf_append(&s->frame, in->p, more), "n is at most FRAME_MAX: the head was checked");
        *in = view_skip(*in, more);
    }
    return s->frame.n >= n;
}

/*
 * The next chunk in one piece: in the input itself when it lies there whole, else in s->frame.
 * E_MORE when its end has not come.
 */
static enum err next_chunk(struct snappy_reader *s, struct view *in, struct view *ret)
{
    bool fresh = s->frame.n == 0 && in->n >= HEAD_SIZE;

    if (!fresh && !gather(s, in, HEAD_SIZE)) {
        return E_MORE;
    }
    const uint8_t *head = fresh ? in->p : s->frame.p;
    size_t n = (size_t)head[1] | (size_t)head[2] << 8 | (size_t)head[3] << 16;

    TRY(check_head(s, head[0], n));
    if (head[0] >= CHUNK_SKIPPABLE && head[0] != CHUNK_IDENTIFIER) {
        s->eaten += HEAD_SIZE + n;
        s->skip = n;
        *in = view_skip(*in, fresh ? HEAD_SIZE : 0);
        *ret = view_of(NULL, 0);
        return E_OK;
    }
    if (fresh && in->n >= HEAD_SIZE + n) {
        *ret = view_of(in->p, HEAD_SIZE + n);
        *in = view_skip(*in, HEAD_SIZE + n);
    } else if (gather(s, in, HEAD_SIZE + n)) {
        *ret = buf_view(&s->frame);
    } else {
        return E_MORE;
    }
    s->eaten += HEAD_SIZE + n;
    return E_OK;
}

enum err snappy_reader_feed(struct snappy_reader *s, struct view *in, struct buf *out,
                            bool *ret_done)
{
    while (s->got < s->want) {
        size_t skip = s->skip < in->n ? s->skip : in->n;
        struct view chunk;

        s->skip -= skip;
        *in = view_skip(*in, skip);
        enum err e = in->n == 0 ? E_MORE : next_chunk(s, in, &chunk);
        if (e == E_MORE) {
            *ret_done = false;
            return E_OK;
        }
        TRY(e);
        TRY(chunk.n == 0 ? E_OK : take_chunk(s, chunk, out));
        buf_clear(&s->frame);
    }
    *ret_done = true;
    return E_OK;
}
