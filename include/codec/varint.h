/* Unsigned varint (LEB128), at most 10 bytes. Spec: multiformats/unsigned-varint */
#ifndef CODEC_VARINT_H
#define CODEC_VARINT_H

#include <base/bytes.h>
#include <base/err.h>

#define VARINT_MAX 10u

size_t varint_put(uint64_t x, uint8_t out[static VARINT_MAX]); /* bytes written */
size_t varint_size(uint64_t x);
void wr_varint(struct wr *w, uint64_t x);
uint64_t rd_varint(struct rd *r); /* sticky: bad when truncated or malformed */
/* From the front of `*in`, advanced on E_OK only; E_MORE when cut, E_VARINT when malformed. */
CHECKED enum err varint_take(struct view *in, uint64_t *ret);

#endif
