#include "../src/proto/noise/payload.h"
#include "play_noise.h"

#include <codec/pb.h>
#include <crypto/aead.h>
#include <crypto/random.h>
#include <lib/mutate.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

static struct play_end a, b; /* a dials */

static int two_ends(void **state)
{
    (void)state;
    play_end_init(&a, 1);
    play_end_init(&b, 2);
    play_end_start(&a, (struct noise_config){.initiator = true});
    play_end_start(&b, (struct noise_config){0});
    return 0;
}

static int two_ends_done(void **state)
{
    (void)state;
    play_end_done(&a);
    play_end_done(&b);
    return 0;
}

static void expect_peer(const struct play_end *seen_by, const struct play_end *who)
{
    struct peer_id id;
    uint8_t key[SECP_PB];

    peer_id_from_secp(who->ident.public, &id);
    assert_true(peer_id_eq(noise_peer(seen_by->noise), &id));
    public_key_pb_secp(who->ident.public, key);
    assert_true(view_eq(noise_peer_key(seen_by->noise), view_of(key, sizeof key)));
}

/* Send n bytes from one end to the other and compare. */
static void expect_record(struct play_end *from, struct play_end *to, size_t n)
{
    static uint8_t plain[NOISE_PLAIN_MAX], record[NOISE_RECORD_MAX + 2];
    const struct view pieces[] = {view_of(plain, n / 3), view_of(plain + n / 3, n - n / 3)};
    struct view got;
    size_t size, eaten;

    rng_fill(&from->rng.base, plain, n);
    assert_int_equal(noise_seal(from->noise, pieces, 2, record, &size), E_OK);
    assert_int_equal(size, n + 18);
    assert_int_equal(noise_open(to->noise, record, 0, &got, &eaten), E_MORE);
    assert_int_equal(noise_open(to->noise, record, 1, &got, &eaten), E_MORE);
    assert_int_equal(noise_open(to->noise, record, size - 1, &got, &eaten), E_MORE);
    assert_int_equal(noise_open(to->noise, record, size, &got, &eaten), E_OK);
    assert_int_equal(eaten, size);
    assert_true(view_eq(got, view_of(plain, n)));
}

/* Spec: noise/README.md "Handshake Pattern" */
static void cutting_the_bytes_anywhere_changes_nothing(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 200; piece++) {
        play_end_start(&a, (struct noise_config){.initiator = true});
        play_end_start(&b, (struct noise_config){0});
        play_run(&a, &b, piece);
        assert_int_equal(a.error, E_OK);
        assert_int_equal(b.error, E_OK);
        assert_true(a.done && b.done);
        expect_peer(&a, &b);
        expect_peer(&b, &a);
        assert_int_equal(noise_early_muxer(a.noise), SIZE_MAX);
        expect_record(&a, &b, piece);
        expect_record(&b, &a, piece);
    }
}

/* Spec: noise/README.md "Wire Format" */
static void records_of_every_edge_length_pass(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, 1400, 16384, NOISE_PLAIN_MAX - 1, NOISE_PLAIN_MAX};

    (void)state;
    play_run(&a, &b, SIZE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        expect_record(&a, &b, sizes[i]);
        expect_record(&b, &a, sizes[i]);
    }
}

static void kept_secrets_open_what_was_sealed_and_are_the_same_at_both_ends(void **state)
{
    const struct view hello = view_str("hello"), none = {NULL, 0};
    uint8_t record[64], zero[32] = {0};
    struct aead *aead;
    size_t n;

    (void)state;
    play_run(&a, &b, SIZE_MAX);
    assert_null(noise_secrets(a.noise)); /* unless asked for */
    play_end_start(&a, (struct noise_config){.initiator = true, .keep_secrets = true});
    play_end_start(&b, (struct noise_config){.keep_secrets = true});
    play_step(&a);
    assert_true(a.out.n >= 2 + 32);
    assert_memory_equal(noise_secrets(a.noise)->ephemeral, a.out.p + a.out.n - 32, 32);
    play_run(&a, &b, SIZE_MAX);
    const struct noise_secrets *s = noise_secrets(a.noise);
    assert_memory_equal(s, noise_secrets(b.noise), sizeof *s);
    for (size_t i = 0; i < ARRAY_LEN(s->handshake); i++) {
        assert_memory_not_equal(s->handshake[i], zero, 32);
    }
    assert_int_equal(noise_seal(a.noise, &hello, 1, record, &n), E_OK);
    aead = aead_new(s->forth);
    assert_int_equal(aead_open(aead, 0, none, record + 2, n - 2), E_OK);
    assert_memory_equal(record + 2, hello.p, hello.n);
    aead_free(aead);
    assert_int_equal(noise_seal(b.noise, &hello, 1, record, &n), E_OK);
    aead = aead_new(s->back);
    assert_int_equal(aead_open(aead, 0, none, record + 2, n - 2), E_OK);
    aead_free(aead);
}

