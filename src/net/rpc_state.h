/* What rpc.c and rpc_methods.c share. */
#ifndef RPC_STATE_H
#define RPC_STATE_H

#include <base/map.h>
#include <net/rpc.h>

#define FRAMED_MAX (32 * MIB) /* one framed chunk: above any chunk_max and its overhead */

struct method {
    struct rpc *rpc;
    size_t index;
    struct rpc_method row;
    struct stream_protocol protocol;
};

struct exchange {
    struct method *method;
    stream_id stream;
    conn_id conn;
    uint64_t id;
    uint64_t timeout_ns; /* requests: from one chunk to the next */
    void *user;
    struct reqresp *reader;
    uint32_t count, chunks_max;
    bool inbound;
    bool done;   /* RPC_DONE was told: only the end may follow */
    bool over;   /* nothing more is told */
    bool called; /* RPC_CALLED was told */
    bool wrote;  /* RPC_WRITABLE is owed */
};

struct event_item {
    struct event_item *next;
    struct rpc_event ev;
    uint8_t data[];
};

struct rpc {
    struct host *host;
    struct method **methods; /* those of rpc_new(), then what is added: NULL where there is none */
    size_t n_fixed;
    struct map exchanges; /* id -> struct exchange * */
    uint64_t next_id;
    struct event_item *events, **events_end, *told;
};

extern const struct stream_ops rpc_ops;
void rpc_method_new(struct rpc *r, size_t index, const struct rpc_method *row);
void rpc_exchange_free(struct exchange *x);

#endif
