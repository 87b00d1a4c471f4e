/*
 * What happens in the node as JSON: topics of the Beacon API's event stream, and our own. Written
 * by hand: at 20,000 events a second a tree of values would cost more than all the rest.
 */
#include "events.h"

#include <base/mem.h>
#include <codec/base.h>
#include <crypto/sha256.h>
#include <eth/schema.h>

#define NAMES 256u /* peers whose ids are at hand as text */

struct event_names {
    struct {
        conn_id conn; /* 0: free */
        char text[PEER_ID_TEXT_MAX];
    } all[NAMES];
};

struct event_names *event_names_new(void)
{
    return mem_zalloc(sizeof(struct event_names));
}

void event_names_free(struct event_names *ns)
{
    mem_free(ns);
}

/* NULL: we, or the connection is gone and nobody remembers it. */
static const char *name_of(struct event_writer *w, conn_id c)
{
    char(*text)[PEER_ID_TEXT_MAX] = &w->names->all[c % NAMES].text;
    struct peer_id id;

    if (c == 0) {
        return NULL;
    }
    if (w->names->all[c % NAMES].conn != c) {
        if (!node_peer_of(w->node, c, &id)) {
            return NULL;
        }
        w->names->all[c % NAMES].conn = c;
        peer_id_text(&id, *text);
    }
    return *text;
}

/* ---- JSON; what does not fit the scratch buffer makes the event too large, and it is left out
 * ---- */

static void put(struct event_writer *w, struct view v)
{
    IGNORE(buf_append_view(&w->scratch, v), "ring_put() refuses what is cut");
}

static void put_text(struct event_writer *w, const char *text)
{
    put(w, view_str(text));
}

static void put_u64(struct event_writer *w, uint64_t x)
{
    char text[20];
    size_t at = sizeof text;

    do {
        text[--at] = (char)('0' + x % 10);
        x /= 10;
    } while (x != 0);
    put(w, view_of(text + at, sizeof text - at));
}

static void put_hex(struct event_writer *w, struct view v)
{
    uint8_t *at;

    if (buf_reserve(&w->scratch, 2 * v.n + 1, &at) == E_OK) {
        hex_put(v, (char *)at);
        buf_commit(&w->scratch, 2 * v.n);
    }
}

/* A string of ours or a remote's: quotes, backslashes and control characters are escaped; what is
 * not ASCII becomes a question mark. */
static void put_string(struct event_writer *w, const char *text)
{
    put_text(w, "\"");
    for (const char *c = text; *c != '\0'; c++) {
        char out[2] = {*c, '\0'};

        if (*c == '"' || *c == '\\') {
            put_text(w, "\\");
        } else if (*c < ' ' || *c > '~') {
            out[0] = '?';
        }
        put_text(w, out);
    }
    put_text(w, "\"");
}

/* ,"key": */
static void key(struct event_writer *w, const char *name)
{
    put_text(w, w->scratch.n == 1 ? "\"" : ",\"");
    put_text(w, name);
    put_text(w, "\":");
}

static void key_string(struct event_writer *w, const char *name, const char *text)
{
    key(w, name);
    if (text == NULL) {
        put_text(w, "null");
    } else {
        put_string(w, text);
    }
}

static void key_number(struct event_writer *w, const char *name, uint64_t x)
{
    key(w, name);
    put_u64(w, x);
}

static void key_u64(struct event_writer *w, const char *name, uint64_t x) /* as the API has it */
{
    key(w, name);
    put_text(w, "\"");
    put_u64(w, x);
    put_text(w, "\"");
}

static void key_hex(struct event_writer *w, const char *name, struct view v)
{
    key(w, name);
    put_text(w, "\"0x");
    put_hex(w, v);
    put_text(w, "\"");
}

static void key_root(struct event_writer *w, const char *name, const uint8_t root[static 32])
{
    key_hex(w, name, view_of(root, 32));
}

static void key_bool(struct event_writer *w, const char *name, bool x)
{
    key(w, name);
    put_text(w, x ? "true" : "false");
}

