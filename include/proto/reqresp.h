/*
 * Framing of Ethereum's req/resp streams: requests and response chunks. Methods and their types
 * are the caller's; here are lengths, result codes, context bytes and snappy frames.
 *
 * Spec     consensus-specs specs/phase0/p2p-interface.md "The Req/Resp domain"
 * In       stream bytes in any cut: reqresp_feed() gives one event at a time
 * Memory   one chunk at a time: grows as its bytes arrive, never by its declared length
 */
#ifndef PROTO_REQRESP_H
#define PROTO_REQRESP_H

#include <base/blob.h>
#include <base/budget.h>
#include <base/buf.h>
#include <base/err.h>
#include <codec/snappy.h>

#define REQRESP_ERROR_TEXT_MAX 256u

enum reqresp_code { RR_SUCCESS = 0, RR_INVALID_REQUEST = 1, RR_SERVER_ERROR = 2, RR_UNAVAILABLE = 3 };

enum reqresp_kind { RR_NONE, RR_REQUEST, RR_CHUNK, RR_ERROR };

struct reqresp_event {
    enum reqresp_kind kind;
    uint8_t code;       /* RR_ERROR: the result byte */
    uint8_t context[4]; /* RR_CHUNK, when the method has context bytes */
    struct view data;   /* SSZ, or the error's text; inside the reader, gone with the next feed */
};

/* Bounds of the SSZ length of one chunk; with context bytes they may depend on the fork digest. */
typedef bool reqresp_bounds(void *self, const uint8_t context[static 4], size_t *ret_min,
                            size_t *ret_max);

struct reqresp_config {
    bool is_request; /* reading a request: no result byte, exactly one payload, then EOF */
    bool has_context;
    bool empty_request; /* is_request: no payload at all */
    size_t min, max;    /* SSZ bytes; used when bounds is NULL */
    reqresp_bounds *bounds; /* false: unknown context */
    void *self;
    uint32_t chunks_max;    /* responses */
};

struct reqresp;

struct reqresp *reqresp_new(const struct reqresp_config *cfg, struct budget *mem);
void reqresp_free(struct reqresp *r);
/* Take the next event from the front of *in; RR_NONE when more bytes are needed. After an error
 * event or an error the stream is over. */
CHECKED enum err reqresp_feed(struct reqresp *r, struct view *in, struct reqresp_event *ev);
/* The remote half-closed: E_OK at a place where a stream may end, else E_REQRESP_EOF. For an
 * empty request, or an event still owed, *ev is filled. */
CHECKED enum err reqresp_end(struct reqresp *r, struct reqresp_event *ev);

/* Writers: length varint and snappy frames appended. */
CHECKED enum err reqresp_put_request(struct view ssz, struct buf *out);
CHECKED enum err reqresp_put_chunk(const uint8_t *context, struct view ssz, struct buf *out);
/* Text is cut to REQRESP_ERROR_TEXT_MAX bytes. */
CHECKED enum err reqresp_put_error(uint8_t code, const char *text, struct buf *out);

#endif
