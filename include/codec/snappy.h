/*
 * snappy: the block format (gossip; libsnappy) and the framing format (req/resp; written here).
 * Spec: google/snappy format_description.txt, framing_format.txt
 */
#ifndef CODEC_SNAPPY_H
#define CODEC_SNAPPY_H

#include <base/blob.h>
#include <base/buf.h>
#include <base/bytes.h>
#include <base/err.h>

/* consensus-specs: max_compressed_len(n) = 32 + n + n / 6 */
size_t snappy_max_compressed(size_t n);

/* ---- block ---- */
/* Declared length only; E_SNAPPY when the preamble is malformed. */
CHECKED enum err snappy_block_length(struct view in, size_t *ret);
/* Decompress into a new blob; E_TOO_LONG when the declared length exceeds max: nothing is
 * allocated then. Trailing or missing bytes are E_SNAPPY. */
CHECKED enum err snappy_block_open(struct view in, size_t max, struct blob **ret);
struct blob *snappy_block_pack(struct view plain);

/* ---- framing ---- */
uint32_t crc32c(struct view v);
/* One whole stream (identifier and frames) of `plain`, appended to out. */
CHECKED enum err snappy_frames_pack(struct view plain, struct buf *out);

/* Incremental reader of one stream of exactly `want` plain bytes. */
struct snappy_reader {
    struct buf frame;     /* a frame that is not whole yet */
    size_t want, got;     /* plain bytes */
    size_t eaten, eat_max; /* compressed bytes; at most snappy_max_compressed(want) + frame heads */
    bool identified;
};

void snappy_reader_init(struct snappy_reader *s, size_t want);
void snappy_reader_done(struct snappy_reader *s);
/* Take bytes from the front of *in, append plain ones to `out`; *ret_done once `want` are there:
 * *in then stands behind the last frame. E_SNAPPY*, E_TOO_LONG are final. want 0: done at once,
 * a stream identifier in front is taken when it is there. */
CHECKED enum err snappy_reader_feed(struct snappy_reader *s, struct view *in, struct buf *out,
                                    bool *ret_done);

#endif
