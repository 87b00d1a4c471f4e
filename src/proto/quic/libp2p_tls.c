/* libp2p's certificates: made and checked. X.509 is GnuTLS's, the extension is ours. */
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <proto/libp2p_tls.h>
#include <string.h>

#define EXTENSION_OID "1.3.6.1.4.1.53594.1.1"
#define EXTENSION_MAX (PUBLIC_KEY_PB_MAX + 1024u) /* key, RSA-4096 signature, DER heads */
#define SIGNED_PREFIX "libp2p-tls-handshake:"
#define SPKI_MAX      1024u
#define SIGNED_MAX    (sizeof SIGNED_PREFIX - 1 + SPKI_MAX)
#define OID_MAX       128u
#define EXTENSIONS    32u /* more in one certificate are nobody's honest need */
/* Clocks differ: our certificate is valid from an hour ago. */
#define BEFORE_S (60 * 60)
#define AFTER_S  (100ll * 365 * 24 * 60 * 60)

enum der_tag { DER_OCTETS = 0x04, DER_SEQUENCE = 0x30, DER_VERSION = 0xa0 };

/* ---- DER ---- */

/* The next element, of any tag: its inside, and all of it. */
static enum err der_any(struct view *in, uint8_t *ret_tag, struct view *ret_inside,
                        struct view *ret_whole)
{
    if (in->n < 2) {
        return E_TLS_CERTIFICATE;
    }
    size_t head = 2, n = in->p[1];
    if (n >= 0x80) {
        size_t digits = n & 0x7f;
        if (digits == 0 || digits > 2 || in->n < 2 + digits) {
            return E_TLS_CERTIFICATE;
        }
        n = digits == 1 ? in->p[2] : load_be16(in->p + 2);
        head += digits;
    }
    if (n > in->n - head) {
        return E_TLS_CERTIFICATE;
    }
    *ret_tag = in->p[0];
    *ret_inside = view_of(in->p + head, n);
    *ret_whole = view_of(in->p, head + n);
    *in = view_skip(*in, head + n);
    return E_OK;
}

static enum err der_next(struct view *in, enum der_tag tag, struct view *ret_inside,
                         struct view *ret_whole)
{
    uint8_t found;

    TRY(der_any(in, &found, ret_inside, ret_whole));
    return found == tag ? E_OK : E_TLS_CERTIFICATE;
}

static void der_put(enum der_tag tag, struct view inside, uint8_t *out, size_t *at)
{
    out[(*at)++] = (uint8_t)tag;
    if (inside.n >= 0x80) { /* ours are below 256 bytes */
        out[(*at)++] = 0x81;
    }
    out[(*at)++] = (uint8_t)inside.n;
    memcpy(out + *at, inside.p, inside.n);
    *at += inside.n;
}

/* The bytes that the certificate's signature covers, and its public key as it stands there. */
static enum err signed_parts(struct view der, struct view *ret_tbs, struct view *ret_spki)
{
    struct view certificate, inside, whole;
    uint8_t tag;

    TRY(der_next(&der, DER_SEQUENCE, &certificate, &whole));
    if (der.n != 0) {
        return E_TLS_CERTIFICATE;
    }
    TRY(der_next(&certificate, DER_SEQUENCE, &inside, ret_tbs));
    /* Spec: RFC 5280 4.1: version, serial, algorithm, issuer, validity, subject, then the key. */
    TRY(der_next(&inside, DER_VERSION, &whole, &whole));
    struct view parts = inside, skipped;
    for (size_t i = 0; i < 5; i++) {
        TRY(der_any(&parts, &tag, &skipped, &whole));
    }
    return der_next(&parts, DER_SEQUENCE, &skipped, ret_spki);
}

/* ---- check ---- */

/* GnuTLS's views are not const, but it only reads them. */
static gnutls_datum_t datum(struct view v)
{
    return (gnutls_datum_t){(uint8_t *)(uintptr_t)v.p, (unsigned)v.n};
}

static bool in_time(gnutls_x509_crt_t crt, uint64_t wall_s)
{
    time_t from = gnutls_x509_crt_get_activation_time(crt);
    time_t to = gnutls_x509_crt_get_expiration_time(crt);

    return from != (time_t)-1 && to != (time_t)-1 && (time_t)wall_s >= from && (time_t)wall_s <= to;
}