static void bytes_behind_the_handshake_stay_for_the_records(void **state)
{
    uint8_t record[64];
    struct view hello = view_str("hello"), got;
    size_t n, eaten;

    (void)state;
    play_step(&a);
    play_move(&a, &b, SIZE_MAX);
    play_step(&b);
    play_move(&b, &a, SIZE_MAX);
    play_step(&a);
    assert_true(a.done);
    assert_int_equal(noise_seal(a.noise, &hello, 1, record, &n), E_OK);
    assert_int_equal(buf_append(&a.out, record, n), E_OK); /* message 3 and data in one go */
    play_move(&a, &b, SIZE_MAX);
    play_step(&b);
    assert_true(b.done);
    assert_int_equal(b.in.n, n);
    assert_int_equal(noise_open(b.noise, b.in.p, b.in.n, &got, &eaten), E_OK);
    assert_true(view_eq(got, hello));
}

static void the_dialled_peer_id_is_enforced(void **state)
{
    struct noise_config cfg = {.initiator = true, .has_expected = true};

    (void)state;
    peer_id_from_secp(b.ident.public, &cfg.expected);
    play_end_start(&a, cfg);
    play_run(&a, &b, SIZE_MAX);
    assert_true(a.done);
    peer_id_from_secp(a.ident.public, &cfg.expected);
    play_end_start(&a, cfg);
    play_end_start(&b, (struct noise_config){0});
    play_run(&a, &b, SIZE_MAX);
    assert_int_equal(a.error, E_NOISE_PEER);
    assert_false(b.done); /* our identity was not told to the stranger */
    assert_int_equal(b.error, E_OK);
    play_step(&a);
    assert_int_equal(a.error, E_NOISE_PEER);
}

/* ---- early muxers. Spec: connections/inlined-muxer-negotiation.md ---- */

#define M(s)                                \
    {                                       \
        (const uint8_t *)(s), sizeof(s) - 1 \
    }

static const struct muxer_case {
    const char *why;
    struct view a[3], b[3];
    size_t n_a, n_b, want_a, want_b;
} muxer_cases[] = {
    {"the same lists", {M("/y"), M("/m")}, {M("/y"), M("/m")}, 2, 2, 0, 0},
    {"the initiator's order wins", {M("/m"), M("/y")}, {M("/y"), M("/m")}, 2, 2, 0, 1},
    {"its second choice", {M("/q"), M("/m")}, {M("/y"), M("/m")}, 2, 2, 1, 1},
    {"only the responder offers", {{NULL, 0}}, {M("/y")}, 0, 1, SIZE_MAX, SIZE_MAX},
    {"only the initiator offers", {M("/y")}, {{NULL, 0}}, 1, 0, SIZE_MAX, SIZE_MAX},
    {"nothing in common", {M("/y")}, {M("/m")}, 1, 1, SIZE_MAX, SIZE_MAX},
    {"a prefix is another name", {M("/y")}, {M("/yy"), M("/")}, 1, 2, SIZE_MAX, SIZE_MAX},
};

static void early_muxers_are_chosen_by_the_initiators_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(muxer_cases); i++) {
        const struct muxer_case *c = &muxer_cases[i];

        play_end_start(
            &a, (struct noise_config){.initiator = true, .muxers = c->a, .n_muxers = c->n_a});
        play_end_start(&b, (struct noise_config){.muxers = c->b, .n_muxers = c->n_b});
        play_run(&a, &b, 7);
        if (!a.done || !b.done || noise_early_muxer(a.noise) != c->want_a ||
            noise_early_muxer(b.noise) != c->want_b) {
            fail_msg("%s", c->why);
        }
    }
}

/* ---- hostile ends ---- */

