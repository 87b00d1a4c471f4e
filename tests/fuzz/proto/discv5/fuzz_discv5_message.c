/* Any bytes as a message: what decodes, encodes and decodes to the same again. */
#include "../../../../src/proto/discv5/message.h"

#include <assert.h>

static void check_same(const struct message *a, const struct message *b)
{
    assert(a->type == b->type && a->id_n == b->id_n && memcmp(a->id, b->id, a->id_n) == 0);
    assert(a->enr_seq == b->enr_seq && addr_eq(&a->addr, &b->addr) && a->total == b->total);
    assert(a->distances_n == b->distances_n);
    assert(memcmp(a->distances, b->distances, sizeof a->distances) == 0);
    assert(view_eq(a->records, b->records) && view_eq(a->protocol, b->protocol) &&
           view_eq(a->payload, b->payload));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static uint8_t out[8192];
    struct wr w = wr_of(out, sizeof out);
    struct message m, again;

    if (n > 1280 || d5_message_decode(view_of(p, n), &m) != E_OK) {
        return 0;
    }
    assert(m.distances_n <= DISTANCES_MAX && m.id_n <= REQUEST_ID_MAX);
    d5_message_put(&w, &m);
    assert(!w.bad);
    /* To the byte, but for repeated distances and IPv4 in IPv6's clothes. */
    assert(wr_len(&w) == n || m.type == MSG_FINDNODE ||
           (m.type == MSG_PONG && m.addr.family == 4 && wr_len(&w) + 12 == n));
    assert(d5_message_decode(wr_view(&w), &again) == E_OK);
    check_same(&m, &again);
    return 0;
}
