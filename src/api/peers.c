/* The API's peers: the Beacon API's list with its optional fields on scores and drops. */
#include "api_internal.h"

#include <node/peers.h>

static const char *const state_names[] = {
    [PEER_DISCONNECTED] = "disconnected",
    [PEER_CONNECTING] = "connecting",
    [PEER_CONNECTED] = "connected",
    [PEER_DISCONNECTING] = "disconnecting",
};

/* ---- scores and drops ----
 * Spec: ethereum/beacon-APIs pull request 606: agent_version, score, disconnect_reason,
 * downscore_reasons; words that it has no better one for are "unknown". */

static const char *disconnect_reason(const struct node_peer *p)
{
    static const struct {
        uint64_t code; /* of a goodbye */
        const char *word;
    } codes[] = {{1, "client_shutdown"}, {2, "irrelevant_network"}, {3, "io_error"},
                 {128, "unviable_fork"}, {129, "too_many_peers"},   {250, "bad_score"},
                 {251, "bad_score"},     {252, "bad_score"}};

    static const struct {
        enum err e;
        const char *word;
    } errors[] = {{E_CLOSED, "io_error"}, {E_RESET, "io_error"},       {E_UNRESPONSIVE, "io_error"},
                  {E_IO, "io_error"},     {E_QUIC_CLOSED, "io_error"}, {E_QUIC_IDLE, "io_error"},
                  {E_DIAL, "io_error"}};

    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (p->end_code == codes[i].code) {
            return codes[i].word;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if (p->end_why == errors[i].e) {
            return errors[i].word;
        }
    }
    return "unknown";
}

static const char *downscore_reason(enum err e)
{
    const char *name = err_table[e].name;

    return e == E_TIMEOUT || e == E_NEGOTIATION_TIMEOUT ? "rpc_timeout"
           : e == E_RATE                                ? "rpc_rate_limited"
           : e == E_IO || e == E_RESET                  ? "rpc_io_error"
           : strncmp(name, "E_REQRESP_", 10) == 0 || strncmp(name, "E_SSZ_", 6) == 0 ||
                   strncmp(name, "E_SNAPPY", 8) == 0 || strncmp(name, "E_BLOCK_", 8) == 0
               ? "rpc_invalid_response"
               : "unknown";
}

static json_t *downscore_reasons(const struct node_peer *p)
{
    json_t *list = json_array();

    for (unsigned e = 0; e < ERR_COUNT; e++) {
        const char *word = downscore_reason((enum err)e);
        bool there = (p->downscored[e / 64] >> e % 64 & 1) == 0;

        for (size_t i = 0; i < json_array_size(list); i++) {
            there |= strcmp(json_string_value(json_array_get(list, i)), word) == 0;
        }
        if (!there) {
            json_array_append_new(list, json_string(word));
        }
    }
    return list;
}

/* ---- peers ---- */

json_t *json_address(enum transport_kind kind, const struct addr *at)
{
    char text[MULTIADDR_TEXT_MAX];
    struct multiaddr m;

    if (at->family == 0) {
        return json_string("");
    }
    multiaddr_of(kind == TRANSPORT_NONE ? TRANSPORT_TCP : kind, at, NULL, &m);
    return json_string(multiaddr_text(&m, text, sizeof text) == E_OK ? text : "");
}

json_t *json_rating(const struct rating *r, struct now now)
{
    json_t *parts = json_object();

    for (unsigned i = 0; i < RATING_PARTS; i++) {
        json_object_set_new(parts, rating_rows[i].name,
                            json_real(rating_part_at(r, (enum rating_part)i, now)));
    }
    return parts;
}

json_t *peer_json(const struct node_peer *p, struct now now)
{
    char id[PEER_ID_TEXT_MAX], enr[ENR_TEXT_MAX];
    json_t *j = json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:o, s:b, s:b, s:o}",
                          "peer_id", peer_id_text(&p->id, id), "enr",
                          p->enr == NULL ? json_null() : json_string(enr_text(p->enr, enr)),
                          "last_seen_p2p_address", json_address(p->transport, &p->addr), "state",
                          state_names[p->state], "direction", p->outbound ? "outbound" : "inbound",
                          "source", p->source, "agent", p->agent, "why", p->why, "score",
                          rating_at(p->rating, now), "gossip_score", p->score, "rating",
                          json_rating(p->rating, now), "trusted", p->trusted, "static",
                          p->is_static, "head_slot", json_u64(p->head_slot));
    bool ended = p->state == PEER_DISCONNECTED || p->state == PEER_DISCONNECTING;

    if (p->agent[0] != '\0') {
        json_object_set_new(j, "agent_version", json_string(p->agent));
    }
    if (ended && (p->end_why != E_OK || p->end_code != 0)) {
        json_object_set_new(j, "disconnect_reason", json_string(disconnect_reason(p)));
    }
    json_object_set_new(j, "downscore_reasons", downscore_reasons(p));
    return j;
}

struct filter { /* the query names values, each one of `all` */
    const char *const *all;
    size_t n_all;
    uint32_t chosen; /* bits; 0: none is named, all fit */
};

static bool choose(void *self, struct view value)
{
    struct filter *f = self;

    for (size_t i = 0; i < f->n_all; i++) {
        if (view_eq(value, view_str(f->all[i]))) {
            f->chosen |= UINT32_C(1) << i;
            return true;
        }
    }
    return false;
}

static bool fits(const struct filter *f, unsigned i)
{
    return f->chosen == 0 || (f->chosen >> i & 1) != 0;
}

void api_peers(const struct request *q, struct answer *a)
{
    static const char *const directions[] = {"inbound", "outbound"};
    struct filter state = {.all = state_names, .n_all = ARRAY_LEN(state_names)};
    struct filter direction = {.all = directions, .n_all = ARRAY_LEN(directions)};
    struct node_peer p;
    uint32_t at = 0;

    if (!request_each(q, "state", choose, &state) ||
        !request_each(q, "direction", choose, &direction)) {
        answer_error(a, MHD_HTTP_BAD_REQUEST,
                     "state is disconnected, connecting, connected or disconnecting; direction is "
                     "inbound or outbound");
        return;
    }
    json_t *list = json_array();
    while (node_next_peer(q->node, &at, &p)) {
        if (fits(&state, p.state) && fits(&direction, p.outbound)) {
            json_array_append_new(list, peer_json(&p, q->now));
        }
    }
    json_int_t count = (json_int_t)json_array_size(list);
    answer_json(a, json_pack("{s:o, s:{s:I}}", "data", list, "meta", "count", count));
}

void api_peer(const struct request *q, struct answer *a)
{
    struct peer_id id;
    struct node_peer p;

    if (peer_id_parse(view_str(q->id), &id) != E_OK) {
        answer_error(a, MHD_HTTP_BAD_REQUEST, "not a peer id");
    } else if (!node_find_peer(q->node, &id, &p)) {
        answer_error(a, MHD_HTTP_NOT_FOUND, "peer is not known");
    } else {
        answer_json(a, json_pack("{s:o}", "data", peer_json(&p, q->now)));
    }
}

void api_peer_count(const struct request *q, struct answer *a)
{
    uint64_t count[ARRAY_LEN(state_names)] = {0};
    json_t *data = json_object();
    struct node_peer p;
    uint32_t at = 0;

    while (node_next_peer(q->node, &at, &p)) {
        count[p.state]++;
    }
    for (size_t i = 0; i < ARRAY_LEN(state_names); i++) {
        json_object_set_new(data, state_names[i], json_u64(count[i]));
    }
    answer_json(a, json_pack("{s:o}", "data", data));
}
