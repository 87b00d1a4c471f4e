/*
 * Framing of Ethereum's req/resp streams: requests and response chunks. Methods and their types
 * are the caller's; here are lengths, result codes, context bytes and snappy frames.
 *
 * Spec     consensus-specs specs/phase0/p2p-interface.md "The Req/Resp domain"
 * In       stream bytes in any cut: reqresp_feed() gives one event at a time; the remote's
 *          half-close: reqresp_end()
 * Memory   one chunk at a time: grows as its bytes arrive, never by its declared length; charged
 *          to the budget given. One growth step may stand uncharged for the moment in which its
 *          refusal frees everything.
 */
#ifndef PROTO_REQRESP_H
#define PROTO_REQRESP_H

#include <base/blob.h>
#include <base/budget.h>
#include <base/buf.h>
#include <base/err.h>
#include <codec/snappy.h>

#define REQRESP_ERROR_TEXT_MAX 256u /* ErrorMessage = List[byte, 256] */

/* 4 to 127 are reserved; 128 and above are the clients' own. All but 0 are errors. */
enum reqresp_code {
    RR_SUCCESS = 0,
    RR_INVALID_REQUEST = 1,
    RR_SERVER_ERROR = 2,
    RR_UNAVAILABLE = 3
};

enum reqresp_kind {
    RR_NONE,    /* more bytes are needed */
    RR_REQUEST, /* the one request; given by reqresp_end() only: bytes after it make it invalid */
    RR_CHUNK,   /* one object of a response */
    RR_ERROR,   /* the response's end: code and text */
};

struct reqresp_event {
    enum reqresp_kind kind;
    uint8_t code;       /* RR_ERROR: the result byte */
    uint8_t context[4]; /* RR_CHUNK, when the method has context bytes */
    struct view data;   /* SSZ, or the error's text (any bytes); inside the reader, gone with the
                           next call */
    struct view packed; /* RR_CHUNK with keep_packed: the payload as it came, if it is packed the
                           common way; else empty */
};

/* Bounds of the SSZ length of one chunk; with context bytes they may depend on the fork digest.
 * False: the context is unknown. Must not call the reader. */
typedef bool reqresp_bounds(void *self, const uint8_t context[static 4], size_t *ret_min,
                            size_t *ret_max);

struct reqresp_config {
    bool is_request;        /* reading a request: no result byte, exactly one payload, then EOF */
    bool has_context;       /* success chunks carry 4 context bytes */
    bool empty_request;     /* is_request: no payload at all */
    bool keep_packed;       /* chunks are given packed too, for who stores them so */
    size_t min, max;        /* SSZ bytes; used when bounds is NULL */
    reqresp_bounds *bounds; /* zeros as context when the method has none */
    void *self;
    uint32_t chunks_max; /* responses; 0: none are allowed, only an error */
};

struct reqresp;

struct reqresp *reqresp_new(const struct reqresp_config *cfg, struct budget *mem);
void reqresp_free(struct reqresp *r);
/*
 * Take the next event from the front of *in; RR_NONE when more bytes are needed. After an error
 * event the stream is over: further bytes are swallowed. After an error do not feed again.
 *
 * Errors: E_VARINT E_REQRESP_LENGTH E_REQRESP_EXTRA E_REQRESP_CHUNKS E_REQRESP_CONTEXT E_SNAPPY
 *         E_SNAPPY_LENGTH E_SNAPPY_CRC E_TOO_LONG, the remote's; E_BUDGET
 */
CHECKED enum err reqresp_feed(struct reqresp *r, struct view *in, struct reqresp_event *ev);
/* The remote half-closed: E_OK at a place where a stream may end, else E_REQRESP_EOF. Fills *ev
 * with the request that is owed; RR_NONE for responses. Call it once. */
CHECKED enum err reqresp_end(struct reqresp *r, struct reqresp_event *ev);

/* Writers: length varint and snappy frames appended. A method without a request body writes
 * nothing: do not call. E_FULL when `out` is at its maximum: its tail is then undefined. */
CHECKED enum err reqresp_put_request(struct view ssz, struct buf *out);
CHECKED enum err reqresp_put_chunk(const uint8_t *context, struct view ssz, struct buf *out);
/* A payload as it stands on the wire, length and frames: it can be kept and sent again as it is. */
struct blob *reqresp_pack(struct view ssz);
/* Its SSZ in a new blob. Errors as of reading a chunk, E_TOO_LONG over `max`, E_REQRESP_EXTRA. */
CHECKED enum err reqresp_open(struct view packed, size_t max, struct blob **ret);
/* A success chunk without its payload: what goes before a packed one. At most
 * REQRESP_HEAD_MAX bytes; returns how many. */
#define REQRESP_HEAD_MAX 5u
size_t reqresp_head(const uint8_t *context, uint8_t out[static REQRESP_HEAD_MAX]);
/* Text is cut to REQRESP_ERROR_TEXT_MAX bytes; code is not RR_SUCCESS. */
CHECKED enum err reqresp_put_error(uint8_t code, const char *text, struct buf *out);

#endif
