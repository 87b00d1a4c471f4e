/* The sessions of the vectors: byte for byte in both roles, and every bad message refused. */
#include "../src/proto/noise/symmetric.h"
#include "play_noise.h"

#include <base/mem.h>
#include <crypto/aead.h>
#include <crypto/random.h>
#include <lib/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MESSAGES_MAX 16u
#define NONE         SIZE_MAX

struct message {
    bool from_initiator;
    struct blob *payload, *bytes;
};

struct keys {
    uint8_t s_secret[32], e_secret[32];
};

struct session {
    char id[16];
    bool libp2p;
    struct blob *prologue;
    struct keys keys[2]; /* initiator, responder */
    struct peer_id peers[2];
    uint8_t hash[32];
    struct message messages[MESSAGES_MAX];
    size_t n;
};

static struct session sessions[32];
static size_t n_sessions;

static void copy_hex(struct table *t, const char *column, uint8_t out[static 32])
{
    struct view v = table_hex(t, column);

    assert_int_equal(v.n, 32);
    memcpy(out, v.p, 32);
}

static struct session *session_of(const char *id)
{
    for (size_t i = 0; i < n_sessions; i++) {
        if (strcmp(sessions[i].id, id) == 0) {
            return &sessions[i];
        }
    }
    fail_msg("session %s", id);
    return NULL;
}

static int load(void **state)
{
    struct table *t = table_open_any("noise/sessions.tsv");

    (void)state;
    while (table_next(t)) {
        struct session *s = &sessions[n_sessions++];

        snprintf(s->id, sizeof s->id, "%s", table_text(t, "session"));
        s->libp2p = strcmp(table_text(t, "kind"), "libp2p") == 0;
        s->prologue = blob_copy(table_hex(t, "prologue"));
        copy_hex(t, "i_static", s->keys[0].s_secret);
        copy_hex(t, "i_ephemeral", s->keys[0].e_secret);
        copy_hex(t, "r_static", s->keys[1].s_secret);
        copy_hex(t, "r_ephemeral", s->keys[1].e_secret);
        copy_hex(t, "handshake_hash", s->hash);
        if (s->libp2p) {
            assert_int_equal(peer_id_from_bytes(table_hex(t, "i_peer_id"), &s->peers[0]), E_OK);
            assert_int_equal(peer_id_from_bytes(table_hex(t, "r_peer_id"), &s->peers[1]), E_OK);
        }
    }
    table_close(t);
    t = table_open_any("noise/messages.tsv");
    while (table_next(t)) {
        struct session *s = session_of(table_text(t, "session"));
        struct message *m = &s->messages[s->n++];

        m->from_initiator = strcmp(table_text(t, "direction"), "i>r") == 0;
        m->payload = blob_copy(table_slice(t, "payload", "messages.bin"));
        m->bytes = blob_copy(table_slice(t, "message", "messages.bin"));
    }
    table_close(t);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_sessions; i++) {
        blob_unref(sessions[i].prologue);
        for (size_t k = 0; k < sessions[i].n; k++) {
            blob_unref(sessions[i].messages[k].payload);
            blob_unref(sessions[i].messages[k].bytes);
        }
    }
    return 0;
}

/* ---- libp2p sessions: our engine at both ends ---- */

static void end_begin(struct play_end *e, const struct session *s, bool initiator)
{
    const struct keys *k = &s->keys[initiator ? 0 : 1];
    const struct blob *payload = s->messages[initiator ? 2 : 1].payload;

    play_end_init(e, 1);
    memcpy(e->own.secret, k->s_secret, 32);
    x25519_public(e->own.secret, e->own.public);
    assert_true(payload->n <= sizeof e->own.payload);
    memcpy(e->own.payload, payload->b, payload->n);
    e->own.payload_n = payload->n;
    play_end_start(e, (struct noise_config){.initiator = initiator});
    e->rng.first = view_of(k->e_secret, 32);
}

static void give(struct play_end *e, struct view message)
{
    uint8_t head[2];

    store_be16(head, (uint16_t)message.n);
    assert_int_equal(buf_append(&e->in, head, 2), E_OK);
    assert_int_equal(buf_append_view(&e->in, message), E_OK);
    play_step(e);
}

static void expect_frame(struct play_end *e, const struct blob *want)
{
    assert_int_equal(e->out.n, 2 + want->n);
    assert_int_equal(load_be16(e->out.p), want->n);
    assert_memory_equal(e->out.p + 2, want->b, want->n);
    buf_clear(&e->out);
}

static enum err open_record(struct play_end *e, struct view message, struct view want)
{
    uint8_t *record = mem_alloc(2 + message.n);
    struct view got;
    size_t eaten;

