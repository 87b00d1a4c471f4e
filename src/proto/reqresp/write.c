#include <assert.h>
#include <codec/varint.h>
#include <proto/reqresp.h>

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
    static const uint8_t success = RR_SUCCESS;

    TRY(buf_append(out, &success, 1));
    if (context != NULL) {
        TRY(buf_append(out, context, 4));
    }
    return put_payload(ssz, out);
}

enum err reqresp_put_error(uint8_t code, const char *text, struct buf *out)
{
    struct view v = view_str(text);

    assert(code != RR_SUCCESS);
    v.n = v.n < REQRESP_ERROR_TEXT_MAX ? v.n : REQRESP_ERROR_TEXT_MAX;
    TRY(buf_append(out, &code, 1));
    return put_payload(v, out);
}
