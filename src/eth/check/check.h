/*
 * One message under check: what the rules of a topic read, and how they answer.
 *
 * A topic's function states its rules in the specification's order; the first that fails decides.
 * Rules that need a beacon state are left out; where one of them could have said IGNORE before a
 * rule of ours says REJECT, ours says IGNORE (REJECT_IF_KNOWN).
 */
#ifndef ETH_CHECK_CHECK_H
#define ETH_CHECK_CHECK_H

#include "../topic_private.h"

#include <base/blob.h>
#include <base/map.h>
#include <eth/check.h>
#include <eth/slot_clock.h>

/* What mark functions note of a message: it passed; it passed, and its signatures are good. */
enum mark { MARK_PASSED, MARK_PROVED };

struct check {
    const struct check_input *in;
    struct check_cache *cache;
    const struct network *net;
    const struct topic *topic;
    const struct ssz_type *type;
    struct view data;
    uint64_t now; /* wall, ns */
    uint64_t finalized_slot;
    bool has_finality; /* epoch 0 is no finality: blocks of slot 0 on are welcome */
    bool block_known;  /* the block that the rules ask for was looked up and is there */
    struct check_result *res;
    enum mark mark; /* for mark functions */
};

typedef enum check_verdict check_fn(struct check *c);
typedef void mark_fn(struct check *c);

#define TOPIC(name, since, until, type, subnets, cap, class, weight, first_cap, seen, check) \
    check_fn check;
#define AGAIN TOPIC
#include <eth/topic.def>
#undef TOPIC
#undef AGAIN

struct check check_of(struct check_cache *cache, const struct check_input *in,
                      struct check_result *res);
enum check_verdict check_end(struct check *c, enum check_verdict verdict, const char *reason);

#define IGNORE_IF(condition, reason)                     \
    do {                                                 \
        if (condition) {                                 \
            return check_end(c, CHECK_IGNORE, (reason)); \
        }                                                \
    } while (0)
#define REJECT_IF(condition, reason)                     \
    do {                                                 \
        if (condition) {                                 \
            return check_end(c, CHECK_REJECT, (reason)); \
        }                                                \
    } while (0)
/* A rule that the specification asks after one that needs the block: REJECT only with it. */
#define REJECT_IF_KNOWN(condition, reason)                                               \
    do {                                                                                 \
        if (condition) {                                                                 \
            return check_end(c, c->block_known ? CHECK_REJECT : CHECK_IGNORE, (reason)); \
        }                                                                                \
    } while (0)

/* ---- fields; the paths exist in the topic's type ---- */
uint64_t field_u64(const struct check *c, const char *path);
struct view field_bytes(const struct check *c, const char *path);
uint64_t field_count(const struct check *c, const char *path); /* elements or bits */
struct ssz_value field(const struct check *c, const char *path);
uint64_t bits_set(struct view bits);       /* of a bit vector's bytes */
uint64_t bitlist_set(struct view bitlist); /* bits set, the delimiter not counted */
/* Every bit of `a` is in `b`; both of one length, else false. */
bool bits_within(struct view a, struct view b);

/* The slot that the message is of; SEEN_FOR_EVER where it is of none (exits, slashings). */
uint64_t message_slot(const struct check *c);

/* ---- what was seen ---- */
/* A name for what is seen: 64 bits of a keyed hash. Two of one name are one message in 2^64. */
struct seen_key {
    uint64_t fingerprint;
};

/* The key of the topic's `seen` fields, and whether it was marked. */
struct seen_key seen_key_of(const struct check *c);
bool seen_already(const struct check *c);
struct seen_key seen_key_make(const struct check *c, const void *p, size_t n);
/* `slot` says how long it matters: SEEN_FOR_EVER for what has no slot. */
#define SEEN_FOR_EVER UINT64_MAX
/* The key is closed: by a message whose signatures are good, or by CHECK_UNPROVED_MAX others. */
bool seen_has(const struct check *c, uint64_t slot, struct seen_key key);
/* Note one message of the key, as c->mark says. */
void seen_mark(struct check *c, uint64_t slot, struct seen_key key);
/* Keys that hold a value of their own, not a count. */
void seen_put(struct check *c, uint64_t slot, struct seen_key key, uint64_t value);
bool seen_value(const struct check *c, uint64_t slot, struct seen_key key, uint64_t *ret);
/* Bit fields of accepted aggregates, by what they attest. Only proved ones are kept: a forged one
 * with all bits set would hide the rest. */
bool cover_has(const struct check *c, uint64_t slot, struct seen_key key, struct view bits);
void cover_put(struct check *c, uint64_t slot, struct seen_key key, struct view bits);

/* The light client updates that were forwarded last. */
struct light_seen {
    uint64_t finality_slot, optimistic_slot;
    bool has_finality, has_optimistic, finality_two_thirds;
};
struct light_seen *light_seen(struct check *c);

/* ---- rules that several topics share ---- */
/* Look the block up: false (and IGNORE to come) when it is not known; then wants_block is set. When
 * the caller knows no chain at all it is true with block_known unset. */
bool block_look(struct check *c, const uint8_t root[static 32], struct check_block *ret);

/* Of a sidecar or its header: do the commitments stand in the block's body? */
bool column_proof_holds(const struct check *c);

/* gloas' execution requests under `prefix` ("message.execution_requests.") are over their limits:
 * which. */
bool requests_over(const struct check *c, const char *prefix, const char **ret_reason);

/* Mark functions of topics whose key is their own; others have the row's fields. */
mark_fn mark_attestation, mark_aggregate, mark_contribution, mark_attester_slashing,
    mark_finality_update, mark_optimistic_update, mark_bid, mark_inclusion_list;

#endif
