/*
 * Gossip topics: which exist under a fork digest, their names, types, bounds and classes. Rows:
 * eth/topic.def.
 *
 * Spec     consensus-specs specs/phase0/p2p-interface.md "Topics and messages"
 */
#ifndef ETH_TOPIC_H
#define ETH_TOPIC_H

#include <eth/custody.h>
#include <eth/network.h>
#include <eth/schema.h>

enum topic_kind {

#define TOPIC(name, ...) TOPIC_##name,
#define AGAIN(name, ...)
#include <eth/topic.def>
#undef TOPIC
#undef AGAIN
    TOPIC_KIND_COUNT
};

/* Queue class of the topic's messages, most urgent first. */
enum topic_class {
    TOPIC_CLASS_BLOCK,
    TOPIC_CLASS_AGGREGATE,
    TOPIC_CLASS_ATTESTATION,
    TOPIC_CLASS_BULK
};

#define TOPIC_TEXT_MAX    96u        /* "/eth2/8 hex/name_127/ssz_snappy" and its end */
#define TOPIC_SINGLE      UINT32_MAX /* subnet of a topic that has none */
#define TOPICS_WANTED_MAX 320u       /* 64 + 128 + 9 + 4 subnets and the single topics */

/* One topic under one digest, resolved: what its messages are. Const once made; copy freely. */
struct topic {
    enum topic_kind kind;
    uint32_t subnet; /* TOPIC_SINGLE: the name has no number */
    const struct network *network;
    const struct fork_span *span;
    const struct ssz_type *type;
    size_t ssz_min, ssz_max; /* bytes of a decompressed message */
    uint8_t row;             /* of topic.def; private */
};

const char *topic_kind_name(enum topic_kind k); /* "beacon_block", without a number */
bool topic_kind_by_name(struct view name, enum topic_kind *ret);
enum topic_class topic_class(const struct topic *t);
/* Largest data field (compressed) of a message of this topic. */
size_t topic_data_max(const struct topic *t);

/* Topics per kind under a span: 0 when the kind does not exist there, 1 for single ones. */
uint32_t topic_count(const struct network *n, const struct fork_span *s, enum topic_kind k);
/* E_TOPIC: not in this fork, or the subnet is out of range. */
CHECKED enum err topic_make(const struct network *n, const struct fork_span *s, enum topic_kind k,
                            uint32_t subnet, struct topic *ret);
/* "/eth2/8c9f62fe/beacon_block/ssz_snappy". E_TOPIC: malformed or unknown name; E_FORK_DIGEST. */
CHECKED enum err topic_parse(const struct network *n, struct view text, struct topic *ret);
const char *topic_text(const struct topic *t, char out[static TOPIC_TEXT_MAX]);

/* ---- which topics a node wants ---- */
struct topic_wish {
    uint64_t attestation_subnets;     /* bit set: subnets_of_node(), or all */
    uint8_t sync_subnets;             /* bit set */
    struct column_set column_subnets; /* of sampling_columns_of_node(), or all */
    bool light_client;                /* the light client topics */
};

/* What a node of this id subscribes to in `epoch`; `all`: every attestation and sync subnet. */
void topic_wish_of_node(const struct network *n, const uint8_t node_id[static 32], uint64_t epoch,
                        uint64_t custody_group_count, bool all, struct topic_wish *ret);
/* Topics under `s`, in the order of topic.def. Returns their number, TOPICS_WANTED_MAX at most. */
size_t topics_wanted(const struct network *n, const struct fork_span *s, const struct topic_wish *w,
                     struct topic ret[static TOPICS_WANTED_MAX]);

/* ---- scoring ---- */
/* The same fields as struct gossip_topic_score of proto/gossipsub.h has; P3 is off.
 * Spec: libp2p/specs gossipsub-v1.1.md "Topic Parameter Calculation and Decay" */
struct topic_score {
    double weight;
    double time_in_mesh_weight, time_in_mesh_cap;
    uint64_t time_in_mesh_quantum_ns;
    double first_weight, first_decay, first_cap;
    double invalid_weight, invalid_decay;
};

void topic_score(const struct topic *t, struct topic_score *ret);
#define TOPIC_SCORE_CAP 53.75 /* half of (10 + 40) times the sum of the weights */

#endif
