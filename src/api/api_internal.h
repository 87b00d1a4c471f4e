/* One request of the API and its answer. Private to src/api. */
#ifndef API_INTERNAL_H
#define API_INTERNAL_H

#include <api/http.h>

#include <jansson.h>
#include <microhttpd.h>

struct request {
    struct api *api;
    struct node *node;
    struct MHD_Connection *connection;
    const char *id; /* what stands for {id} in the route; NULL: none */
    bool wants_ssz; /* Accept: application/octet-stream is the client's first choice */
};

struct answer { /* filled by a handler */
    unsigned status;
    const char *type; /* of the body */
    struct buf body;
    const char *version; /* Eth-Consensus-Version; NULL: none */
};

/* A handler fills the answer; it cannot fail: errors are answers. */
typedef void api_handler(const struct request *q, struct answer *a);

api_handler api_identity, api_peers, api_peer, api_peer_count, api_version, api_health, api_syncing;
api_handler api_discovery;
api_handler api_genesis, api_header, api_block, api_block_root, api_metrics;

/* {"data": ...} with further members of `root`; takes both references. */
void answer_json(struct answer *a, json_t *root);
void answer_error(struct answer *a, unsigned status, const char *message);
const char *request_query(const struct request *q, const char *name); /* NULL: absent */
json_t *json_u64(uint64_t x);                                         /* decimal string */
json_t *json_hex(struct view v);                                      /* "0x..." */
struct metrics *api_metrics_of(const struct api *a);
const char *api_version_of(const struct api *a);

#endif
