/*
 * What users and the disk say of peers. Byte 0: 0, a peer's name; 1, a file of peers; 2, a rule on
 * disk behind a byte for its key's size. What is taken means one thing, and what is refused is
 * told.
 */
#include "../../../src/node/node_internal.h"

#include <assert.h>
#include <stdlib.h>

static void name(struct view text)
{
    struct node_who w, again;
    char id[PEER_ID_TEXT_MAX];

    if (node_who_read(text, &w) != E_OK) {
        return;
    }
    assert(w.has_peer + w.has_node + w.has_range + (!w.has_peer && w.addr.n != 0) == 1);
    assert(w.n_addrs <= HOST_RECORD_ADDRS && (w.n_addrs == 0 || w.has_peer));
    assert(!w.has_enr || w.has_peer);
    if (w.has_range) {
        assert(w.range.bits <= (w.range.base.family == 4 ? 32 : 128));
    }
    if (w.has_peer) { /* its id alone names the same */
        assert(node_who_read(view_str(peer_id_text(&w.peer, id)), &again) == E_OK);
        assert(again.has_peer && peer_id_eq(&again.peer, &w.peer));
    }
}

/* A comment at the end changes nothing; a line that is refused is one that is there. */
static void file(struct view text)
{
    static const char comment[] = "\n # the end";
    char fault[NODE_FAULT_MAX] = "";
    struct buf more;
    size_t lines = 1;

    enum err e = orders_check(text, fault);
    for (size_t i = 0; i < text.n; i++) {
        lines += text.p[i] == '\n';
    }
    assert(e == E_OK || strncmp(fault, "line ", 5) == 0);
    assert(e == E_OK || strtoul(fault + 5, NULL, 10) <= lines);
    buf_init(&more, MIB);
    assert(buf_append_view(&more, text) == E_OK);
    assert(buf_append(&more, comment, sizeof comment - 1) == E_OK);
    assert(orders_check(buf_view(&more), fault) == e);
    buf_done(&more);
}

static void rule(struct view bytes)
{
    size_t key = bytes.n == 0 ? 0 : bytes.p[0];
    struct rule r;

    if (bytes.n == 0 || key >= bytes.n ||
        rule_decode(view_of(bytes.p + 1, key), view_skip(bytes, key + 1), &r) != E_OK) {
        return;
    }
    if (r.kind == RULE_RANGE) {
        assert(r.range.bits <= (r.range.base.family == 4 ? 32 : 128) && key == 19);
    } else {
        assert(r.id.n + 1u == key);
    }
    if (r.kind == RULE_WISH) {
        assert((r.wish.kept_by | r.wish.trusted_by) == BY_USER);
        assert(strlen(r.wish.text) + 2 == bytes.n - key - 1);
    } else {
        assert(strlen(r.ban.text) + 18 == bytes.n - key - 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n != 0) {
        struct view rest = view_of(p + 1, n - 1);

        (p[0] % 3 == 0 ? name : p[0] % 3 == 1 ? file : rule)(rest);
    }
    return 0;
}