    store_be16(record, (uint16_t)message.n);
    memcpy(record + 2, message.p, message.n);
    enum err err = noise_open(e->noise, record, 2 + message.n, &got, &eaten);
    if (err == E_OK) {
        assert_true(view_eq(got, want));
    }
    mem_free(record);
    return err;
}

static void expect_seal(struct play_end *e, const struct message *m)
{
    uint8_t *record = mem_alloc(m->payload->n + 18u);
    struct view plain = blob_view(m->payload);
    size_t n;

    assert_int_equal(noise_seal(e->noise, &plain, 1, record, &n), E_OK);
    assert_int_equal(n, 2 + m->bytes->n);
    assert_memory_equal(record + 2, m->bytes->b, m->bytes->n);
    mem_free(record);
}

/* The whole session; message `bad_at` is replaced on its way. What the receiver says. */
static enum err play_libp2p(const struct session *s, size_t bad_at, struct view bad)
{
    struct play_end ends[2];
    enum err e = E_OK;

    for (size_t i = 0; i < 2; i++) {
        end_begin(&ends[i], s, i == 0);
    }
    play_step(&ends[0]);
    for (size_t i = 0; i < s->n && e == E_OK; i++) {
        const struct message *m = &s->messages[i];
        struct play_end *from = &ends[m->from_initiator ? 0 : 1];
        struct play_end *to = &ends[m->from_initiator ? 1 : 0];
        struct view bytes = i == bad_at ? bad : blob_view(m->bytes);

        if (i < 3) {
            expect_frame(from, m->bytes);
            give(to, bytes);
            e = to->error;
        } else {
            expect_seal(from, m);
            e = open_record(to, bytes, blob_view(m->payload));
        }
    }
    if (e == E_OK) {
        assert_true(peer_id_eq(noise_peer(ends[0].noise), &s->peers[1]));
        assert_true(peer_id_eq(noise_peer(ends[1].noise), &s->peers[0]));
    }
    play_end_done(&ends[0]);
    play_end_done(&ends[1]);
    return e;
}

/* ---- plain sessions (prologue, any payload): the symmetric state under the same tokens ---- */

struct plain_end {
    struct symmetric sym;
    const struct keys *keys;
    uint8_t remote_e[32], remote_s[32];
    struct aead *tx, *rx;
    uint64_t tx_nonce, rx_nonce;
};

/* es and se alike: the sender's static key with the receiver's ephemeral one. */
static enum err agree(struct plain_end *p, bool sender)
{
    return sender ? symmetric_mix_dh(&p->sym, p->keys->s_secret, p->remote_e)
                  : symmetric_mix_dh(&p->sym, p->keys->e_secret, p->remote_s);
}

static enum err plain_write(struct plain_end *p, unsigned message, struct view payload,
                            struct wr *w)
{
    uint8_t public[32];

    if (message < 2) {
        x25519_public(p->keys->e_secret, public);
        wr_bytes(w, public, 32);
        symmetric_mix_hash(&p->sym, view_of(public, 32));
    }
    if (message == 1) {
        TRY(symmetric_mix_dh(&p->sym, p->keys->e_secret, p->remote_e));
    }
    if (message > 0) {
        x25519_public(p->keys->s_secret, public);
        symmetric_seal(&p->sym, view_of(public, 32), w);
        TRY(agree(p, true));
    }
    symmetric_seal(&p->sym, payload, w);
    return E_OK;
}

static enum err plain_read(struct plain_end *p, unsigned message, uint8_t *at, size_t n,
                           struct view *ret_payload)
{
    uint8_t *end = at + n;
    struct view key;

    if (message < 2) {
        if (n < 32) {
            return E_NOISE_FRAME;
        }
        memcpy(p->remote_e, at, 32);
        symmetric_mix_hash(&p->sym, view_of(at, 32));
        at += 32;
    }
    if (message == 1) {
        TRY(symmetric_mix_dh(&p->sym, p->keys->e_secret, p->remote_e));
    }
    if (message > 0) {
        if (end - at < 48) {
            return E_NOISE_FRAME;
        }
        TRY(symmetric_open(&p->sym, at, 48, &key));
        memcpy(p->remote_s, key.p, 32);
        at += 48;
        TRY(agree(p, false));
    }
    return symmetric_open(&p->sym, at, (size_t)(end - at), ret_payload);
}

static void plain_split(struct plain_end *p, bool initiator, const struct session *s)
{
    uint8_t first[32], second[32];

    assert_memory_equal(p->sym.hash, s->hash, 32);
    symmetric_split(&p->sym, first, second);
    p->tx = aead_new(initiator ? first : second);
    p->rx = aead_new(initiator ? second : first);
}

