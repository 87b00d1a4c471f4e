/*
 * Any bytes as a record: what verifies, reads the same without verifying, as text, and taken apart
 * and signed again by somebody else. What has the shape only is walked, too.
 */
#include <assert.h>
#include <proto/enr.h>
#include <stdlib.h>

static const uint8_t secret[32] = {1, 2, 3};

static void walk(const struct enr *e)
{
    struct view key, value, last = {NULL, 0};
    struct enr_walk w;
    struct addr a;
    bool is_list;

    enr_walk_begin(e, &w);
    for (bool first = true; enr_walk_next(&w, &key, &value, &is_list); first = false) {
        assert(key.p >= e->raw && value.p + value.n <= e->raw + e->n);
        assert(first || view_cmp(last, key) < 0);
        last = key;
    }
    for (uint8_t family = 4; family <= 6; family += 2) {
        if (enr_endpoint(e, family, "udp", &a)) {
            assert(a.family == family && a.port != 0);
        }
        if (enr_endpoint(e, family, "quic", &a)) {
            assert(a.family == family && a.port != 0);
        }
    }
}

/* The same pairs under another key: they are the same in the end. */
static void sign_again(const struct enr *e)
{
    struct enr_draft d, again;
    struct ident id;
    struct enr made, decoded;

    assert(ident_from_secret(secret, &id) == E_OK);
    enr_draft_from(&d, e);
    if (enr_sign(&d, &id, &made) != E_OK) {
        return; /* larger than our draft allows */
    }
    assert(enr_decode(enr_view(&made), &decoded) == E_OK);
    assert(decoded.seq == e->seq && node_id_eq(&decoded.id, &made.id));
    enr_draft_from(&again, &decoded);
    assert(again.n == d.n);
    for (size_t i = 0; i < d.n; i++) {
        assert(strcmp(again.pairs[i].key, d.pairs[i].key) == 0);
        assert(again.pairs[i].n == d.pairs[i].n && again.pairs[i].is_list == d.pairs[i].is_list);
        assert(memcmp(again.pairs[i].value, d.pairs[i].value, d.pairs[i].n) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const struct node_id nobody;
    char text[ENR_TEXT_MAX];
    struct enr shape, e, again;

    if (enr_decode_verified(view_of(p, n), &nobody, &shape) != E_OK) {
        assert(enr_decode(view_of(p, n), &e) != E_OK);
        assert(enr_parse(view_of(p, n), &e) != E_OK || p[0] == 'e');
        return 0;
    }
    walk(&shape);
    sign_again(&shape);
    if (enr_decode(view_of(p, n), &e) == E_OK) {
        assert(view_eq(enr_view(&e), view_of(p, n)) && e.seq == shape.seq);
        assert(enr_parse(view_str(enr_text(&e, text)), &again) == E_OK);
        assert(view_eq(enr_view(&e), enr_view(&again)));
    }
    return 0;
}
