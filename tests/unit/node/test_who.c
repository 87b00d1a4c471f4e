/* A peer named by a user: every form names the same peer, and what is wrong is refused. */
#include "../../../src/node/node_internal.h"

#include <codec/base.h>
#include <crypto/random.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

struct names {
    char enr[ENR_TEXT_MAX], id[PEER_ID_TEXT_MAX], node_id[65], multiaddr[200], quic[200], dns[200];
    struct enr record;
    struct peer_id peer;
};

static void make(struct names *ret)
{
    static const uint8_t secret[32] = {9, 9};
    struct addr at = {.family = 4, .port = 9000, .ip = {20, 0, 0, 1}};
    struct enr_draft d;
    struct ident id;

    assert_int_equal(ident_from_secret(secret, &id), E_OK);
    enr_draft_init(&d, 7);
    enr_draft_set_endpoint(&d, "tcp", &at);
    assert_int_equal(enr_sign(&d, &id, &ret->record), E_OK);
    peer_id_from_secp(id.public, &ret->peer);
    enr_text(&ret->record, ret->enr);
    peer_id_text(&ret->peer, ret->id);
    hex_put(view_of(ret->record.id.b, 32), ret->node_id);
    snprintf(ret->multiaddr, sizeof ret->multiaddr, "/ip4/20.0.0.1/tcp/9000/p2p/%s", ret->id);
    snprintf(ret->quic, sizeof ret->quic, "/ip6/2001:db8::1/udp/9001/quic-v1/p2p/%s", ret->id);
    snprintf(ret->dns, sizeof ret->dns, "/dns4/peer.example/tcp/9000/p2p/%s", ret->id);
}

static void each_form_names_the_same_peer(void **state)
{
    struct names n;
    struct node_who w;
    (void)state;

    make(&n);

    const struct {
        const char *text;
        size_t n_addrs;
    } forms[] = {{n.enr, 1}, {n.id, 0}, {n.multiaddr, 1}, {n.quic, 1}, {n.dns, 0}};

    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        assert_int_equal(node_who_read(view_str(forms[i].text), &w), E_OK);
        assert_true(w.has_peer && peer_id_eq(&w.peer, &n.peer));
        assert_int_equal(w.n_addrs, forms[i].n_addrs);
        assert_int_equal(w.has_enr, i == 0);
        assert_int_equal(w.addr.n != 0, i == 4);
    }
    assert_int_equal(node_who_read(view_str(n.node_id), &w), E_OK);
    assert_true(w.has_node && !w.has_peer && node_id_eq(&w.node, &n.record.id));
}

/* go-ethereum's own example of a boot node, with the id that its record has. */
static void enode_urls_are_read(void **state)
{
    static const char url[] =
        "enode://"
        "ca634cae0d49acb401d8a4c6b6fe8c55b70d115bf400769cc1400f3258cd31387574077f301b421bc84"
        "df7266c44e9e6d569fc56be00812904767bf5ccd1fc7f@127.0.0.1:30304?discport=30303";
    static const char id[] = "a448f24c6d18e575453db13171562b71999873db5b286df957af199ec94617f7";
    struct node_who w;
    uint8_t public[SECP_PUBLIC], want[32];
    struct node_id got;
    size_t n;
    (void)state;

    assert_int_equal(node_who_read(view_str(url), &w), E_OK);
    assert_int_equal(w.n_addrs, 1);
    assert_int_equal(w.addrs[0].addr.port, 30304);
    assert_int_equal(peer_id_secp(&w.peer, public), E_OK);
    assert_int_equal(node_id_from_public(public, &got), E_OK);
    assert_int_equal(hex_get(view_str(id), want, sizeof want, &n), E_OK);
    assert_memory_equal(got.b, want, sizeof want);
}

static void the_rest_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "enr:",
        "enr:-IS4QHCYrYZbAKWC",
        "hello",
        "/ip4/20.0.0.1/tcp/9000",
        "/ip4/20.0.0.1/udp/9000/p2p/16Uiu2HAm",
        "/dns4/peer.example/tcp/9000",
        "enode://00@127.0.0.1:30303",
        "10.0.0.0/33",
        "1.2.3.4:9000",
        "0x0011",
    };
    struct node_who w;
    char enode[400];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_not_equal(node_who_read(view_str(bad[i]), &w), E_OK);
    }
    /* x of the field's size, but on no curve */
    snprintf(enode, sizeof enode, "enode://%0128d@127.0.0.1:30303", 5);
    assert_int_equal(node_who_read(view_str(enode), &w), E_INVALID);
    assert_int_equal(node_who_read(view_of("1.2.3.4\0", 8), &w), E_INVALID);
}

static void ranges_are_for_bans(void **state)
{
    struct addr in = {.family = 4, .ip = {10, 1, 2, 3}};
    struct node_who w;
    (void)state;

    assert_int_equal(node_who_read(view_str("10.1.0.0/16"), &w), E_OK);
    assert_true(w.has_range && !w.has_peer && addr_range_has(&w.range, &in));
    assert_int_equal(node_who_read(view_str("10.1.2.3"), &w), E_OK);
    assert_true(w.has_range && w.range.bits == 32);
}

/* ---- what is on disk ---- */

static void damage_on_disk_is_survived(void **state)
{
    uint8_t key[1 + PEER_ID_MAX], value[1 + 8 + 8 + 1 + 4] = {1};
    struct names n;
    struct rule r;
    (void)state;

    make(&n);
    key[0] = RULE_BAN;
    memcpy(key + 1, n.peer.b, n.peer.n);
    value[17] = 1;
    memcpy(value + 18, "spam", 4);
    struct view k = view_of(key, 1u + n.peer.n), v = view_of(value, sizeof value);
    assert_int_equal(rule_decode(k, v, &r), E_OK);
    assert_true(peer_id_eq(&r.id, &n.peer) && strcmp(r.ban.text, "spam") == 0);
    for (size_t cut = 0; cut < 18; cut++) {
        assert_int_equal(rule_decode(k, view_of(value, cut), &r), E_INVALID);
    }
    for (size_t cut = 0; cut < k.n; cut++) {
        assert_int_not_equal(rule_decode(view_of(key, cut), v, &r), E_OK);
    }
    value[17] = 7; /* by nobody */
    assert_int_equal(rule_decode(k, v, &r), E_INVALID);
    key[0] = RULE_RANGE; /* another's key */
    assert_int_equal(rule_decode(k, v, &r), E_INVALID);
    key[0] = RULE_WISH; /* another's value */
    value[1] = 4;
    assert_int_equal(rule_decode(k, v, &r), E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_names_the_same_peer), cmocka_unit_test(enode_urls_are_read),
        cmocka_unit_test(the_rest_is_refused),           cmocka_unit_test(ranges_are_for_bans),
        cmocka_unit_test(damage_on_disk_is_survived),
    };

    return crypto_start() == E_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