static enum err plain_message(struct plain_end *from, struct plain_end *to, const struct session *s,
                              size_t i, struct view bytes)
{
    static uint8_t out[70000], in[70000];
    const struct message *m = &s->messages[i];
    struct wr w = wr_of(out, sizeof out);
    struct view payload = blob_view(m->payload), got = {NULL, 0};

    memcpy(in, bytes.p, bytes.n);
    if (i < 3) {
        TRY(plain_write(from, (unsigned)i, payload, &w));
        assert_true(view_eq(wr_view(&w), blob_view(m->bytes)));
        TRY(plain_read(to, (unsigned)i, in, bytes.n, &got));
    } else {
        aead_seal(from->tx, from->tx_nonce++, (struct view){NULL, 0}, &payload, 1, out);
        assert_memory_equal(out, m->bytes->b, m->bytes->n);
        TRY(aead_open(to->rx, to->rx_nonce++, (struct view){NULL, 0}, in, bytes.n));
        got = view_of(in, bytes.n - AEAD_TAG);
    }
    if (!view_eq(got, payload)) {
        return E_NOISE_HANDSHAKE; /* a plaintext changed on its way: the next message tells */
    }
    return E_OK;
}

static enum err play_plain(const struct session *s, size_t bad_at, struct view bad)
{
    struct plain_end ends[2] = {{.keys = &s->keys[0]}, {.keys = &s->keys[1]}};
    enum err e = E_OK;

    for (size_t i = 0; i < 2; i++) {
        symmetric_init(&ends[i].sym, view_str("Noise_XX_25519_ChaChaPoly_SHA256"),
                       blob_view(s->prologue));
    }
    for (size_t i = 0; i < s->n && e == E_OK; i++) {
        const struct message *m = &s->messages[i];

        if (i == 3) {
            plain_split(&ends[0], true, s);
            plain_split(&ends[1], false, s);
        }
        e = plain_message(&ends[m->from_initiator ? 0 : 1], &ends[m->from_initiator ? 1 : 0], s, i,
                          i == bad_at ? bad : blob_view(m->bytes));
    }
    for (size_t i = 0; i < 2; i++) {
        symmetric_done(&ends[i].sym);
        aead_free(ends[i].tx);
        aead_free(ends[i].rx);
    }
    return e;
}

static enum err play(const struct session *s, size_t bad_at, struct view bad)
{
    return s->libp2p ? play_libp2p(s, bad_at, bad) : play_plain(s, bad_at, bad);
}

/* Spec: noise/README.md "Overview"; noise.org "Test vectors" */
static void every_session_is_the_vectors_byte_for_byte(void **state)
{
    size_t messages = 0;

    (void)state;
    for (size_t i = 0; i < n_sessions; i++) {
        if (play(&sessions[i], NONE, (struct view){NULL, 0}) != E_OK) {
            fail_msg("session %s", sessions[i].id);
        }
        messages += sessions[i].n;
    }
    print_message("%zu sessions, %zu messages\n", n_sessions, messages);
    assert_true(n_sessions >= 10);
}

static enum err refusal_of(const char *why)
{
    static const struct {
        const char *prefix;
        enum err want;
    } rows[] = {
        {"identity_key_missing", E_NOISE_PAYLOAD}, {"identity_sig_missing", E_NOISE_PAYLOAD},
        {"payload_not_protobuf", E_NOISE_PAYLOAD}, {"identity_sig_", E_NOISE_IDENTITY},
        {"first_message_31", E_NOISE_FRAME},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strncmp(why, rows[i].prefix, strlen(rows[i].prefix)) == 0) {
            return rows[i].want;
        }
    }
    return E_OK; /* any refusal */
}

static void every_bad_message_is_refused(void **state)
{
    struct table *t = table_open_any("noise/bad.tsv");
    size_t n = 0;

    (void)state;
    for (; table_next(t); n++) {
        const struct session *s = session_of(table_text(t, "session"));
        const char *why = table_text(t, "why");
        enum err want = refusal_of(why);
        enum err e = play(s, (size_t)table_u64(t, "replaces_message_index"),
                          table_slice(t, "message", "messages.bin"));

        if (e == E_OK || (want != E_OK && e != want)) {
            fail_msg("session %s: %s: %s", s->id, why, err_table[e].name);
        }
    }
    print_message("%zu bad messages\n", n);
    assert_true(n >= 70);
    table_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_session_is_the_vectors_byte_for_byte),
        cmocka_unit_test(every_bad_message_is_refused),
    };

    return crypto_start() != E_OK ? 1 : cmocka_run_group_tests(tests, load, unload);
}
