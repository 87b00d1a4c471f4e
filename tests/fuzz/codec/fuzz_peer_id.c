/* An id that is accepted, as text, bytes or key, has one text that gives it back. */
#include <assert.h>
#include <codec/peer_id.h>

static void round_trip(const struct peer_id *id)
{
    char text[PEER_ID_TEXT_MAX];
    struct peer_id again;

    peer_id_text(id, text);
    assert(peer_id_parse(view_str(text), &again) == E_OK && peer_id_eq(id, &again));
    assert(peer_id_from_bytes(view_of(id->b, id->n), &again) == E_OK);
    assert(memcmp(id, &again, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    uint8_t key[SECP_PUBLIC];
    struct view v = view_of(p, n);
    struct peer_id id, again;

    if (peer_id_parse(v, &id) == E_OK) {
        round_trip(&id);
    }
    if (peer_id_from_bytes(v, &id) == E_OK) {
        round_trip(&id);
    }
    if (peer_id_from_public_pb(v, &id) == E_OK) {
        round_trip(&id);
        if (peer_id_secp(&id, key) == E_OK) {
            peer_id_from_secp(key, &again);
            assert(peer_id_eq(&id, &again));
        }
    }
    return 0;
}
