/* A request's body as SSZ objects of one type, each checked. Private to src/api. */
#ifndef API_DECODE_H
#define API_DECODE_H

#include "later.h"

#include <base/blob.h>
#include <ssz/ssz.h>

#define DECODED_MAX   8192u /* of one request: all validators of a large operator in a slot */
#define DECODED_FAULT 160u

struct decoded_one {
    struct blob *ssz;  /* NULL: it is wrong */
    const char *fault; /* why; the decoder's own */
};

enum body_shape {
    BODY_ONE,
    BODY_LIST,
    BODY_BLOCK, /* a block, or one within SignedBlockContents */
};

struct decoded {
    struct later later; /* first */
    struct buf body;    /* its own copy */
    bool is_ssz;
    enum body_shape shape;
    const struct ssz_type *type;
    struct decoded_one *all;
    size_t n;
    char fault[DECODED_FAULT]; /* of the whole; "": none */
    bool has_blobs;            /* BODY_BLOCK: contents that have some */
    unsigned kind;             /* the caller's */
};

/* `finish` is called with what has become of the body, whose bytes are copied. */
void decode_body(const struct request *q, struct answer *a, enum body_shape shape,
                 const struct ssz_type *type, unsigned kind,
                 void (*finish)(struct later *self, const struct request *q, struct answer *a));

#endif
