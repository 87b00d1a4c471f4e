#include <assert.h>
#include <codec/varint.h>
#include <proto/reqresp.h>

#define PACKED_MAX (1024 * MIB) /* above MAX_PAYLOAD_SIZE and what framing adds, by far */

/* Spec: consensus-specs specs/phase0/p2p-interface.md "SSZ-snappy encoding strategy" */
static enum err put_payload(struct view ssz, struct buf *out)
{
    uint8_t head[VARINT_MAX];
    size_t n = varint_put(ssz.n, head);

    TRY(buf_append(out, head, n));
    return snappy_frames_pack(ssz, out);
}

enum err reqresp_put_request(struct view ssz, struct buf *out)
{
    return put_payload(ssz, out);
}

enum err reqresp_put_chunk(const uint8_t *context, struct view ssz, struct buf *out)
{
    uint8_t head[REQRESP_HEAD_MAX];

    TRY(buf_append(out, head, reqresp_head(context, head)));
    return put_payload(ssz, out);
}

size_t reqresp_head(const uint8_t *context, uint8_t out[static REQRESP_HEAD_MAX])
{
    out[0] = RR_SUCCESS;
    if (context == NULL) {
        return 1;
    }
    memcpy(out + 1, context, 4);
    return 5;
}

struct blob *reqresp_pack(struct view ssz)
{
    struct buf out;

    buf_init(&out, PACKED_MAX);
    IGNORE(put_payload(ssz, &out), "the maximum is above any payload's");
    struct blob *b = blob_copy(buf_view(&out));
    buf_done(&out);
    return b;
}

enum err reqresp_open(struct view packed, size_t max, struct blob **ret)
{
    struct snappy_reader r;
    struct buf plain;
    uint64_t n;
    bool done = false;

    TRY(varint_take(&packed, &n) == E_OK ? E_OK : E_VARINT);
    if (n > max) {
        return E_TOO_LONG;
    }
    snappy_reader_init(&r, (size_t)n);
    buf_init(&plain, (size_t)n);
    enum err e = snappy_reader_feed(&r, &packed, &plain, &done);
    e = e == E_OK && !done ? E_REQRESP_EOF : e;
    /* Nothing may follow but the identifier of an empty payload. */
    e = e == E_OK && packed.n != 0 && n != 0 ? E_REQRESP_EXTRA : e;
    if (e == E_OK) {
        *ret = blob_copy(buf_view(&plain));
    }
    snappy_reader_done(&r);
    buf_done(&plain);
    return e;
}

enum err reqresp_put_error(uint8_t code, const char *text, struct buf *out)
{
    struct view v = view_str(text);

    assert(code != RR_SUCCESS);
    v.n = v.n < REQRESP_ERROR_TEXT_MAX ? v.n : REQRESP_ERROR_TEXT_MAX;
    TRY(buf_append(out, &code, 1));
    return put_payload(v, out);
}
