/* The wire format against vectors: packets, messages, key agreement. */
#include "../../../../src/proto/discv5/keys.h"
#include "../../../../src/proto/discv5/message.h"
#include "../../../../src/proto/discv5/packet.h"

#include <base/mem.h>
#include <codec/rlp.h>
#include <crypto/aes.h>
#include <lib/hex.h>
#include <lib/mutate.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void same(const struct table *t, const char *what, struct view got, struct view want)
{
    if (!view_eq(got, want)) {
        fail_msg("%s: %s", table_where(t), what);
    }
}

/* ---- the published vectors ---- */

/* The value of `key` in the published vector of that name. */
static struct blob *published(const char *vector, const char *key)
{
    struct table *vectors = table_open(P2PD_SOURCE_DIR "/tests/vectors/discv5/spec_vectors.tsv");
    struct blob *b = NULL;

    while (b == NULL && table_next(vectors)) {
        if (strcmp(table_text(vectors, "vector"), vector) == 0 &&
            strcmp(table_text(vectors, "key"), key) == 0) {
            b = hex_blob(table_text(vectors, "value"));
        }
    }
    table_close(vectors);
    assert_non_null(b);
    return b;
}

static void put_published(const char *vector, const char *key, void *out, size_t n)
{
    struct blob *b = published(vector, key);

    assert_int_equal(b->n, n);
    memcpy(out, b->b, n);
    blob_unref(b);
}

static const char *const packet_vectors[] = {
    "Ping message packet (flag 0)",
    "Ping handshake packet (flag 2)",
    "Ping handshake message packet (flag 2, with ENR)",
};

/* Spec: devp2p discv5/discv5-wire-test-vectors.md "Packet Encodings" */
static void published_pings_are_read_and_written_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(packet_vectors); i++) {
        const char *v = packet_vectors[i];
        struct blob *bytes = published(v, "packet");
        uint8_t key[KEY_SIZE], plain[DISCV5_PACKET_MAX], out[DISCV5_PACKET_MAX];
        struct node_id src, dest;
        struct packet p;
        struct message m;
        size_t n;

        put_published(v, "src_node_id", src.b, 32);
        put_published(v, "dest_node_id", dest.b, 32);
        put_published(v, "read_key", key, KEY_SIZE);
        assert_int_equal(d5_packet_open(blob_view(bytes), &dest, &p), E_OK);
        assert_memory_equal(p.src.b, src.b, 32);
        assert_int_equal(aes128_gcm_open(key, p.nonce, p.head, p.message, plain), E_OK);
        assert_int_equal(d5_message_decode(view_of(plain, p.message.n - 16), &m), E_OK);
        assert_true(m.type == MSG_PING && m.id_n == 4 && m.id[3] == 1);
        assert_true(m.enr_seq == (i == 0 ? 2 : 1));

        struct packet_out po = {&src, &dest, p.b, p.nonce};
        struct handshake_out h = {p.signature, p.ephemeral, p.record, key};
        struct view message = view_of(plain, p.message.n - 16);

        n = p.flag == PACKET_ORDINARY ? d5_packet_put_ordinary(&po, key, message, out)
                                      : d5_packet_put_handshake(&po, &h, message, out);
        assert_true(view_eq(view_of(out, n), blob_view(bytes)));
        blob_unref(bytes);
    }
}

