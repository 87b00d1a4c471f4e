/*
 * Any partial message against a header that is known, or none: a verdict comes; what is accepted
 * can be put into a column, and written again from there gives the same bytes. Any parts metadata
 * that is read is written the same.
 *
 * Byte 0: bit 0: parts metadata; bit 1: the header is known; bit 2: the message is made of the
 * known column, then changed at one place. Bytes 1 on: the message, or what to change.
 */
#include "play_column.h"

#include <assert.h>
#include <base/clock.h>
#include <eth/schema.h>
#include <eth/slot_clock.h>

#define SLOT  9u
#define BLOBS 6u

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct network *net;
static struct topic topic;
static struct buf column;
static struct blob *header;
static uint8_t root[32];

static void begin(void)
{
    struct rng_seeded rng;

    schema_start();
    net = play_fulu();
    rng_seeded_init(&rng, 1);
    buf_init(&column, MIB);
    play_column(net, &rng.base, SLOT, BLOBS, &column);
    play_root(net, buf_view(&column), root);
    header = cells_header_of(buf_view(&column));
    enum err e = topic_make(net, network_span_at(net, 0), TOPIC_data_column_sidecar, 5, &topic);
    assert(e == E_OK);
    (void)e;
}

static void parts(struct view v)
{
    struct cells_parts got;
    struct buf b;

    if (cells_read_parts(net, v, &got) != E_OK) {
        return;
    }
    buf_init(&b, KIB);
    cells_write_parts(&got, &b);
    assert(b.n == v.n && memcmp(b.p, v.p, v.n) == 0);
    buf_done(&b);
}

static void message(struct view v, bool known)
{
    const struct check_chain chain = {.block = NULL};
    const struct check_input in = {.topic = &topic,
                                   .data = v,
                                   .wall_ns = slot_start_ns(net, SLOT) + MILLIS(900),
                                   .chain = &chain};
    struct check_result r = check_cells(&in, root, known ? blob_view(header) : view_of(NULL, 0));
    struct column_set have = {{0, 0}};
    struct buf b;

    assert((r.verdict == CHECK_ACCEPT) == (r.reason == NULL));
    if (r.verdict != CHECK_ACCEPT) {
        return;
    }
    struct view mine = cells_header_in(net, v);
    struct view full = mine.n != 0 ? mine : blob_view(header);
    assert(mine.n != 0 || known); /* cells without a header are never believed */
    struct blob *c = cells_column(full, 5);
    size_t taken = cells_take(net, v, c, &have);
    assert(taken == column_set_count(&have) && taken <= cells_in_header(full));
    if (taken != 0) { /* else the bit field's length says nothing */
        buf_init(&b, MIB);
        cells_write(blob_view(c), &have, cells_in_header(full), mine, &b);
        assert(b.n == v.n && memcmp(b.p, v.p, v.n) == 0);
        buf_done(&b);
    }
    blob_unref(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (net == NULL) {
        begin();
    }
    if (n < 1) {
        return 0;
    }
    if ((p[0] & 1) != 0) {
        parts(view_of(p + 1, n - 1));
    } else if ((p[0] & 4) == 0) {
        message(view_of(p + 1, n - 1), (p[0] & 2) != 0);
    } else if (n >= 6) {
        const struct column_set set = {{p[1] & 63, 0}};
        struct buf b;

        buf_init(&b, MIB);
        cells_write(buf_view(&column), &set, BLOBS,
                    (p[0] & 8) != 0 ? blob_view(header) : view_of(NULL, 0), &b);
        b.p[(size_t)(p[2] | p[3] << 8) % b.n] ^= p[4];
        message(view_of(b.p, b.n - p[5] % b.n), (p[0] & 2) != 0);
        buf_done(&b);
    }
    return 0;
}