static bool is_wanted(const struct event_writer *w, enum event_id id)
{
    return (w->wanted >> id & 1) != 0;
}

static void begin(struct event_writer *w)
{
    buf_clear(&w->scratch);
    put_text(w, "{");
}

/* An event that the scratch buffer or the ring is too small for is left out: none is, by far. */
static void publish(struct event_writer *w, enum event_id id)
{
    if (w->scratch.n < w->scratch.max) {
        ring_put(w->ring, id, buf_view(&w->scratch));
    }
}

static void end(struct event_writer *w, enum event_id id)
{
    put_text(w, "}");
    publish(w, id);
}

/* ---- our own ---- */

static void begin_own(struct event_writer *w, enum event_id id, const struct node_event *e)
{
    begin(w);
    key_string(w, "type", event_rows[id].name);
    key_number(w, "t", e->wall_ns);
}

static void key_topic(struct event_writer *w, const struct topic *t)
{
    key(w, "topic");
    if (t == NULL) {
        put_text(w, "null");
        return;
    }
    put_text(w, "\"/eth2/");
    put_hex(w, view_of(t->span->digest, 4));
    put_text(w, "/");
    put_text(w, topic_kind_name(t->kind));
    if (t->subnet != TOPIC_SINGLE) {
        put_text(w, "_");
        put_u64(w, t->subnet);
    }
    put_text(w, "/ssz_snappy\"");
}

static void key_peer(struct event_writer *w, conn_id c)
{
    key_string(w, "peer", name_of(w, c));
}

static void key_id(struct event_writer *w, const struct node_event *e)
{
    key(w, "id");
    if (e->id == NULL) {
        put_text(w, "null");
        return;
    }
    put_text(w, "\"0x");
    put_hex(w, view_of(e->id, GOSSIP_ID_MAX));
    put_text(w, "\"");
}

static void write_message(struct event_writer *w, const struct node_event *e)
{
    begin_own(w, EV_MESSAGE, e);
    key_topic(w, e->topic);
    key_id(w, e);
    key_peer(w, e->conn);
    key_number(w, "size", e->size);
    key_number(w, "ssz_size", e->ssz_size);
    key_string(w, "verdict", e->verdict);
    key_string(w, "why", e->why);
    key_number(w, "waited", e->waited_ns);
    end(w, EV_MESSAGE);
}

static void write_duplicate(struct event_writer *w, const struct node_event *e)
{
    begin_own(w, EV_DUPLICATE, e);
    key_topic(w, e->topic);
    key_id(w, e);
    key_peer(w, e->conn);
    key_number(w, "size", e->size);
    end(w, EV_DUPLICATE);
}

static void write_mesh(struct event_writer *w, const struct node_event *e)
{
    begin_own(w, EV_MESH, e);
    key_topic(w, e->topic);
    key_peer(w, e->conn);
    key_bool(w, "in", e->joined);
    end(w, EV_MESH);
}

static void write_peer(struct event_writer *w, const struct node_event *e)
{
    const struct peer_event *p = e->peer;
    const struct peer_reason_row *row = &peer_reasons[p->reason];
    char id[PEER_ID_TEXT_MAX], addr[ADDR_TEXT_MAX];

    begin_own(w, EV_PEER, e);
    key_string(w, "peer", peer_id_text(&p->peer, id));
    key_string(w, "address", p->addr.family == 0 ? NULL : addr_text(&p->addr, addr));
    key_string(w, "act", peer_act_name(row->act));
    key_string(w, "reason", row->name);
    key_string(w, "error", p->error == E_OK ? NULL : err_table[p->error].name);
    key_string(w, "text", p->text);
    key_string(w, "direction", p->outbound ? "outbound" : "inbound");
    end(w, EV_PEER);
}

static void write_request(struct event_writer *w, const struct node_event *e)
{
    begin_own(w, EV_REQUEST, e);
    key_string(w, "direction", e->outbound ? "outbound" : "inbound");
    key_string(w, "protocol", e->method);
    key_peer(w, e->conn);
    key_number(w, "chunks", e->chunks);
    key_string(w, "error", e->why);
    end(w, EV_REQUEST);
}