/* Spec: devp2p discv5/discv5-wire-test-vectors.md "Packet Encodings" */
static void published_handshakes_give_their_keys_and_verify(void **state)
{
    (void)state;
    for (size_t i = 1; i < ARRAY_LEN(packet_vectors); i++) {
        const char *v = packet_vectors[i];
        struct blob *bytes = published(v, "packet");
        uint8_t challenge[CHALLENGE_DATA], secret[32], key[KEY_SIZE], signature[SECP_SIGNATURE];
        struct exchange x = {.challenge = challenge};
        struct node_id src, dest;
        struct ident a, b, e;
        struct packet p;
        struct keys k;

        put_published(v, "src_node_id", src.b, 32);
        put_published(v, "dest_node_id", dest.b, 32);
        put_published(v, "whoareyou_challenge_data", challenge, CHALLENGE_DATA);
        put_published(v, "read_key", key, KEY_SIZE);
        put_published(v, "node_a_key", secret, 32);
        assert_int_equal(ident_from_secret(secret, &a), E_OK);
        put_published(v, "node_b_key", secret, 32);
        assert_int_equal(ident_from_secret(secret, &b), E_OK);
        put_published(v, "ephemeral_key", secret, 32);
        assert_int_equal(ident_from_secret(secret, &e), E_OK);
        assert_int_equal(d5_packet_open(blob_view(bytes), &dest, &p), E_OK);
        assert_memory_equal(p.ephemeral, e.public, SECP_PUBLIC);

        x.a = &src;
        x.b = &dest;
        x.ephemeral = p.ephemeral;
        assert_int_equal(d5_exchange_verify(&x, a.public, p.signature), E_OK);
        d5_exchange_sign(&x, &a, signature);
        assert_memory_equal(signature, p.signature, SECP_SIGNATURE);
        assert_int_equal(d5_keys_derive(&x, b.secret, p.ephemeral, &k), E_OK);
        assert_memory_equal(k.initiator, key, KEY_SIZE);
        assert_int_equal(d5_keys_derive(&x, e.secret, b.public, &k), E_OK);
        assert_memory_equal(k.initiator, key, KEY_SIZE);
        if (p.record.n > 0) {
            struct enr record;

            assert_int_equal(enr_decode(p.record, &record), E_OK);
            assert_memory_equal(record.id.b, src.b, 32);
        }
        blob_unref(bytes);
    }
}

/* Spec: devp2p discv5/discv5-wire-test-vectors.md "Packet Encodings" */
static void the_published_whoareyou_is_read_and_written_again(void **state)
{
    const char *v = "WHOAREYOU packet (flag 1)";
    struct blob *bytes = published(v, "packet");
    uint8_t want[CHALLENGE_DATA], got[CHALLENGE_DATA], id_nonce[ID_NONCE_SIZE];
    uint8_t out[DISCV5_PACKET_MAX];
    struct node_id dest;
    struct packet p;

    (void)state;
    put_published(v, "dest_node_id", dest.b, 32);
    put_published(v, "whoareyou_challenge_data", want, sizeof want);
    put_published(v, "whoareyou_id_nonce", id_nonce, sizeof id_nonce);
    assert_int_equal(d5_packet_open(blob_view(bytes), &dest, &p), E_OK);
    assert_true(p.flag == PACKET_WHOAREYOU && p.enr_seq == 0);
    assert_true(view_eq(p.head, view_of(want, sizeof want)));

    struct packet_out po = {NULL, &dest, p.b, p.nonce};

    assert_int_equal(d5_packet_put_whoareyou(&po, id_nonce, 0, got, out), CHALLENGE_DATA);
    assert_memory_equal(got, want, sizeof want);
    assert_true(view_eq(view_of(out, CHALLENGE_DATA), blob_view(bytes)));
    blob_unref(bytes);
}

/* Spec: devp2p discv5/discv5-wire-test-vectors.md "Cryptographic Primitives" */
static void the_published_primitives(void **state)
{
    uint8_t secret[32], public[SECP_PUBLIC], shared[SECP_PUBLIC], want[SECP_SIGNATURE];
    uint8_t challenge[CHALLENGE_DATA], got[SECP_SIGNATURE];
    struct node_id a = {{0}}, b;
    struct exchange x = {challenge, &a, &b, public};
    struct ident id;
    struct keys k;

    (void)state;
    put_published("ECDH", "secret_key", secret, 32);
    put_published("ECDH", "public_key", public, SECP_PUBLIC);
    put_published("ECDH", "shared_secret", want, SECP_PUBLIC);
    assert_int_equal(secp_ecdh(secret, public, shared), E_OK);
    assert_memory_equal(shared, want, SECP_PUBLIC);

    put_published("Key Derivation", "ephemeral_key", secret, 32);
    put_published("Key Derivation", "dest_pubkey", public, SECP_PUBLIC);
    put_published("Key Derivation", "node_id_a", a.b, 32);
    put_published("Key Derivation", "node_id_b", b.b, 32);
    put_published("Key Derivation", "challenge_data", challenge, sizeof challenge);
    assert_int_equal(d5_keys_derive(&x, secret, public, &k), E_OK);
    put_published("Key Derivation", "initiator_key", want, KEY_SIZE);
    assert_memory_equal(k.initiator, want, KEY_SIZE);
    put_published("Key Derivation", "recipient_key", want, KEY_SIZE);
    assert_memory_equal(k.recipient, want, KEY_SIZE);

    put_published("ID Nonce Signing", "static_key", secret, 32);
    put_published("ID Nonce Signing", "challenge_data", challenge, sizeof challenge);
    put_published("ID Nonce Signing", "ephemeral_pubkey", public, SECP_PUBLIC);
    put_published("ID Nonce Signing", "node_id_B", b.b, 32);
    put_published("ID Nonce Signing", "id_signature", want, SECP_SIGNATURE);
    assert_int_equal(ident_from_secret(secret, &id), E_OK);
    d5_exchange_sign(&x, &id, got);
    assert_memory_equal(got, want, SECP_SIGNATURE);
    assert_int_equal(d5_exchange_verify(&x, id.public, got), E_OK);
    got[5] ^= 1;
    assert_int_not_equal(d5_exchange_verify(&x, id.public, got), E_OK);
}

