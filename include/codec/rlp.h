/* RLP, canonical only: minimal lengths and integers. Spec: ethereum yellow paper appendix B */
#ifndef CODEC_RLP_H
#define CODEC_RLP_H

#include <base/bytes.h>
#include <base/err.h>

struct rlp_item {
    bool is_list;
    struct view body; /* the string, or the items of the list */
    struct view whole; /* with its head */
};

CHECKED enum err rlp_next(struct view *in, struct rlp_item *ret); /* E_RLP; in empty: E_MORE */
CHECKED enum err rlp_u64(struct view body, uint64_t *ret);        /* minimal big endian */

/* Writers. A list's body is written first with a reserved head, see rlp_list_end(). */
void rlp_put_bytes(struct wr *w, struct view v);
void rlp_put_u64(struct wr *w, uint64_t x);
size_t rlp_list_begin(struct wr *w);             /* a mark */
void rlp_list_end(struct wr *w, size_t mark);    /* moves the body to make room for its head */

#endif