static void write_node(struct event_writer *w, const struct node_event *e)
{
    char addr[ADDR_TEXT_MAX], enr[ENR_TEXT_MAX];
    struct addr at;
    bool known = enr_endpoint(e->enr, 4, "udp", &at) || enr_endpoint(e->enr, 6, "udp", &at);

    begin_own(w, EV_DISCOVERY, e);
    key_hex(w, "node", view_of(e->enr->id.b, 32));
    key_number(w, "seq", e->enr->seq);
    key_string(w, "address", known ? addr_text(&at, addr) : NULL);
    key_bool(w, "live", e->live);
    key_string(w, "enr", enr_text(e->enr, enr));
    end(w, EV_DISCOVERY);
}

/* ---- the Beacon API's: the chain ---- */

static void write_block(struct event_writer *w, const struct node_event *e)
{
    begin(w);
    key_u64(w, "slot", e->chain->slot);
    key_root(w, "block", e->chain->root);
    key_bool(w, "execution_optimistic", true);
    end(w, EV_BLOCK);
}

static void put_head(struct event_writer *w, const struct node_chain_event *c)
{
    key_u64(w, "slot", c->slot);
    key_root(w, "block", c->root);
    key_root(w, "state", c->state_root);
    key_bool(w, "epoch_transition", c->epoch_transition);
}

static void write_head(struct event_writer *w, const struct node_event *e)
{
    const struct node_chain_event *c = e->chain;
    enum fork fork = network_fork_at_slot(node_network(w->node), c->slot);

    if (is_wanted(w, EV_HEAD)) {
        begin(w);
        put_head(w, c);
        key_root(w, "previous_duty_dependent_root", c->previous_dependent);
        key_root(w, "current_duty_dependent_root", c->current_dependent);
        key_bool(w, "execution_optimistic", true);
        end(w, EV_HEAD);
    }
    if (!is_wanted(w, EV_HEAD_V2)) {
        return;
    }
    begin(w);
    key_string(w, "version", fork_name(fork));
    put_text(w, ",\"data\":{");
    put_text(w, "\"payload_status\":");
    put_string(w, fork < GLOAS || c->payload_here ? "full" : "empty");
    put_head(w, c);
    key_root(w, "current_epoch_dependent_root", c->previous_dependent);
    key_root(w, "next_epoch_dependent_root", c->current_dependent);
    key_bool(w, "execution_optimistic", true);
    put_text(w, "}");
    end(w, EV_HEAD_V2);
}

static void write_reorg(struct event_writer *w, const struct node_event *e)
{
    const struct node_chain_event *c = e->chain;

    begin(w);
    key_u64(w, "slot", c->slot);
    key_u64(w, "depth", c->depth);
    key_root(w, "old_head_block", c->old_root);
    key_root(w, "new_head_block", c->root);
    key_root(w, "old_head_state", c->old_state_root);
    key_root(w, "new_head_state", c->state_root);
    key_u64(w, "epoch", c->epoch);
    key_bool(w, "execution_optimistic", true);
    end(w, EV_REORG);
}

static void write_final(struct event_writer *w, const struct node_event *e)
{
    begin(w);
    key_root(w, "block", e->chain->root);
    key_root(w, "state", e->chain->state_root);
    key_u64(w, "epoch", e->chain->epoch);
    key_bool(w, "execution_optimistic", true);
    end(w, EV_FINAL);
}

/* ---- the Beacon API's: objects ---- */

typedef void object_writer(struct event_writer *w, enum event_id id, const struct node_event *e);

/* The object itself. */
static void write_plain(struct event_writer *w, enum event_id id, const struct node_event *e)
{
    buf_clear(&w->scratch);
    if (ssz_to_json(e->topic->type, e->ssz, &w->scratch) == E_OK) {
        publish(w, id);
    }
}