/* ---- generated ones: more of the same shapes ---- */

static void key_agreement_of_the_table(void **state)
{
    struct table *t = table_open_any("discv5/crypto.tsv");

    (void)state;
    while (table_next(t)) {
        struct node_id a, b;
        uint8_t challenge[CHALLENGE_DATA], ephemeral[SECP_PUBLIC], public[SECP_PUBLIC], secret[32];
        struct exchange x = {challenge, &a, &b, ephemeral};
        struct keys k;

        memcpy(a.b, table_hex(t, "node_id_a").p, 32);
        memcpy(b.b, table_hex(t, "node_id_b").p, 32);
        memcpy(challenge, table_hex(t, "challenge_data").p, CHALLENGE_DATA);
        memcpy(ephemeral, table_hex(t, "ephemeral_pubkey").p, SECP_PUBLIC);
        memcpy(public, table_hex(t, "static_pubkey").p, SECP_PUBLIC);
        memcpy(secret, table_hex(t, "ephemeral_key").p, 32);
        assert_int_equal(d5_keys_derive(&x, secret, public, &k), E_OK);
        same(t, "initiator", view_of(k.initiator, KEY_SIZE), table_hex(t, "initiator_key"));
        same(t, "recipient", view_of(k.recipient, KEY_SIZE), table_hex(t, "recipient_key"));
        assert_int_equal(
            d5_exchange_verify(&x, public, table_hex(t, "id_signature_by_static_for_node_b").p),
            E_OK);
    }
    table_close(t);
}

static void check_handshake_row(struct table *t, const struct packet *p, const struct node_id *dest)
{
    uint8_t challenge[CHALLENGE_DATA], secret[32];
    struct exchange x = {challenge, &p->src, dest, p->ephemeral};
    struct ident a, b;
    struct keys k;

    memcpy(challenge, table_hex(t, "challenge_data").p, CHALLENGE_DATA);
    memcpy(secret, table_hex(t, "node_a_key").p, 32);
    assert_int_equal(ident_from_secret(secret, &a), E_OK);
    memcpy(secret, table_hex(t, "node_b_key").p, 32);
    assert_int_equal(ident_from_secret(secret, &b), E_OK);
    same(t, "ephemeral", view_of(p->ephemeral, SECP_PUBLIC), table_hex(t, "ephemeral_pubkey"));
    same(t, "signature", view_of(p->signature, SECP_SIGNATURE), table_hex(t, "id_signature"));
    same(t, "record", p->record, table_hex(t, "record"));
    assert_int_equal(d5_exchange_verify(&x, a.public, p->signature), E_OK);
    assert_int_equal(d5_keys_derive(&x, b.secret, p->ephemeral, &k), E_OK);
    same(t, "key", view_of(k.initiator, KEY_SIZE), table_hex(t, "read_key"));
}

static void check_message_row(struct table *t, const struct packet *p, const struct node_id *dest)
{
    uint8_t key[KEY_SIZE], plain[DISCV5_PACKET_MAX] = {0}, out[DISCV5_PACKET_MAX];
    struct packet_out po = {&p->src, dest, p->b, p->nonce};
    struct handshake_out h = {p->signature, p->ephemeral, p->record, key};
    struct view message = view_of(plain, p->message.n - AES_TAG);
    size_t n;

    memcpy(key, table_hex(t, "read_key").p, KEY_SIZE);
    assert_int_equal(aes128_gcm_open(key, p->nonce, p->head, p->message, plain), E_OK);
    same(t, "plain", message, table_hex(t, "message_plain"));
    n = p->flag == PACKET_HANDSHAKE ? d5_packet_put_handshake(&po, &h, message, out)
                                    : d5_packet_put_ordinary(&po, key, message, out);
    same(t, "written again", view_of(out, n), table_hex(t, "packet"));
}

