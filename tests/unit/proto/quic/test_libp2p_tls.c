/* libp2p's TLS certificates: the spec's own, ours, and ours with a byte changed. */
#include "lib/vectors.h"

#include <crypto/random.h>
#include <proto/libp2p_tls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NOW_S 1790000000u

static void the_specs_certificates_are_judged_as_it_says(void **state)
{
    struct table *t = table_open_any("libp2p/tls_certificates.tsv");
    unsigned n = 0;

    (void)state;
    while (table_next(t)) {
        struct peer_id id;
        char text[PEER_ID_TEXT_MAX];
        enum err e = libp2p_tls_check(table_hex(t, "certificate_der"), NOW_S, &id);
        if (strcmp(table_text(t, "verdict"), "valid") == 0) {
            assert_int_equal(e, E_OK);
            assert_string_equal(peer_id_text(&id, text), table_text(t, "peer_id"));
        } else {
            assert_int_equal(e, E_TLS_IDENTITY);
        }
        n++;
    }
    table_close(t);
    assert_int_equal(n, 4);
}

static struct ident some_ident(void)
{
    struct rng_seeded rng;
    struct ident ident;

    rng_seeded_init(&rng, 7);
    ident_random(&rng.base, &ident);
    return ident;
}

static gnutls_datum_t our_certificate(gnutls_certificate_credentials_t credentials)
{
    gnutls_datum_t der;

    assert_int_equal(gnutls_certificate_get_crt_raw(credentials, 0, 0, &der), 0);
    return der;
}

static void ours_names_us_and_holds_for_its_time_only(void **state)
{
    struct ident ident = some_ident();
    gnutls_certificate_credentials_t credentials;
    struct peer_id id, us;

    (void)state;
    assert_int_equal(libp2p_tls_make(&ident, NOW_S, &credentials), E_OK);
    gnutls_datum_t der = our_certificate(credentials);
    struct view v = view_of(der.data, der.size);
    peer_id_from_secp(ident.public, &us);
    assert_int_equal(libp2p_tls_check(v, NOW_S, &id), E_OK);
    assert_true(peer_id_eq(&id, &us));
    assert_int_equal(libp2p_tls_check(v, NOW_S - 2 * 60 * 60, &id), E_TLS_CERTIFICATE);
    assert_int_equal(libp2p_tls_check(v, NOW_S + 101ull * 366 * 86400, &id), E_TLS_CERTIFICATE);
    gnutls_certificate_free_credentials(credentials);
}

/* Each byte is covered by the certificate's signature or is that signature. */
static void no_byte_of_it_can_be_changed_and_none_cut(void **state)
{
    struct ident ident = some_ident();
    gnutls_certificate_credentials_t credentials;
    struct peer_id id;
    uint8_t copy[2048];

    (void)state;
    assert_int_equal(libp2p_tls_make(&ident, NOW_S, &credentials), E_OK);
    gnutls_datum_t der = our_certificate(credentials);
    assert_true(der.size <= sizeof copy);
    for (size_t i = 0; i < der.size; i++) {
        memcpy(copy, der.data, der.size);
        copy[i] ^= 0x01;
        assert_int_not_equal(libp2p_tls_check(view_of(copy, der.size), NOW_S, &id), E_OK);
        assert_int_not_equal(libp2p_tls_check(view_of(der.data, i), NOW_S, &id), E_OK);
    }
    gnutls_certificate_free_credentials(credentials);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_specs_certificates_are_judged_as_it_says),
        cmocka_unit_test(ours_names_us_and_holds_for_its_time_only),
        cmocka_unit_test(no_byte_of_it_can_be_changed_and_none_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
