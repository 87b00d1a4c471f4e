/* The protobuf wire format: fields in, fields out. Unknown fields are the caller's to skip. */
#ifndef CODEC_PB_H
#define CODEC_PB_H

#include <base/buf.h>
#include <base/bytes.h>
#include <base/err.h>

enum pb_wire { PB_VARINT = 0, PB_I64 = 1, PB_LEN = 2, PB_I32 = 5 };

struct pb_field {
    uint32_t number;
    enum pb_wire wire;
    uint64_t u64;      /* PB_VARINT, PB_I64, PB_I32 */
    struct view bytes; /* PB_LEN */
};

/* The next field of a message: *ret_more false at its end. E_PROTOBUF when malformed (groups,
 * field number 0, cut values). */
CHECKED enum err pb_next(struct rd *r, struct pb_field *ret, bool *ret_more);

void pb_put_varint(struct wr *w, uint32_t number, uint64_t x);
void pb_put_bytes(struct wr *w, uint32_t number, struct view v);
/* Only the head of a length-delimited field; n bytes must follow. */
void pb_put_head(struct wr *w, uint32_t number, size_t n);
size_t pb_bytes_size(uint32_t number, size_t n); /* whole field */
size_t pb_varint_size(uint32_t number, uint64_t x);

#endif
