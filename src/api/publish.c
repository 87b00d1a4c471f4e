/*
 * Publishing: what validators and users post goes into gossip once our own checks have seen it.
 *
 * A subnet follows from a state, which is not here. Attestations find theirs by the number of
 * committees that beacon_committee_subscriptions told of their epoch, or by ?subnet=; sync
 * committee messages by ?subnets=.
 */
#include "decode.h"

#include <eth/network.h>
#include <eth/slot_clock.h>
#include <eth/subnet.h>
#include <eth/topic.h>
#include <node/node.h>
#include <stdio.h>

#define SUBNETS_AT_ONCE 8u

#define NO_VERSION "the header Eth-Consensus-Version must name a fork"

/* The fork that the caller says. */
static bool read_fork(const struct request *q, enum fork *ret)
{
    const char *text = request_header(q, "Eth-Consensus-Version");

    return text != NULL && fork_by_name(view_str(text), ret);
}

/* ---- one object ---- */

/* NULL: it is on its way. */
static const char *submit(const struct request *q, enum topic_kind kind, uint32_t subnet,
                          const struct fork_span *span, struct view ssz, bool *ret_waits)
{
    const char *why = NULL;
    struct topic t;
    enum err e = topic_make(node_network(q->node), span, kind, subnet, &t);

    if (e == E_OK) {
        e = node_submit(q->node, &t, ssz, q->now, &why);
    }
    *ret_waits = e == E_NOT_FOUND;
    if (e == E_OK || e == E_NOT_FOUND || e == E_EXISTS) {
        return NULL;
    }
    return e == E_GOSSIP_REJECT ? why : err_text(e);
}

/* ---- blocks ---- */

static void finish_block(struct later *self, const struct request *q, struct answer *a)
{
    struct decoded *d = (struct decoded *)self;
    const struct network *n = node_network(q->node);
    const char *wrong = d->fault[0] != '\0' ? d->fault : d->all[0].fault;
    bool waits;

    if (wrong != NULL) {
        answer_errorf(a, MHD_HTTP_BAD_REQUEST, "not a block of %s: %s",
                      fork_name((enum fork)d->kind), wrong);
        return;
    }
    struct view ssz = blob_view(d->all[0].ssz);
    uint64_t slot = ssz_u64(d->type, ssz, "message.slot");
    if (network_fork_at_slot(n, slot) != (enum fork)d->kind) {
        answer_errorf(a, MHD_HTTP_BAD_REQUEST, "slot %llu is not of the fork %s",
                      (unsigned long long)slot, fork_name((enum fork)d->kind));
        return;
    }
    if (d->has_blobs) {
        answer_error(a, MHD_HTTP_BAD_REQUEST,
                     "blobs cannot be published: their columns take KZG, which is not here");
        return;
    }
    wrong = submit(q, TOPIC_beacon_block, TOPIC_SINGLE, network_span_at_slot(n, slot), ssz, &waits);
    if (wrong != NULL) {
        answer_errorf(a, MHD_HTTP_BAD_REQUEST, "the block is refused: %s", wrong);
    } else {
        a->status = waits ? MHD_HTTP_ACCEPTED : MHD_HTTP_OK;
    }
}

void api_publish_block(const struct request *q, struct answer *a)
{
    const char *level = request_query(q, "broadcast_validation");
    enum fork fork;

    if (level != NULL && strcmp(level, "gossip") != 0) {
        answer_error(a, MHD_HTTP_BAD_REQUEST, "broadcast_validation can only be gossip here");
    } else if (!read_fork(q, &fork)) {
        answer_error(a, MHD_HTTP_BAD_REQUEST, NO_VERSION);
    } else {
        decode_body(q, a, BODY_BLOCK,
                    schema_type(node_network(q->node)->preset, fork, "SignedBeaconBlock"), fork,
                    finish_block);
    }
}

/* ---- all other objects ---- */

struct subnets {
    uint32_t all[SUBNETS_AT_ONCE];
    size_t n;
};

static bool add_subnet(void *self, struct view text)
{
    struct subnets *s = self;
    uint64_t x;

    if (s->n == SUBNETS_AT_ONCE || !u64_parse(text, &x) || x >= TOPIC_SINGLE) {
        return false;
    }
    s->all[s->n++] = (uint32_t)x;
    return true;
}

static const char *attestation_subnet(const struct request *q, const struct ssz_type *t,
                                      struct view ssz, struct subnets *ret)
{
    const struct network *n = node_network(q->node);
    uint64_t slot = ssz_u64(t, ssz, "data.slot");
    uint64_t index = ssz_has_field(t, "committee_index") ? ssz_u64(t, ssz, "committee_index")
                                                         : ssz_u64(t, ssz, "data.index");
    uint64_t committees = duties_committees(api_duties(q->api), epoch_of_slot(n, slot));

    if (committees == 0) {
        return "its subnet is not known: post beacon_committee_subscriptions first, or say "
               "?subnet=";
    }
    if (index >= committees) {
        return "its committee is not among those of its slot";
    }
    *ret = (struct subnets){.all = {(uint32_t)subnet_for_attestation(n, committees, slot, index)},
                            .n = 1};
    return NULL;
}

