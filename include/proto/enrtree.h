/*
 * EIP-1459: lists of node records in DNS, signed as a Merkle tree of TXT records.
 *
 * Spec     EIP-1459 "Node Discovery via DNS"
 * In       enrtree_add(url); the answer to each question: enrtree_answer()
 * Out      enrtree_next_query(): one question at a time, paced; records with each answer
 * Memory   per tree at most ENRTREE_ENTRIES_MAX entries of 80 bytes, ENRTREE_TREES_MAX trees
 *
 * An engine: no I/O, clock, log, callback. A tree is read in random order, so that the first
 * records come soon and not everybody gets the same; its root is asked for again, and a tree that
 * has changed, or could not be read whole, is read anew. Records are handed out as text: whose hash
 * is right, not yet verified.
 */
#ifndef PROTO_ENRTREE_H
#define PROTO_ENRTREE_H

#include <base/bytes.h>
#include <base/clock.h>
#include <base/err.h>
#include <base/rng.h>
#include <crypto/ident.h>

#define ENRTREE_NAME_MAX    254u  /* of DNS, NUL included */
#define ENRTREE_TREES_MAX   8u    /* given and linked: a list links to its sisters, if at all */
#define ENRTREE_ENTRIES_MAX 8192u /* of one tree; the largest in use has about 4000 */
#define ENRTREE_HASH_MIN    12u   /* bytes of keccak-256 that name an entry; 16 in use */
#define ENRTREE_TRIES       3u    /* of one entry that has no answer */

struct enrtree_url { /* enrtree://KEY@DOMAIN */
    uint8_t key[SECP_PUBLIC];
    char domain[ENRTREE_NAME_MAX]; /* lower case */
};

struct enrtree_hash { /* comparable bytewise: unused bytes are zero */
    uint8_t n;
    uint8_t b[32];
};

struct enrtree_root {
    struct enrtree_hash records, links;
    uint64_t seq;
};

/* E_ENRTREE: malformed. */
CHECKED enum err enrtree_url_parse(struct view text, struct enrtree_url *ret);
/* E_ENRTREE; E_CRYPTO_SIGNATURE: not signed by `key`. */
CHECKED enum err enrtree_root_parse(struct view text, const uint8_t key[static SECP_PUBLIC],
                                    struct enrtree_root *ret);
bool enrtree_hash_of(struct view entry, const struct enrtree_hash *want); /* entry has that hash */
/* "enrtree-branch:" and its hashes, none included: `ret` gets `max` at most. E_ENRTREE also for
 * more than that. */
CHECKED enum err enrtree_branch_parse(struct view text, struct enrtree_hash *ret, size_t max,
                                      size_t *ret_n);

struct enrtree_config {
    uint64_t gap_ns;     /* between two questions: 350 ms */
    uint64_t refresh_ns; /* after which a root is asked for again: 30 minutes */
    uint64_t retry_ns;   /* the same after a failure; doubles up to refresh_ns: 15 s */
};

void enrtree_config_default(struct enrtree_config *cfg);

struct enrtree;

struct enrtree *enrtree_new(const struct enrtree_config *cfg, struct rng *rng);
void enrtree_free(struct enrtree *t); /* accepts NULL */
/* E_LIMIT: ENRTREE_TREES_MAX. One that is there already is no error. */
CHECKED enum err enrtree_add(struct enrtree *t, const struct enrtree_url *url, struct now now);

/* The name whose TXT records are wanted now; false while nothing is due or one is under way. */
bool enrtree_next_query(struct enrtree *t, struct now now, char ret_name[static ENRTREE_NAME_MAX]);

enum enrtree_kind {
    ENRTREE_NOTHING, /* a branch, a link, a root that is the same, a failure that is tried again */
    ENRTREE_ROOT,    /* a new root is read: seq */
    ENRTREE_RECORD,  /* text: "enr:..." */
    ENRTREE_FAULT,   /* error, of the domain's root or of an entry that is given up for now */
};

struct enrtree_event {
    enum enrtree_kind kind;
    const char *domain;
    struct view text; /* into the answer */
    uint64_t seq;
    bool done;      /* that was the last entry of its tree: */
    uint32_t count; /* records in it */
    enum err error;
};

/* The answer to the question under way: each text behind its length, be16 (io/port.h); or why
 * there is none. */
void enrtree_answer(struct enrtree *t, struct view texts, enum err e, struct now now,
                    struct enrtree_event *ret);
uint64_t enrtree_deadline(const struct enrtree *t); /* of the next question */

#endif
