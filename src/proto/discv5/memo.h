/*
 * What we remember of node ids that may be strangers': the newest record sequence that was
 * reported, and when a node that did not answer may be asked again. Fixed size, 16 bytes a node;
 * forgetting costs a repeated event or a wasted packet only. Private to discv5.
 */
#ifndef DISCV5_MEMO_H
#define DISCV5_MEMO_H

#include <base/hash.h>
#include <proto/enr.h>

struct memo_entry;

struct memo {
    struct hash_key key;
    uint32_t sets;
    uint32_t turn; /* which way of a full set goes next */
    struct memo_entry *entries;
};

void d5_memo_init(struct memo *m, size_t max, struct hash_key key);
void d5_memo_done(struct memo *m);
/* Whether this sequence of this node is new here; it is not from then on. */
bool d5_memo_is_news(struct memo *m, const struct node_id *id, uint64_t seq);
/* The node did not answer: each time in a row it is left alone for longer. */
void d5_memo_failed(struct memo *m, const struct node_id *id, uint64_t mono_ns);
void d5_memo_answered(struct memo *m, const struct node_id *id);
void d5_memo_forgive(struct memo *m); /* it was our link: every node may be asked */
bool d5_memo_may_ask(const struct memo *m, const struct node_id *id, uint64_t mono_ns);

/*
 * Records that were verified, by a keyed hash of all their bytes: most records that come in were
 * seen before, and checking a signature costs fifty times what everything else about one does.
 */
struct verified_entry;

struct verified {
    struct hash_key key;
    uint32_t sets, turn;
    struct verified_entry *entries;
};

void d5_verified_init(struct verified *v, size_t max, struct hash_key key);
void d5_verified_done(struct verified *v);
/* enr_decode(), cheaper for a record that was here before. */
CHECKED enum err d5_verified_decode(struct verified *v, struct view rlp, struct enr *ret);

#endif
