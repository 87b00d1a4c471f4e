#include <node/method_row.h>

struct rpc_method method_row(struct method_info *m)
{
    return (struct rpc_method){
        .id = view_str(m->id),
        .has_context = m->has_context,
        .empty_request = m->empty_request,
        .request_min = m->request_min,
        .request_max = m->request_max,
        .chunk_min = m->chunk_min,
        .chunk_max = m->chunk_max,
        .bounds = m->has_context ? method_bounds : NULL,
        .self = m,
        .chunks_max = m->chunks_max,
        .klass = SEND_CONTROL,
    };
}
