#include <codec/multiaddr.h>
#include <lib/hex.h>
#include <lib/mutate.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PEER "16Uiu2HAmSH2XVgZqYHWucap5kuPzLnt2TsNQkoppVxB5eJGvaXwm"

static struct multiaddr parse(const char *text)
{
    struct multiaddr m;

    if (multiaddr_parse(view_str(text), &m) != E_OK) {
        fail_msg("%s", text);
    }
    return m;
}

/* Accepted bytes have a text that gives the same bytes. */
static void accepted_bytes_survive_text(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    char text[2048];
    struct multiaddr m, again;
    struct multiaddr_parts parts;

    (void)self;
    (void)kind;
    (void)at;
    if (multiaddr_from_bytes(v, &m) != E_OK) {
        return;
    }
    assert_int_equal(multiaddr_text(&m, text, sizeof text), E_OK);
    assert_int_equal(multiaddr_parse(view_str(text), &again), E_OK);
    assert_memory_equal(&m, &again, sizeof m);
    assert_int_equal(multiaddr_split(&m, &parts), E_OK);
}

static void text_and_bytes_of_the_vectors_agree(void **state)
{
    struct table *t = table_open_any("libp2p/multiaddr.tsv");
    size_t n = 0;

    (void)state;
    for (; table_next(t); n++) {
        struct view bytes = table_hex(t, "bytes");
        char text[MULTIADDR_TEXT_MAX];
        struct multiaddr m, from_text = parse(table_text(t, "text"));

        assert_int_equal(multiaddr_from_bytes(bytes, &m), E_OK);
        assert_memory_equal(&m, &from_text, sizeof m);
        assert_true(view_eq(view_of(m.b, m.n), bytes));
        assert_int_equal(multiaddr_text(&m, text, sizeof text), E_OK);
        assert_string_equal(text, table_text(t, "text"));
        mutate_each(bytes, 0, accepted_bytes_survive_text, NULL);
    }
    assert_true(n >= 40);
    table_close(t);
}

static const char *const more_texts[] = {
    "/dns/example.org/tcp/443/wss",
    "/dns6/example.org/tcp/443/tls/ws",
    "/dnsaddr/bootstrap.example.org/p2p/" PEER,
    "/ip6/fe80::1/tcp/1",
    "/ip6zone/eth0/ip6/fe80::1/tcp/1",
    "/ip4/1.2.3.4/udp/1/quic",
    "/ip4/1.2.3.4/udp/1/quic-v1/webtransport/certhash/"
    "uEiAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw",
    "/ip4/1.2.3.4/tcp/1/p2p/" PEER "/p2p-circuit/p2p/" PEER,
    "/ip4/1.2.3.4/tcp/1/noise",
};

static void every_protocol_goes_to_bytes_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(more_texts); i++) {
        struct multiaddr m = parse(more_texts[i]), again;
        char text[MULTIADDR_TEXT_MAX];

        assert_int_equal(multiaddr_text(&m, text, sizeof text), E_OK);
        assert_string_equal(text, more_texts[i]);
        assert_int_equal(multiaddr_from_bytes(view_of(m.b, m.n), &again), E_OK);
        mutate_each(view_of(m.b, m.n), 0, accepted_bytes_survive_text, NULL);
    }
}

static const char *const bad_texts[] = {
    "",
    "/",
    "ip4/1.2.3.4",
    "/ip4",
    "/ip4/",
    "/ip4/1.2.3",
    "/ip4/1.2.3.4.5",
    "/ip4/::1",
    "/ip6/1.2.3.4",
    "/ip4/1.2.3.4/",
    "/ip4/1.2.3.4/tcp",
    "/ip4/1.2.3.4/tcp/65536",
    "/ip4/1.2.3.4/tcp/-1",
    "/ip4/1.2.3.4/tcp/1x",
    "/ip4/1.2.3.4/tcp/000001",
    "/ip4/1.2.3.4//tcp/1",
    "/ip4/1.2.3.4/sctp/1",
    "/dns4//tcp/1",
    "/ip4/1.2.3.4/tcp/1/p2p/" PEER "x",
    "/p2p/",
    "/certhash/mAAAA",
    "/certhash/u",
};

static void bad_texts_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_texts); i++) {
        struct multiaddr m;

        if (multiaddr_parse(view_str(bad_texts[i]), &m) != E_MULTIADDR) {
            fail_msg("\"%s\"", bad_texts[i]);
        }
    }
}

static const struct {
    const char *why, *hex;
} bad_bytes[] = {
    {"nothing", ""},
    {"cut address", "04010203"},
    {"cut port", "040102030406"},
    {"unknown code", "040102030484012328"},
    {"code in a longer form", "8400010203040623"},
    {"a name with a slash", "36032f2f2f"},
    {"an empty name", "3600"},
    {"a name over its length", "36ff0161"},
    {"a peer that is none", "a50303010203"},
    {"a length of 2^63", "3680808080808080808001"},
};

