/* Messages merged one after the other, each behind two bytes of length: the bounds hold, texts are
 * printable, and what names another key is never taken. */
#include <assert.h>
#include <proto/identify.h>

static void check_text(const char *s)
{
    for (; *s != '\0'; s++) {
        assert(*s >= 0x20 && *s < 0x7f);
    }
}

static void check(const struct identify *i, const struct peer_id *peer, bool refused)
{
    assert(i->n_addrs <= IDENTIFY_ADDRS_MAX && i->n_protocols <= IDENTIFY_PROTOCOLS_MAX);
    assert(!i->has_key || refused || peer_id_eq(&i->key_peer, peer));
    check_text(i->agent);
    check_text(i->protocol_version);
    for (size_t k = 0; k < i->n_protocols; k++) {
        check_text(i->protocols[k]);
    }
    for (size_t k = 0; k < i->n_addrs; k++) {
        struct multiaddr m;

        assert(multiaddr_from_bytes(view_of(i->addrs[k].b, i->addrs[k].n), &m) == E_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const uint8_t key[SECP_PUBLIC] = {2, 1};
    struct rd r = rd_of(view_of(p, n));
    struct identify i;
    struct peer_id peer;
    enum err e = E_OK;

    peer_id_from_secp(key, &peer);
    identify_init(&i);
    while (e == E_OK && rd_left(&r) >= 2) {
        size_t len = rd_be16(&r);

        len = len < rd_left(&r) ? len : rd_left(&r);
        e = identify_merge(&i, rd_take(&r, len), &peer);
        check(&i, &peer, e != E_OK);
    }
    identify_done(&i);
    return 0;
}
