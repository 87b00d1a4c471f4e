#include "wire.h"

#define FLAGS_KNOWN (FLAG_SYN | FLAG_ACK | FLAG_FIN | FLAG_RST)

static enum err check(const struct yamux_frame *f)
{
    bool of_session = f->type == YAMUX_PING || f->type == YAMUX_GO_AWAY;

    if ((f->sid == 0) != of_session) {
        return E_YAMUX_STREAM_ID;
    }
    if ((f->flags & ~FLAGS_KNOWN) != 0) {
        return E_YAMUX_TYPE;
    }
    if (f->type == YAMUX_PING && f->flags != FLAG_SYN && f->flags != FLAG_ACK) {
        return E_YAMUX_TYPE; /* neither a question nor an answer */
    }
    return f->type == YAMUX_GO_AWAY && f->flags != 0 ? E_YAMUX_TYPE : E_OK;
}

enum err yamux_frame_read(const uint8_t b[static YAMUX_HEADER], struct yamux_frame *ret)
{
    if (b[0] != 0) {
        return E_YAMUX_VERSION;
    }
    if (b[1] > YAMUX_GO_AWAY) {
        return E_YAMUX_TYPE;
    }
    struct yamux_frame f = {.type = (enum yamux_type)b[1],
                            .flags = load_be16(b + 2),
                            .sid = load_be32(b + 4),
                            .length = load_be32(b + 8)};
    TRY(check(&f));
    *ret = f;
    return E_OK;
}

void yamux_frame_write(const struct yamux_frame *f, uint8_t out[static YAMUX_HEADER])
{
    out[0] = 0;
    out[1] = (uint8_t)f->type;
    store_be16(out + 2, f->flags);
    store_be32(out + 4, f->sid);
    store_be32(out + 8, f->length);
}
