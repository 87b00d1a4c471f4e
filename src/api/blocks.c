/* The API under /eth, part beacon: genesis, headers and blocks. */
#include "api_internal.h"

#include <eth/network.h>
#include <eth/schema.h>

/* False after an error answer. The block's ssz is the caller's to unref. */
static bool find(const struct request *q, struct answer *a, struct node_block *ret,
                 const struct ssz_type **ret_type)
{
    enum err e = node_get_block(q->node, q->id, ret);

    if (e == E_INVALID) {
        answer_error(a, MHD_HTTP_BAD_REQUEST,
                     "block id is head, genesis, finalized, a slot or a 0x root");
        return false;
    }
    if (e != E_OK) {
        answer_error(a, MHD_HTTP_NOT_FOUND, "block is not known");
        return false;
    }
    *ret_type = schema_type(node_network(q->node)->preset, ret->fork, "SignedBeaconBlock");
    return true;
}

void api_genesis(const struct request *q, struct answer *a)
{
    const struct network *n = node_network(q->node);

    answer_json(a, json_pack("{s:{s:o, s:o, s:o}}", "data", "genesis_time",
                             json_u64(n->genesis_time), "genesis_validators_root",
                             json_hex(view_of(n->genesis_validators_root, 32)),
                             "genesis_fork_version", json_hex(view_of(n->forks[0].version, 4))));
}

void api_block_root(const struct request *q, struct answer *a)
{
    const struct ssz_type *type;
    struct node_block b;

    if (!find(q, a, &b, &type)) {
        return;
    }
    answer_json(a, json_pack("{s:{s:o}, s:b, s:b}", "data", "root", json_hex(view_of(b.root, 32)),
                             "execution_optimistic", 1, "finalized", 0));
    blob_unref(b.ssz);
}

void api_header(const struct request *q, struct answer *a)
{
    const struct ssz_type *type;
    struct node_block b;
    struct ssz_value body;
    uint8_t body_root[32];

    if (!find(q, a, &b, &type)) {
        return;
    }
    struct view v = blob_view(b.ssz);
    if (ssz_get(type, v, "message.body", &body) != E_OK) {
        answer_error(a, MHD_HTTP_INTERNAL_SERVER_ERROR, "block has no body");
        blob_unref(b.ssz);
        return;
    }
    ssz_root(body.type, body.bytes, body_root);
    json_t *message =
        json_pack("{s:o, s:o, s:o, s:o, s:o}", "slot", json_u64(ssz_u64(type, v, "message.slot")),
                  "proposer_index", json_u64(ssz_u64(type, v, "message.proposer_index")),
                  "parent_root", json_hex(ssz_bytes(type, v, "message.parent_root")), "state_root",
                  json_hex(ssz_bytes(type, v, "message.state_root")), "body_root",
                  json_hex(view_of(body_root, 32)));
    answer_json(a, json_pack("{s:{s:o, s:b, s:{s:o, s:o}}, s:b, s:b}", "data", "root",
                             json_hex(view_of(b.root, 32)), "canonical", b.canonical, "header",
                             "message", message, "signature",
                             json_hex(ssz_bytes(type, v, "signature")), "execution_optimistic", 1,
                             "finalized", 0));
    blob_unref(b.ssz);
}

static enum err block_json(const struct node_block *b, const struct ssz_type *type,
                           struct answer *a)
{
    static const char head[] = "{\"execution_optimistic\":true,\"finalized\":false,\"version\":\"";
    static const char middle[] = "\",\"data\":";

    TRY(buf_append(&a->body, head, sizeof head - 1));
    TRY(buf_append_view(&a->body, view_str(fork_name(b->fork))));
    TRY(buf_append(&a->body, middle, sizeof middle - 1));
    TRY(ssz_to_json(type, blob_view(b->ssz), &a->body));
    return buf_append(&a->body, "}", 1);
}

void api_block(const struct request *q, struct answer *a)
{
    const struct ssz_type *type;
    struct node_block b;
    enum err e;

    if (!find(q, a, &b, &type)) {
        return;
    }
    a->version = fork_name(b.fork);
    a->type = q->wants_ssz ? "application/octet-stream" : "application/json";
    e = q->wants_ssz ? buf_append_view(&a->body, blob_view(b.ssz)) : block_json(&b, type, a);
    blob_unref(b.ssz);
    if (e != E_OK) {
        buf_clear(&a->body);
        answer_error(a, MHD_HTTP_INTERNAL_SERVER_ERROR, "block is over the answer's maximum");
    }
}