/* The handshake as recorded: who sent what. Then every bit of it is flipped in turn. */
static void no_flipped_bit_of_a_handshake_is_accepted(void **state)
{
    (void)state;
    for (unsigned message = 0; message < 3; message++) {
        size_t bits = 1;

        for (size_t bit = 0; bit < bits; bit++) {
            struct play_end *from = message == 1 ? &b : &a, *to = message == 1 ? &a : &b;

            play_end_start(&a, (struct noise_config){.initiator = true});
            play_end_start(&b, (struct noise_config){0});
            play_step(&a);
            for (unsigned i = 0; i < message; i++) {
                play_move(i == 1 ? &b : &a, i == 1 ? &a : &b, SIZE_MAX);
                play_step(i == 1 ? &a : &b);
            }
            bits = from->out.n * 8;
            from->out.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
            bool in_length = bit < 16;
            play_move(from, to, SIZE_MAX);
            play_step(to);
            if (message == 0 && !in_length) { /* plaintext: shown by the next message */
                play_move(&b, &a, SIZE_MAX);
                play_step(&a);
                to = &a;
            }
            if (to->done || (!in_length && to->error == E_OK)) {
                fail_msg("message %u, bit %zu", message, bit);
            }
        }
    }
}

static void a_flipped_record_ends_it(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    uint8_t record[64];
    struct view got;
    size_t eaten;
    enum err e;

    (void)self;
    (void)at;
    memcpy(record, v.p, v.n);
    e = noise_open(b.noise, record, v.n, &got, &eaten);
    if (kind == MUTATE_TRUNCATED) {
        assert_int_equal(e, E_MORE);
    } else { /* a longer length only waits */
        assert_true(e == E_NOISE_RECORD || e == E_NOISE_FRAME || (at < 16 && e == E_MORE));
    }
}

static void no_mutated_record_is_accepted(void **state)
{
    struct view hello = view_str("hello"), got;
    uint8_t record[64], copy[64];
    size_t n, eaten;

    (void)state;
    play_run(&a, &b, SIZE_MAX);
    assert_int_equal(noise_seal(a.noise, &hello, 1, record, &n), E_OK);
    mutate_each(view_of(record, n), 0, a_flipped_record_ends_it, NULL);
    memcpy(copy, record, n);
    assert_int_equal(noise_open(b.noise, copy, n, &got, &eaten), E_OK);
    assert_int_equal(noise_open(b.noise, record, n, &got, &eaten), E_NOISE_RECORD); /* replayed */
}

static const struct frame_case {
    const char *why;
    size_t length, sent;
    enum err want;
} frame_cases[] = {
    {"an empty frame", 0, 0, E_NOISE_FRAME},
    {"one byte less than a key", 31, 31, E_NOISE_FRAME},
    {"over the handshake's maximum, told by its length", NOISE_HANDSHAKE_MAX + 1, 0, E_NOISE_FRAME},
    {"the longest length", 65535, 10, E_NOISE_FRAME},
    {"the maximum, not there yet", NOISE_HANDSHAKE_MAX, 100, E_OK},
};

static void frames_outside_the_bounds_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(frame_cases); i++) {
        const struct frame_case *c = &frame_cases[i];
        uint8_t frame[256] = {(uint8_t)(c->length >> 8), (uint8_t)c->length, 9};

        play_end_start(&b, (struct noise_config){0});
        assert_int_equal(buf_append(&b.in, frame, 2 + c->sent), E_OK);
        play_step(&b);
        if (b.error != c->want || b.done) {
            fail_msg("%s", c->why);
        }
    }
}

/* Spec: noise.org "DH functions": an all-zero result ends the handshake. */
static void a_key_of_small_order_is_refused(void **state)
{
    static const uint8_t frame[34] = {0, 32};

    (void)state;
    assert_int_equal(buf_append(&b.in, frame, sizeof frame), E_OK);
    play_step(&b);
    assert_int_equal(b.error, E_NOISE_ZERO);
    assert_int_equal(b.out.n, 0);
}

/* A payload made by hand, sent by an otherwise honest initiator. */
static enum err answer_to_payload(const uint8_t *p, size_t n)
{
    play_end_start(&a, (struct noise_config){.initiator = true});
    play_end_start(&b, (struct noise_config){0});
    memcpy(a.own.payload, p, n);
    a.own.payload_n = n;
    play_run(&a, &b, SIZE_MAX);
    return b.error;
}