static void packets_of_the_table_are_read_and_written_again(void **state)
{
    struct table *t = table_open_any("discv5/packets.tsv");

    (void)state;
    while (table_next(t)) {
        struct node_id dest;
        struct packet p;

        memcpy(dest.b, table_hex(t, "dest_node_id").p, 32);
        assert_int_equal(d5_packet_open(table_hex(t, "packet"), &dest, &p), E_OK);
        assert_int_equal(p.flag, table_u64(t, "flag"));
        same(t, "nonce", view_of(p.nonce, NONCE_SIZE), table_hex(t, "nonce"));
        if (p.flag == PACKET_WHOAREYOU) {
            same(t, "challenge", p.head, table_hex(t, "challenge_data"));
            continue;
        }
        same(t, "source", view_of(p.src.b, 32), table_hex(t, "src_node_id"));
        check_message_row(t, &p, &dest);
        if (p.flag == PACKET_HANDSHAKE) {
            check_handshake_row(t, &p, &dest);
        }
    }
    table_close(t);
}

static void malformed_packets_are_refused(void **state)
{
    struct table *t = table_open_any("discv5/packets_bad.tsv");

    (void)state;
    while (table_next(t)) {
        struct node_id dest;
        struct packet p;

        memcpy(dest.b, table_hex(t, "dest_node_id").p, 32);
        if (d5_packet_open(table_hex(t, "packet"), &dest, &p) != E_DISCV5_PACKET) {
            fail_msg("%s: %s", table_where(t), table_text(t, "why"));
        }
    }
    table_close(t);
}

struct opened {
    struct node_id dest;
    uint8_t key[KEY_SIZE];
};

/* A changed packet may keep a readable header, but its message never opens. */
static void must_not_open(void *self, enum mutate_kind kind, size_t at, struct view v)
{
    const struct opened *o = self;
    uint8_t plain[DISCV5_PACKET_MAX];
    struct packet p;

    (void)kind;
    if (d5_packet_open(v, &o->dest, &p) == E_OK && p.flag != PACKET_WHOAREYOU &&
        aes128_gcm_open(o->key, p.nonce, p.head, p.message, plain) == E_OK) {
        fail_msg("a change at %zu goes unseen", at);
    }
}

static void any_change_of_a_packet_is_seen(void **state)
{
    struct table *t = table_open_any("discv5/packets.tsv");

    (void)state;
    while (table_next(t)) {
        struct opened o;

        if (table_empty(t, "read_key")) {
            continue;
        }
        memcpy(o.dest.b, table_hex(t, "dest_node_id").p, 32);
        memcpy(o.key, table_hex(t, "read_key").p, KEY_SIZE);
        mutate_each(table_hex(t, "packet"), 200, must_not_open, &o);
    }
    table_close(t);
}

static void messages_of_the_table(void **state)
{
    struct table *t = table_open_any("discv5/messages.tsv");
    uint8_t out[2 * DISCV5_PACKET_MAX];

    (void)state;
    while (table_next(t)) {
        struct message m;
        enum err e = d5_message_decode(table_hex(t, "plain"), &m);
        struct wr w = wr_of(out, sizeof out);

        if ((e == E_OK) != (table_u64(t, "valid") == 1)) {
            fail_msg("%s: %s", table_where(t), err_text(e));
        }
        if (e != E_OK || (m.type == MSG_FINDNODE && m.distances_n == DISTANCES_MAX)) {
            continue; /* the latter are cut */
        }
        d5_message_put(&w, &m);
        assert_false(w.bad);
        if (!(m.type == MSG_FINDNODE)) { /* repeated distances are dropped */
            same(t, "written again", wr_view(&w), table_hex(t, "plain"));
        }
    }
    table_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_pings_are_read_and_written_again),
        cmocka_unit_test(published_handshakes_give_their_keys_and_verify),
        cmocka_unit_test(the_published_whoareyou_is_read_and_written_again),
        cmocka_unit_test(the_published_primitives),
        cmocka_unit_test(key_agreement_of_the_table),
        cmocka_unit_test(packets_of_the_table_are_read_and_written_again),
        cmocka_unit_test(malformed_packets_are_refused),
        cmocka_unit_test(any_change_of_a_packet_is_seen),
        cmocka_unit_test(messages_of_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