static bool signed_by_itself(gnutls_x509_crt_t crt, struct view tbs)
{
    uint8_t signature[EXTENSION_MAX];
    size_t n = sizeof signature;
    gnutls_pubkey_t key;
    int algorithm = gnutls_x509_crt_get_signature_algorithm(crt);
    bool good = false;

    if (algorithm < 0 || !gnutls_sign_is_secure((gnutls_sign_algorithm_t)algorithm) ||
        gnutls_x509_crt_get_signature(crt, (char *)signature, &n) != 0 ||
        gnutls_pubkey_init(&key) != 0) {
        return false;
    }
    gnutls_datum_t data = datum(tbs), sig = {signature, (unsigned)n};
    if (gnutls_pubkey_import_x509(key, crt, 0) == 0) {
        good = gnutls_pubkey_verify_data2(key, (gnutls_sign_algorithm_t)algorithm, 0, &data,
                                          &sig) >= 0;
    }
    gnutls_pubkey_deinit(key);
    return good;
}

/* Critical extensions whose meaning for a self-signed key we know: none narrows what is done here.
 */
static bool critical_is_known(const char *oid)
{
    static const char *const known[] = {
        EXTENSION_OID, "2.5.29.15", /* key usage */
        "2.5.29.17",                /* subject's other names */
        "2.5.29.19",                /* basic constraints */
        "2.5.29.37",                /* extended key usage */
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(oid, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The libp2p extension's bytes; exactly one, and nothing critical that we do not know. */
static enum err find_extension(gnutls_x509_crt_t crt, uint8_t out[static EXTENSION_MAX],
                               size_t *ret_n)
{
    unsigned found = 0;

    for (unsigned i = 0; i <= EXTENSIONS; i++) {
        char oid[OID_MAX];
        size_t oid_n = sizeof oid;
        unsigned critical;
        int e = gnutls_x509_crt_get_extension_info(crt, i, oid, &oid_n, &critical);
        if (e == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            return found == 1 ? E_OK : E_TLS_CERTIFICATE;
        }
        if (e != 0 || (critical != 0 && !critical_is_known(oid))) {
            return E_TLS_CERTIFICATE;
        }
        if (strcmp(oid, EXTENSION_OID) == 0) {
            *ret_n = EXTENSION_MAX;
            if (found++ != 0 || gnutls_x509_crt_get_extension_data(crt, i, out, ret_n) != 0) {
                return E_TLS_CERTIFICATE;
            }
        }
    }
    return E_TLS_CERTIFICATE;
}

static size_t signed_message(struct view spki, uint8_t out[static SIGNED_MAX])
{
    size_t n = sizeof SIGNED_PREFIX - 1;

    memcpy(out, SIGNED_PREFIX, n);
    memcpy(out + n, spki.p, spki.n);
    return n + spki.n;
}

/* SignedKey ::= SEQUENCE { publicKey OCTET STRING, signature OCTET STRING } */
static enum err check_identity(struct view extension, struct view spki, struct peer_id *ret)
{
    struct view pair, key_pb, signature, whole, key;
    uint8_t message[SIGNED_MAX];
    enum key_type type;

    if (spki.n > SPKI_MAX) {
        return E_TLS_CERTIFICATE;
    }
    TRY(der_next(&extension, DER_SEQUENCE, &pair, &whole));
    TRY(der_next(&pair, DER_OCTETS, &key_pb, &whole));
    TRY(der_next(&pair, DER_OCTETS, &signature, &whole));
    if (extension.n != 0 || pair.n != 0 || public_key_pb_get(key_pb, &type, &key) != E_OK) {
        return E_TLS_CERTIFICATE;
    }
    size_t n = signed_message(spki, message);
    if (key_verify(type, key, view_of(message, n), signature) != E_OK) {
        return E_TLS_IDENTITY;
    }
    return peer_id_from_public_pb(key_pb, ret) == E_OK ? E_OK : E_TLS_IDENTITY;
}

static enum err check(gnutls_x509_crt_t crt, struct view der, uint64_t wall_s, struct peer_id *ret)
{
    gnutls_datum_t data = datum(der);
    uint8_t extension[EXTENSION_MAX];
    struct view tbs, spki;
    size_t n;

    if (gnutls_x509_crt_import(crt, &data, GNUTLS_X509_FMT_DER) != 0) {
        return E_TLS_CERTIFICATE;
    }
    TRY(signed_parts(der, &tbs, &spki));
    if (!in_time(crt, wall_s) || !signed_by_itself(crt, tbs)) {
        return E_TLS_CERTIFICATE;
    }
    TRY(find_extension(crt, extension, &n));
    return check_identity(view_of(extension, n), spki, ret);
}

enum err libp2p_tls_check(struct view der, uint64_t wall_s, struct peer_id *ret)
{
    gnutls_x509_crt_t crt;

    if (der.n > TLS_CERTIFICATE_MAX || gnutls_x509_crt_init(&crt) != 0) {
        return E_TLS_CERTIFICATE;
    }
    enum err e = check(crt, der, wall_s, ret);
    gnutls_x509_crt_deinit(crt);
    return e;
}

/* ---- make ---- */

/* Our extension for the key in `crt`. */
static int add_extension(gnutls_x509_crt_t crt, const struct ident *ident)
{
    uint8_t pb[SECP_PB], signature[SECP_DER_MAX], message[SIGNED_MAX];
    uint8_t pair[SECP_PB + SECP_DER_MAX + 8], der[sizeof pair + 8];
    uint8_t spki[SPKI_MAX];
    size_t spki_n = sizeof spki, signature_n, pair_n = 0, der_n = 0;
    gnutls_pubkey_t key;
    int e = gnutls_pubkey_init(&key);

    if (e != 0) {
        return e;
    }
    e = gnutls_pubkey_import_x509(key, crt, 0);
    e = e != 0 ? e : gnutls_pubkey_export(key, GNUTLS_X509_FMT_DER, spki, &spki_n);
    gnutls_pubkey_deinit(key);
    if (e != 0) {
        return e;
    }
    size_t n = signed_message(view_of(spki, spki_n), message);
    ident_sign_der(ident, view_of(message, n), signature, &signature_n);
    public_key_pb_secp(ident->public, pb);
    der_put(DER_OCTETS, view_of(pb, sizeof pb), pair, &pair_n);
    der_put(DER_OCTETS, view_of(signature, signature_n), pair, &pair_n);
    der_put(DER_SEQUENCE, view_of(pair, pair_n), der, &der_n);
    return gnutls_x509_crt_set_extension_by_oid(crt, EXTENSION_OID, der, der_n, 1);
}

static int fill_certificate(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key,
                            const struct ident *ident, uint64_t wall_s)
{
    static const char name[] = "libp2p.io";
    uint8_t serial[8];
    int e = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);

    serial[0] &= 0x7f; /* positive */
    e = e != 0 ? e : gnutls_x509_crt_set_version(crt, 3);
    e = e != 0 ? e : gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
    e = e != 0 ? e
               : gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, name,
                                               sizeof name - 1);
    e = e != 0 ? e : gnutls_x509_crt_set_activation_time(crt, (time_t)wall_s - BEFORE_S);
    e = e != 0 ? e : gnutls_x509_crt_set_expiration_time(crt, (time_t)(wall_s + AFTER_S));
    e = e != 0 ? e : gnutls_x509_crt_set_key(crt, key);
    e = e != 0 ? e : add_extension(crt, ident);
    return e != 0 ? e : gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
}

enum err libp2p_tls_make(const struct ident *ident, uint64_t wall_s,
                         gnutls_certificate_credentials_t *ret)
{
    gnutls_certificate_credentials_t credentials = NULL;
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t crt = NULL;
    int e = gnutls_x509_privkey_init(&key);

    e = e != 0 ? e : gnutls_x509_crt_init(&crt);
    e = e != 0 ? e
               : gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                              GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    e = e != 0 ? e : fill_certificate(crt, key, ident, wall_s);
    e = e != 0 ? e : gnutls_certificate_allocate_credentials(&credentials);
    e = e != 0 ? e : gnutls_certificate_set_x509_key(credentials, &crt, 1, key);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
    if (e != 0) {
        gnutls_certificate_free_credentials(credentials);
        return E_CRYPTO_KEY;
    }
    *ret = credentials;
    return E_OK;
}