/* The attestation that an aggregator signed for. */
static void write_aggregate(struct event_writer *w, enum event_id id, const struct node_event *e)
{
    struct ssz_value a;

    buf_clear(&w->scratch);
    if (ssz_get(e->topic->type, e->ssz, "message.aggregate", &a) == E_OK &&
        ssz_to_json(a.type, a.bytes, &w->scratch) == E_OK) {
        publish(w, id);
    }
}

static void write_versioned(struct event_writer *w, enum event_id id, const struct node_event *e)
{
    begin(w);
    key_string(w, "version", fork_name(e->topic->span->fork));
    key(w, "data");
    if (ssz_to_json(e->topic->type, e->ssz, &w->scratch) == E_OK) {
        end(w, id);
    }
}

static void key_block_root(struct event_writer *w, const char *name, const struct ssz_type *t,
                           struct view ssz, const char *path)
{
    struct ssz_value block;
    uint8_t root[32];

    if (ssz_get(t, ssz, path, &block) == E_OK) {
        ssz_root(block.type, block.bytes, root);
        key_root(w, name, root);
    }
}

static void write_block_gossip(struct event_writer *w, enum event_id id, const struct node_event *e)
{
    begin(w);
    key_u64(w, "slot", ssz_u64(e->topic->type, e->ssz, "message.slot"));
    key_block_root(w, "block", e->topic->type, e->ssz, "message");
    end(w, id);
}

static void write_sidecar(struct event_writer *w, enum event_id id, const struct node_event *e)
{
    const struct ssz_type *t = e->topic->type;
    bool has_header = ssz_has_field(t, "signed_block_header");

    begin(w);
    if (has_header) {
        key_block_root(w, "block_root", t, e->ssz, "signed_block_header.message");
    } else {
        key_hex(w, "block_root", ssz_bytes(t, e->ssz, "beacon_block_root"));
    }
    key_u64(w, "index", ssz_u64(t, e->ssz, "index"));
    key_u64(w, "slot",
            ssz_u64(t, e->ssz, has_header ? "signed_block_header.message.slot" : "slot"));
    if (id == EV_BLOB) {
        struct view commitment = ssz_bytes(t, e->ssz, "kzg_commitment");
        uint8_t hash[32];

        sha256_once(commitment, hash);
        hash[0] = 0x01; /* Spec: specs/deneb/beacon-chain.md "kzg_commitment_to_versioned_hash" */
        key_hex(w, "kzg_commitment", commitment);
        key_root(w, "versioned_hash", hash);
    }
    end(w, id);
}

static void write_payload(struct event_writer *w, enum event_id id, const struct node_event *e)
{
    const struct ssz_type *t = e->topic->type;

    begin(w);
    key_u64(w, "slot", ssz_u64(t, e->ssz, "message.payload.slot_number"));
    key_u64(w, "builder_index", ssz_u64(t, e->ssz, "message.builder_index"));
    key_hex(w, "block_hash", ssz_bytes(t, e->ssz, "message.payload.block_hash"));
    key_hex(w, "block_root", ssz_bytes(t, e->ssz, "message.beacon_block_root"));
    if (id == EV_PAYLOAD) {
        key_bool(w, "execution_optimistic", true);
    }
    end(w, id);
}

/* Which events follow from a message of a topic. From electra on subnets carry single attestations:
 * the topic `attestation` has aggregates then, as before. */
