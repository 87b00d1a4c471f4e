/* Answers made of SSZ values, as JSON or as they are. Private to src/api. */
#ifndef API_OBJECTS_H
#define API_OBJECTS_H

#include "api_internal.h"

#include <eth/network.h>
#include <eth/schema.h>
#include <node/node.h>

/* What an answer says beside its data. */
struct envelope {
    bool has_fork; /* "version", and the header Eth-Consensus-Version */
    enum fork fork;
    bool has_block; /* "execution_optimistic", "finalized" */
    bool finalized;
};

/* A single value. */
void answer_object(const struct request *q, struct answer *a, const struct envelope *e,
                   const struct ssz_type *type, struct blob *ssz);
/* Several of one type: JSON's array, or SSZ's list. type NULL: bytes of one length. */
void answer_objects(const struct request *q, struct answer *a, const struct envelope *e,
                    const struct ssz_type *type, struct blob *const *all, size_t n);

/* blocks.c: the block that {id} names; false after 400 or 404. */
bool block_find(const struct request *q, struct answer *a, struct node_block *ret);
/* The same with its bytes, the caller's to unref; false, too, while they are read. */
bool block_read(const struct request *q, struct answer *a, struct node_block *ret,
                struct blob **ret_ssz);
const struct ssz_type *block_type(const struct request *q, const struct node_block *b);
struct envelope block_envelope(const struct node_block *b);

#endif