static void bad_bytes_are_refused(void **state)
{
    uint8_t long_one[MULTIADDR_MAX + 1];
    struct multiaddr m;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_bytes); i++) {
        struct blob *b = hex_blob(bad_bytes[i].hex);

        if (multiaddr_from_bytes(blob_view(b), &m) != E_MULTIADDR) {
            fail_msg("%s", bad_bytes[i].why);
        }
        blob_unref(b);
    }
    for (size_t i = 0; i + 1 < sizeof long_one; i += 2) {
        long_one[i] = 0xc0; /* tls, again and again */
        long_one[i + 1] = 0x03;
    }
    assert_int_equal(multiaddr_from_bytes(view_of(long_one, MULTIADDR_MAX), &m), E_OK);
    assert_int_equal(multiaddr_from_bytes(view_of(long_one, MULTIADDR_MAX + 1), &m), E_MULTIADDR);
}

static const struct split {
    const char *text, *addr, *name;
    uint8_t name_family;
    enum transport_kind transport;
    bool has_peer, relayed;
} splits[] = {
    {"/ip4/1.2.3.4/tcp/9000", "1.2.3.4:9000", "", 0, TRANSPORT_TCP, false, false},
    {"/ip4/1.2.3.4/tcp/9000/p2p/" PEER, "1.2.3.4:9000", "", 0, TRANSPORT_TCP, true, false},
    {"/ip6/::1/udp/9001/quic-v1", "[::1]:9001", "", 0, TRANSPORT_QUIC, false, false},
    {"/ip4/1.2.3.4/udp/9001", "1.2.3.4:9001", "", 0, TRANSPORT_UDP, false, false},
    {"/dns4/a.example/tcp/9000", "-", "a.example", 4, TRANSPORT_TCP, false, false},
    {"/dns/a.example/tcp/9000", "-", "a.example", 0, TRANSPORT_TCP, false, false},
    {"/dnsaddr/a.example/p2p/" PEER, "-", "a.example", 255, TRANSPORT_NONE, true, false},
    {"/ip4/1.2.3.4/tcp/443/ws", "1.2.3.4:443", "", 0, TRANSPORT_NONE, false, false},
    {"/ip4/1.2.3.4/udp/1/quic", "1.2.3.4:1", "", 0, TRANSPORT_NONE, false, false},
    {"/ip4/1.2.3.4/udp/1/quic-v1/webtransport", "1.2.3.4:1", "", 0, TRANSPORT_NONE, false, false},
    {"/ip4/1.2.3.4/tcp/1/quic-v1", "1.2.3.4:1", "", 0, TRANSPORT_NONE, false, false},
    {"/ip4/1.2.3.4/tcp/1/tcp/2", "1.2.3.4:2", "", 0, TRANSPORT_NONE, false, false},
    {"/ip4/1.2.3.4/tcp/1/p2p/" PEER "/p2p-circuit/p2p/" PEER, "1.2.3.4:1", "", 0, TRANSPORT_NONE,
     true, true},
    {"/tcp/1", "-", "", 0, TRANSPORT_NONE, false, false},
};

static void a_dialler_sees_what_it_can_dial(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(splits); i++) {
        const struct split *s = &splits[i];
        struct multiaddr m = parse(s->text);
        struct multiaddr_parts p;
        char text[ADDR_TEXT_MAX];

        assert_int_equal(multiaddr_split(&m, &p), E_OK);
        if (strcmp(addr_text(&p.addr, text), s->addr) != 0 || strcmp(p.name, s->name) != 0 ||
            p.name_family != s->name_family || p.transport != s->transport ||
            p.has_peer != s->has_peer || p.relayed != s->relayed) {
            fail_msg("%s", s->text);
        }
    }
}

static void our_addresses_are_written_as_text_reads_them(void **state)
{
    struct multiaddr m, want = parse("/ip6/2001:db8::1/tcp/9000/p2p/" PEER);
    struct peer_id peer;
    struct addr a;

    (void)state;
    assert_int_equal(addr_parse("[2001:db8::1]:9000", &a), E_OK);
    assert_int_equal(peer_id_parse(view_str(PEER), &peer), E_OK);
    multiaddr_of(TRANSPORT_TCP, &a, &peer, &m);
    assert_memory_equal(&m, &want, sizeof m);
}

static void a_text_that_does_not_fit_is_refused(void **state)
{
    struct multiaddr m = parse("/ip4/1.2.3.4/tcp/9000");
    char text[MULTIADDR_TEXT_MAX];

    (void)state;
    for (size_t cap = 0; cap < sizeof "/ip4/1.2.3.4/tcp/9000"; cap++) {
        assert_int_equal(multiaddr_text(&m, text, cap), E_FULL);
    }
    assert_int_equal(multiaddr_text(&m, text, sizeof "/ip4/1.2.3.4/tcp/9000"), E_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_bytes_of_the_vectors_agree),
        cmocka_unit_test(every_protocol_goes_to_bytes_and_back),
        cmocka_unit_test(bad_texts_are_refused),
        cmocka_unit_test(bad_bytes_are_refused),
        cmocka_unit_test(a_dialler_sees_what_it_can_dial),
        cmocka_unit_test(our_addresses_are_written_as_text_reads_them),
        cmocka_unit_test(a_text_that_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
