/* The API under /eth, part beacon: headers and blocks, and the heads of branches. */
#include "objects.h"

#include <codec/base.h>

#define HEADERS_MAX 64u /* of one answer: branches of one slot, or children of one block */

bool block_find(const struct request *q, struct answer *a, struct node_block *ret)
{
    enum err e = node_find_block(q->node, q->id, ret);

    if (e == E_INVALID) {
        answer_error(a, MHD_HTTP_BAD_REQUEST,
                     "block id is head, genesis, finalized, a slot or a 0x root");
    } else if (e != E_OK) {
        answer_error(a, MHD_HTTP_NOT_FOUND, "block is not known");
    }
    return e == E_OK;
}

bool block_read(const struct request *q, struct answer *a, struct node_block *ret,
                struct blob **ret_ssz)
{
    if (!block_find(q, a, ret)) {
        return false;
    }
    *ret_ssz = request_object(q, STORE_BLOCK, ret->root, 0);
    if (*ret_ssz == NULL) {
        answer_error(a, MHD_HTTP_NOT_FOUND, "block is not known");
    }
    return *ret_ssz != NULL;
}

const struct ssz_type *block_type(const struct request *q, const struct node_block *b)
{
    return schema_type(node_network(q->node)->preset, b->fork, "SignedBeaconBlock");
}

struct envelope block_envelope(const struct node_block *b)
{
    return (struct envelope){
        .has_fork = true, .fork = b->fork, .has_block = true, .finalized = b->finalized};
}

void api_block_root(const struct request *q, struct answer *a)
{
    struct node_block b;

    if (block_find(q, a, &b)) {
        answer_json(a,
                    json_pack("{s:{s:o}, s:b, s:b}", "data", "root", json_hex(view_of(b.root, 32)),
                              "execution_optimistic", 1, "finalized", (int)b.finalized));
    }
}

void api_block(const struct request *q, struct answer *a)
{
    struct node_block b;
    struct blob *ssz;

    if (block_read(q, a, &b, &ssz)) {
        struct envelope e = block_envelope(&b);

        answer_object(q, a, &e, block_type(q, &b), ssz);
        blob_unref(ssz);
    }
}

void api_block_attestations(const struct request *q, struct answer *a)
{
    struct ssz_value list;
    struct node_block b;
    struct blob *ssz;

    if (!block_read(q, a, &b, &ssz)) {
        return;
    }
    struct envelope e = block_envelope(&b);
    if (ssz_get(block_type(q, &b), blob_view(ssz), "message.body.attestations", &list) == E_OK) {
        struct blob *bytes = blob_copy(list.bytes);
        answer_object(q, a, &e, list.type, bytes);
        blob_unref(bytes);
    }
    blob_unref(ssz);
}

/* ---- headers ---- */

static json_t *header_json(const struct node_block *b, const struct ssz_type *type, struct view v)
{
    struct ssz_value body;
    uint8_t body_root[32] = {0};

    if (ssz_get(type, v, "message.body", &body) == E_OK) { /* every fork's block has one */
        ssz_root(body.type, body.bytes, body_root);
    }
    json_t *message =
        json_pack("{s:o, s:o, s:o, s:o, s:o}", "slot", json_u64(ssz_u64(type, v, "message.slot")),
                  "proposer_index", json_u64(ssz_u64(type, v, "message.proposer_index")),
                  "parent_root", json_hex(ssz_bytes(type, v, "message.parent_root")), "state_root",
                  json_hex(ssz_bytes(type, v, "message.state_root")), "body_root",
                  json_hex(view_of(body_root, 32)));
    return json_pack("{s:o, s:b, s:{s:o, s:o}}", "root", json_hex(view_of(b->root, 32)),
                     "canonical", (int)b->canonical, "header", "message", message, "signature",
                     json_hex(ssz_bytes(type, v, "signature")));
}

void api_header(const struct request *q, struct answer *a)
{
    struct node_block b;
    struct blob *ssz;

    if (block_read(q, a, &b, &ssz)) {
        answer_json(a, json_pack("{s:o, s:b, s:b}", "data",
                                 header_json(&b, block_type(q, &b), blob_view(ssz)),
                                 "execution_optimistic", 1, "finalized", (int)b.finalized));
        blob_unref(ssz);
    }
}

static bool read_root(const struct request *q, struct answer *a, const char *name,
                      uint8_t ret[static 32], bool *ret_given)
{
    const char *text = request_query(q, name);
    size_t got;

    *ret_given = text != NULL;
    if (text == NULL || (strncmp(text, "0x", 2) == 0 &&
                         hex_get(view_str(text), ret, 32, &got) == E_OK && got == 32)) {
        return true;
    }
    answer_errorf(a, MHD_HTTP_BAD_REQUEST, "%s is not a 0x root", name);
    return false;
}

void api_headers(const struct request *q, struct answer *a)
{
    uint8_t parent[32], roots[HEADERS_MAX][32];
    char id[2 * 32 + 3];
    struct node_head head;
    bool has_parent;

    node_head(q->node, &head);
    uint64_t slot = head.slot;
    if (!request_u64(q, a, "slot", &slot) || !read_root(q, a, "parent_root", parent, &has_parent)) {
        return;
    }
    bool by_slot = !has_parent || request_query(q, "slot") != NULL;
    size_t n = node_find_blocks(q->node, by_slot ? &slot : NULL, has_parent ? parent : NULL, roots,
                                HEADERS_MAX);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        struct node_block b;

        memcpy(id, "0x", 2);
        hex_put(view_of(roots[i], 32), id + 2);
        struct blob *ssz = request_object(q, STORE_BLOCK, roots[i], 0);
        if (ssz != NULL && node_find_block(q->node, id, &b) == E_OK) {
            json_array_append_new(list, header_json(&b, block_type(q, &b), blob_view(ssz)));
        }
        blob_unref(ssz);
    }
    answer_json(
        a, json_pack("{s:b, s:b, s:o}", "execution_optimistic", 1, "finalized", 0, "data", list));
}

void api_heads(const struct request *q, struct answer *a)
{
    json_t *list = json_array();
    uint8_t root[32];
    uint64_t slot;
    uint32_t at = 0;

    while (node_next_tip(q->node, &at, root, &slot)) {
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:b}", "root", json_hex(view_of(root, 32)),
                                        "slot", json_u64(slot), "execution_optimistic", 1));
    }
    answer_json(a, json_pack("{s:o}", "data", list));
}
