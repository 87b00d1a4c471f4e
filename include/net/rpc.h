/*
 * Request and response on streams: a new stream for each request. Methods are the caller's table.
 *
 * Spec     consensus-specs specs/phase0/p2p-interface.md "The Req/Resp domain"
 */
#ifndef NET_RPC_H
#define NET_RPC_H

#include <net/host.h>
#include <proto/reqresp.h>

struct rpc_method {
    struct view id; /* protocol id; borrowed for the host's life */
    bool has_context, empty_request;
    size_t request_min, request_max; /* SSZ bytes */
    size_t chunk_min, chunk_max;     /* when bounds is NULL */
    reqresp_bounds *bounds;          /* by context bytes */
    void *self;
    uint32_t chunks_max;
    enum send_class klass;
    bool accept;
};

enum rpc_kind {
    RPC_NONE,
    RPC_CALLED,   /* a remote asks: call, method, conn, data; answer with rpc_reply_*() */
    RPC_WRITABLE, /* call: its queue is empty again, send the next chunk */
    RPC_DROPPED,  /* call: its stream is gone before rpc_reply_end() */
    RPC_REFUSED,  /* a remote's request was malformed and is answered, or one too many and reset
                     (E_LIMIT): method, conn, error */
    RPC_CHUNK,    /* request: one chunk of the answer; context, data */
    RPC_DONE,     /* request: the answer is complete; count chunks. With the last chunk that may
                     come, not with the remote's end */
    RPC_FAILED,   /* request: error; code and data (text) with E_REQRESP_CODE. After RPC_DONE only
                     E_REQRESP_EXTRA: the remote goes on behind the last chunk asked for */
};

struct rpc_event {
    enum rpc_kind kind;
    conn_id conn;
    size_t method;
    uint64_t call, request;
    void *user; /* of rpc_request() */
    uint8_t context[4];
    struct view data;   /* borrowed until the next call */
    struct view packed; /* RPC_CHUNK: as it stood on the wire, for who keeps it so; may be empty */
    uint8_t code;
    uint32_t count;
    enum err error;
};

struct rpc;

struct rpc *rpc_new(struct host *h, const struct rpc_method *methods, size_t n, struct rng *rng);
void rpc_free(struct rpc *r); /* before host_free() */
/* Methods that come and go while peers are connected, RPC_ADDED_MAX at once: E_LIMIT. Indices go on
 * behind those of rpc_new(). Removing ends what is under way, untold. */
#define RPC_ADDED_MAX 32u
CHECKED enum err rpc_add_method(struct rpc *r, const struct rpc_method *row, size_t *ret_index);
void rpc_remove_method(struct rpc *r, size_t index);
/* E_LIMIT: two are under way with this peer and method (MAX_CONCURRENT_REQUESTS); E_CLOSED. */
CHECKED enum err rpc_request(struct rpc *r, conn_id c, size_t method, struct view ssz,
                             uint32_t chunks_max, uint64_t timeout_ns, void *user, struct now now,
                             uint64_t *ret_request);
void rpc_cancel(struct rpc *r, uint64_t request, struct now now);
/* E_FULL: wait for RPC_WRITABLE. E_CLOSED: the call is gone. context NULL where there is none. */
CHECKED enum err rpc_reply_chunk(struct rpc *r, uint64_t call, const uint8_t *context,
                                 struct view ssz);
/* The answer has room for a chunk; when not, RPC_WRITABLE follows. True when the call is gone. */
bool rpc_reply_room(struct rpc *r, uint64_t call);
/* The same of a payload that is packed (reqresp_pack()): its bytes go out as they are. E_FULL also
 * while the connection's memory is used up by others: RPC_WRITABLE may then not come. */
CHECKED enum err rpc_reply_packed(struct rpc *r, uint64_t call, const uint8_t *context,
                                  struct blob *packed);
void rpc_reply_end(struct rpc *r, uint64_t call);
void rpc_reply_error(struct rpc *r, uint64_t call, uint8_t code, const char *text);
bool rpc_next(struct rpc *r, struct rpc_event *ret);
/* Due at once while events wait to be fetched. */
uint64_t rpc_deadline(const struct rpc *r);
void rpc_tick(struct rpc *r, struct now now);

#endif
