/* RLP, canonical only: minimal lengths and integers. Spec: ethereum yellow paper appendix B */
#ifndef CODEC_RLP_H
#define CODEC_RLP_H

#include <base/bytes.h>
#include <base/err.h>

struct rlp_item {
    bool is_list;
    struct view body;  /* the string, or the items of the list: walk it with rlp_next() */
    struct view whole; /* with its head */
};

/* Take the first item off `*in`, which moves on E_OK only. E_RLP when malformed or cut; E_MORE when
 * `*in` is empty: the end of a list. */
CHECKED enum err rlp_next(struct view *in, struct rlp_item *ret);
/* An integer: big endian without leading zeros, 0 is empty. E_RLP. */
CHECKED enum err rlp_u64(struct view body, uint64_t *ret);

/* Writers, sticky as struct wr is. A list's body is written first, then rlp_list_end() moves it to
 * make room for its head. */
void rlp_put_bytes(struct wr *w, struct view v);
void rlp_put_u64(struct wr *w, uint64_t x);
size_t rlp_list_begin(struct wr *w); /* a mark */
void rlp_list_end(struct wr *w, size_t mark);

#endif