static const struct object_row {
    enum topic_kind topic;
    enum event_id id;
    object_writer *write;
} objects[] = {
    {TOPIC_beacon_block, EV_BLOCK_GOSSIP, write_block_gossip},
    {TOPIC_beacon_attestation, EV_ATTESTATION, write_plain},
    {TOPIC_beacon_attestation, EV_SINGLE_ATTESTATION, write_plain},
    {TOPIC_beacon_aggregate_and_proof, EV_ATTESTATION, write_aggregate},
    {TOPIC_voluntary_exit, EV_VOLUNTARY_EXIT, write_plain},
    {TOPIC_bls_to_execution_change, EV_BLS_CHANGE, write_plain},
    {TOPIC_proposer_slashing, EV_PROPOSER_SLASHING, write_plain},
    {TOPIC_attester_slashing, EV_ATTESTER_SLASHING, write_plain},
    {TOPIC_sync_committee_contribution_and_proof, EV_CONTRIBUTION, write_plain},
    {TOPIC_light_client_finality_update, EV_LIGHT_FINALITY, write_versioned},
    {TOPIC_light_client_optimistic_update, EV_LIGHT_OPTIMISTIC, write_versioned},
    {TOPIC_blob_sidecar, EV_BLOB, write_sidecar},
    {TOPIC_data_column_sidecar, EV_COLUMN, write_sidecar},
    {TOPIC_execution_payload, EV_PAYLOAD_GOSSIP, write_payload},
    {TOPIC_execution_payload, EV_PAYLOAD, write_payload},
    {TOPIC_execution_payload_bid, EV_BID, write_versioned},
    {TOPIC_payload_attestation_message, EV_PAYLOAD_ATTESTATION, write_versioned},
    {TOPIC_proposer_preferences, EV_PREFERENCES, write_versioned},
};

static bool is_right_kind(const struct object_row *row, const struct topic *t)
{
    bool single = ssz_has_field(t->type, "attester_index");

    return row->topic == t->kind && (row->id != EV_ATTESTATION || !single) &&
           (row->id != EV_SINGLE_ATTESTATION || single);
}

static void write_objects(struct event_writer *w, const struct node_event *e)
{
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        if (is_wanted(w, objects[i].id) && is_right_kind(&objects[i], e->topic)) {
            objects[i].write(w, objects[i].id, e);
        }
    }
}

/* ---- all ---- */

static const struct kind_row {
    enum event_id id, second;
    void (*write)(struct event_writer *w, const struct node_event *e);
} kinds[NODE_EVENT_KINDS] = {
    [NODE_EVENT_MESSAGE] = {EV_MESSAGE, EV_MESSAGE, write_message},
    [NODE_EVENT_DUPLICATE] = {EV_DUPLICATE, EV_DUPLICATE, write_duplicate},
    [NODE_EVENT_MESH] = {EV_MESH, EV_MESH, write_mesh},
    [NODE_EVENT_PEER] = {EV_PEER, EV_PEER, write_peer},
    [NODE_EVENT_REQUEST] = {EV_REQUEST, EV_REQUEST, write_request},
    [NODE_EVENT_NODE] = {EV_DISCOVERY, EV_DISCOVERY, write_node},
    [NODE_EVENT_BLOCK] = {EV_BLOCK, EV_BLOCK, write_block},
    [NODE_EVENT_HEAD] = {EV_HEAD, EV_HEAD_V2, write_head},
    [NODE_EVENT_REORG] = {EV_REORG, EV_REORG, write_reorg},
    [NODE_EVENT_FINAL] = {EV_FINAL, EV_FINAL, write_final},
};

void event_write(struct event_writer *w, const struct node_event *e)
{
    if (e->kind == NODE_EVENT_OBJECT) {
        write_objects(w, e);
        return;
    }
    const struct kind_row *row = &kinds[e->kind];
    if (is_wanted(w, row->id) || is_wanted(w, row->second)) {
        row->write(w, e);
    }
}

void event_wishes(uint32_t wanted, struct node_watcher *ret)
{
    ret->wants = ret->wants_objects = 0;
    for (unsigned i = 0; i < NODE_EVENT_KINDS; i++) {
        bool some = i != NODE_EVENT_OBJECT &&
                    ((wanted >> kinds[i].id & 1) != 0 || (wanted >> kinds[i].second & 1) != 0);

        ret->wants |= some ? UINT32_C(1) << i : 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        if ((wanted >> objects[i].id & 1) != 0) {
            ret->wants |= UINT32_C(1) << NODE_EVENT_OBJECT;
            ret->wants_objects |= UINT32_C(1) << objects[i].topic;
        }
    }
}
