/* The methods of a host: rows of streams' protocols, some of which come and go. */
#include "rpc_state.h"

#include <base/mem.h>

/* Streams of one method that reach us at all, of which all above INBOUND_MAX are refused by name:
 * who floods is known, and pays. */
#define STREAMS_MAX 16u

void rpc_method_new(struct rpc *r, size_t index, const struct rpc_method *row)
{
    struct method *m = r->methods[index] = mem_zalloc(sizeof *m);

    m->rpc = r;
    m->index = index;
    m->row = *row;
    m->protocol = (struct stream_protocol){
        .ids = &m->row.id,
        .n_ids = 1,
        .accept = row->accept,
        .klass = row->klass,
        .inbound_max = STREAMS_MAX,
        .queue_max = FRAMED_MAX, /* QUEUE_FILL paces it */
        .apart = true,
        .ops = &rpc_ops,
        .self = m,
    };
    host_register(r->host, &m->protocol);
}

enum err rpc_add_method(struct rpc *r, const struct rpc_method *row, size_t *ret_index)
{
    for (size_t i = r->n_fixed; i < r->n_fixed + RPC_ADDED_MAX; i++) {
        if (r->methods[i] == NULL) {
            rpc_method_new(r, i, row);
            *ret_index = i;
            return E_OK;
        }
    }
    return E_LIMIT;
}

void rpc_remove_method(struct rpc *r, size_t index)
{
    struct method *m = r->methods[index];

    MAP_EACH(&r->exchanges, struct exchange *, x) {
        if ((*x)->method == m) {
            host_set_user(r->host, (*x)->stream, NULL);
            rpc_exchange_free(*x);
        }
    }
    host_unregister(r->host, &m->protocol);
    mem_free(m);
    r->methods[index] = NULL;
}
