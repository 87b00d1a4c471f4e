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
/* Decompress into a new blob. E_TOO_LONG when the declared length exceeds max, E_SNAPPY_LENGTH when
 * it exceeds what so few bytes can expand to: nothing is allocated then. Anything else wrong,
 * trailing or missing bytes too, is E_SNAPPY. */
CHECKED enum err snappy_block_open(struct view in, size_t max, struct blob **ret);
struct blob *snappy_block_pack(struct view plain);

/* ---- framing ---- */
uint32_t crc32c(struct view v);
/* One whole stream (identifier and frames) of `plain`, appended to out. */
CHECKED enum err snappy_frames_pack(struct view plain, struct buf *out);

/*
 * Incremental reader of one stream of exactly `want` plain bytes.
 *
 * Memory: one frame that is cut, 76 KiB at most, grown as its bytes arrive. Frames that lie whole
 * in the input are not copied; skippable ones are never kept.
 */
struct snappy_reader {
    struct buf frame;      /* head and body of a frame that is not whole yet */
    size_t want, got;      /* plain bytes */
    size_t eaten, eat_max; /* compressed bytes; eat_max may be changed before the first feed */
    size_t skip;           /* bytes of a skippable frame still to come */
    bool identified;
};

/* eat_max becomes snappy_max_compressed(want), as req/resp demands. */
void snappy_reader_init(struct snappy_reader *s, size_t want);
void snappy_reader_done(struct snappy_reader *s);
/*
 * Take bytes from the front of *in, append plain ones to `out`; *ret_done once `want` are there:
 * *in then stands behind the last frame. want 0: done at once, nothing is taken; the caller may
 * take a stream identifier (SNAPPY_IDENTIFIER) that follows.
 *
 * Errors, all final: E_SNAPPY E_SNAPPY_CRC; E_SNAPPY_LENGTH more plain bytes than `want`;
 * E_TOO_LONG more than eat_max compressed bytes are needed; E_FULL `out` has no room.
 */
CHECKED enum err snappy_reader_feed(struct snappy_reader *s, struct view *in, struct buf *out,
                                    bool *ret_done);

#define SNAPPY_IDENTIFIER      "\xff\x06\x00\x00sNaPpY"
#define SNAPPY_IDENTIFIER_SIZE 10u

#endif