static void a_static_key_that_another_identity_signed_is_refused(void **state)
{
    uint8_t honest[256], mixed[256], der[SECP_DER_MAX], signed_[64];
    size_t n = a.own.payload_n, der_n;
    struct ident other;
    struct wr w = wr_of(mixed, sizeof mixed), s = wr_of(signed_, sizeof signed_);
    struct noise_payload p;

    (void)state;
    memcpy(honest, a.own.payload, n);
    assert_int_equal(noise_payload_read(view_of(honest, n), &p), E_OK);
    ident_random(&a.rng.base, &other);
    wr_view_bytes(&s, view_str(NOISE_SIGNED_PREFIX));
    wr_bytes(&s, a.own.public, 32);
    ident_sign_der(&other, wr_view(&s), der, &der_n);
    wr_bytes(&w, honest, 39); /* the honest key ... */
    wr_u8(&w, 0x12);          /* ... with the other's signature */
    wr_u8(&w, (uint8_t)der_n);
    wr_bytes(&w, der, der_n);
    assert_int_equal(answer_to_payload(mixed, wr_len(&w)), E_NOISE_IDENTITY);
    assert_int_equal(answer_to_payload(honest, n), E_OK);
    assert_int_equal(answer_to_payload(honest, 39), E_NOISE_PAYLOAD);          /* no signature */
    assert_int_equal(answer_to_payload(honest + 39, n - 39), E_NOISE_PAYLOAD); /* no key */
    assert_int_equal(answer_to_payload(honest, 0), E_NOISE_PAYLOAD);
    assert_int_equal(answer_to_payload(honest, n - 1), E_NOISE_PAYLOAD);
    honest[0] = 0x08; /* the key's field as a number */
    assert_int_equal(answer_to_payload(honest, n), E_NOISE_PAYLOAD);
}

/* The identity of another implementation: OpenSSL makes it and signs the static key. */
static size_t foreign_payload(EVP_PKEY *key, enum key_type type, const EVP_MD *md,
                              const uint8_t static_key[static 32], uint8_t out[static 256])
{
    uint8_t data[128], sig[128], pb[160], signed_[64];
    unsigned char *at = data;
    size_t data_n = sizeof data, sig_n = sizeof sig;
    struct wr s = wr_of(signed_, sizeof signed_), k = wr_of(pb, sizeof pb), w = wr_of(out, 256);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (type == KEY_ED25519) {
        assert_int_equal(EVP_PKEY_get_raw_public_key(key, data, &data_n), 1);
    } else {
        data_n = (size_t)i2d_PUBKEY(key, &at);
    }
    wr_view_bytes(&s, view_str(NOISE_SIGNED_PREFIX));
    wr_bytes(&s, static_key, 32);
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, sig, &sig_n, signed_, wr_len(&s)), 1);
    pb_put_varint(&k, 1, (uint64_t)type);
    pb_put_bytes(&k, 2, view_of(data, data_n));
    pb_put_bytes(&w, 1, wr_view(&k));
    pb_put_bytes(&w, 2, view_of(sig, sig_n));
    assert_false(w.bad);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return wr_len(&w);
}

/* RSA's payload is longer than ours may be; js-libp2p shows it (tests/net/matrix.py). */
static void identities_of_other_key_types_are_accepted(void **state)
{
    uint8_t payload[256];
    size_t n;

    (void)state;
    n = foreign_payload(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), KEY_ECDSA, EVP_sha256(),
                        a.own.public, payload);
    assert_int_equal(answer_to_payload(payload, n), E_OK);
    assert_int_equal(noise_peer(b.noise)->b[0], 0x12); /* hashed: the key is long */
    payload[n - 1] ^= 1;
    assert_int_equal(answer_to_payload(payload, n), E_NOISE_IDENTITY);
    n = foreign_payload(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), KEY_ED25519, NULL, a.own.public,
                        payload);
    assert_int_equal(answer_to_payload(payload, n), E_OK);
    assert_int_equal(noise_peer(b.noise)->b[0], 0x00); /* inline */
    payload[n - 1] ^= 1;
    assert_int_equal(answer_to_payload(payload, n), E_NOISE_IDENTITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, two_ends, two_ends_done)
        T(cutting_the_bytes_anywhere_changes_nothing),
        T(records_of_every_edge_length_pass),
        T(kept_secrets_open_what_was_sealed_and_are_the_same_at_both_ends),
        T(bytes_behind_the_handshake_stay_for_the_records),
        T(the_dialled_peer_id_is_enforced),
        T(early_muxers_are_chosen_by_the_initiators_order),
        T(no_flipped_bit_of_a_handshake_is_accepted),
        T(no_mutated_record_is_accepted),
        T(frames_outside_the_bounds_are_refused),
        T(a_key_of_small_order_is_refused),
        T(a_static_key_that_another_identity_signed_is_refused),
        T(identities_of_other_key_types_are_accepted),
    };

    return crypto_start() != E_OK ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