/* NULL, or why there is none. */
static const char *subnets_of(const struct request *q, enum topic_kind kind,
                              const struct ssz_type *t, struct view ssz, struct subnets *ret)
{
    *ret = (struct subnets){.all = {TOPIC_SINGLE}, .n = 1};
    if (kind != TOPIC_beacon_attestation && kind != TOPIC_sync_committee) {
        return NULL;
    }
    ret->n = 0;
    if (!request_each(q, kind == TOPIC_sync_committee ? "subnets" : "subnet", add_subnet, ret)) {
        return "subnets are small decimal numbers";
    }
    if (ret->n != 0) {
        return NULL;
    }
    return kind == TOPIC_beacon_attestation
               ? attestation_subnet(q, t, ssz, ret)
               : "its subnets follow from a state, which is not here: say ?subnets=";
}

static const char *submit_all(const struct request *q, const struct decoded *d, struct view ssz)
{
    const struct network *n = node_network(q->node);
    const struct fork_span *span = network_span_at(n, epoch_now(n, q->now.wall_ns));
    enum topic_kind kind = (enum topic_kind)d->kind;
    struct subnets s;
    const char *wrong = subnets_of(q, kind, d->type, ssz, &s);
    bool waits;

    for (size_t i = 0; wrong == NULL && i < s.n; i++) {
        wrong = submit(q, kind, s.all[i], span, ssz, &waits);
    }
    return wrong;
}

/* A list's error has room for one of each object. */
static void answer_refused(struct answer *a, enum body_shape shape, const char *why,
                           json_t *failures)
{
    if (shape == BODY_LIST) {
        a->status = MHD_HTTP_BAD_REQUEST;
        answer_json(a, json_pack("{s:i, s:o, s:O}", "code", (int)a->status, "message",
                                 json_plain(why), "failures", failures));
    } else {
        answer_error(a, MHD_HTTP_BAD_REQUEST, why);
    }
}

static void finish_objects(struct later *self, const struct request *q, struct answer *a)
{
    struct decoded *d = (struct decoded *)self;
    json_t *failures = json_array();
    const char *first = NULL;

    for (size_t i = 0; i < d->n && d->fault[0] == '\0'; i++) {
        const char *wrong = d->all[i].fault;

        if (wrong == NULL) {
            wrong = submit_all(q, d, blob_view(d->all[i].ssz));
        }
        if (wrong != NULL) {
            first = first == NULL ? wrong : first;
            json_array_append_new(failures, json_pack("{s:I, s:o}", "index", (json_int_t)i,
                                                      "message", json_plain(wrong)));
        }
    }
    if (d->fault[0] != '\0') {
        answer_refused(a, d->shape, d->fault, failures);
    } else if (first != NULL) {
        answer_refused(a, d->shape, first, failures);
    }
    json_decref(failures);
}

static void publish(const struct request *q, struct answer *a, enum topic_kind kind,
                    enum body_shape shape, bool versioned)
{
    const struct network *n = node_network(q->node);
    const struct fork_span *span = network_span_at(n, epoch_now(n, q->now.wall_ns));
    bool has_subnets = topic_count(n, span, kind) > 1;
    enum fork fork = span->fork;
    struct topic t;
    char why[80] = "";

    if (versioned && !read_fork(q, &fork)) {
        snprintf(why, sizeof why, NO_VERSION);
    } else if (fork != span->fork) {
        snprintf(why, sizeof why, "the fork of now is %s", fork_name(span->fork));
    } else if (topic_make(n, span, kind, has_subnets ? 0 : TOPIC_SINGLE, &t) != E_OK) {
        snprintf(why, sizeof why, "there are no such objects in %s", fork_name(span->fork));
    }
    if (why[0] != '\0') {
        json_t *none = json_array();

        answer_refused(a, shape, why, none);
        json_decref(none);
        return;
    }
    decode_body(q, a, shape, t.type, kind, finish_objects);
}

/* Whether Eth-Consensus-Version is required, as the published description has it. */
#define PUBLISH(handler, topic, shape, versioned)           \
    void handler(const struct request *q, struct answer *a) \
    {                                                       \
        publish(q, a, TOPIC_##topic, shape, versioned);     \
    }

PUBLISH(api_publish_attestations, beacon_attestation, BODY_LIST, true)
PUBLISH(api_publish_aggregates, beacon_aggregate_and_proof, BODY_LIST, true)
PUBLISH(api_publish_sync_messages, sync_committee, BODY_LIST, false)
PUBLISH(api_publish_contributions, sync_committee_contribution_and_proof, BODY_LIST, false)
PUBLISH(api_publish_bls_changes, bls_to_execution_change, BODY_LIST, false)
PUBLISH(api_publish_exit, voluntary_exit, BODY_ONE, false)
PUBLISH(api_publish_proposer_slashing, proposer_slashing, BODY_ONE, false)
PUBLISH(api_publish_attester_slashing, attester_slashing, BODY_ONE, true)
PUBLISH(api_publish_payload_attestations, payload_attestation_message, BODY_LIST, true)
PUBLISH(api_publish_bid, execution_payload_bid, BODY_ONE, true)
PUBLISH(api_publish_envelope, execution_payload, BODY_ONE, true)
PUBLISH(api_publish_preferences, proposer_preferences, BODY_LIST, true)
