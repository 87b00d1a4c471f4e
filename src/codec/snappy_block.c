#include <assert.h>
#include <codec/snappy.h>

#include <snappy-c.h>

/*
 * The densest element of the format is a copy with a two-byte offset: three bytes give 64. A
 * declared length over this ratio cannot be met, so it is refused before it sizes an allocation.
 * Spec: google/snappy format_description.txt "2.2.2. Copy with 2-byte offset (10)"
 */
#define EXPANSION_MAX 22u

size_t snappy_max_compressed(size_t n)
{
    return 32 + n + n / 6;
}

enum err snappy_block_length(struct view in, size_t *ret)
{
    size_t n;

    if (in.n == 0 || snappy_uncompressed_length((const char *)in.p, in.n, &n) != SNAPPY_OK) {
        return E_SNAPPY;
    }
    *ret = n;
    return E_OK;
}

enum err snappy_block_open(struct view in, size_t max, struct blob **ret)
{
    size_t n;

    TRY(snappy_block_length(in, &n));
    if (n > max) {
        return E_TOO_LONG;
    }
    if (n / EXPANSION_MAX > in.n) {
        return E_SNAPPY_LENGTH;
    }
    struct blob *b = blob_new(n);
    size_t got = n;

    if (snappy_uncompress((const char *)in.p, in.n, (char *)b->b, &got) != SNAPPY_OK || got != n) {
        blob_unref(b);
        return E_SNAPPY;
    }
    *ret = b;
    return E_OK;
}

struct blob *snappy_block_pack(struct view plain)
{
    struct blob *b = blob_new(snappy_max_compressed_length(plain.n));
    size_t n = b->n;
    const char *p = plain.n == 0 ? "" : (const char *)plain.p;
    snappy_status s = snappy_compress(p, plain.n, (char *)b->b, &n);

    assert(s == SNAPPY_OK); /* it fails only when the output is too small */
    (void)s;
    b->n = (uint32_t)n;
    return b;
}
