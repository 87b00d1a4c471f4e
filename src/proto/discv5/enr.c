#include <assert.h>
#include <codec/base.h>
#include <codec/rlp.h>
#include <crypto/keccak.h>
#include <proto/enr.h>
#include <stdio.h>

#define PREFIX "enr:"

/* A string item of the given length off the front of `in`; any length when n is 0. */
static enum err take_string(struct view *in, size_t n, struct view *ret)
{
    struct rlp_item item;

    if (rlp_next(in, &item) != E_OK || item.is_list || (n != 0 && item.body.n != n)) {
        return E_ENR;
    }
    *ret = item.body;
    return E_OK;
}

/* Walk all pairs once: order, and the two keys of the identity scheme. */
static enum err check_pairs(struct view pairs, struct view *ret_public)
{
    struct view key, last = {NULL, 0}, id = {NULL, 0}, public = {NULL, 0};
    struct rlp_item value;

    for (bool first = true; pairs.n > 0; first = false, last = key) {
        TRY(take_string(&pairs, 0, &key));
        if (rlp_next(&pairs, &value) != E_OK || (!first && view_cmp(last, key) >= 0)) {
            return E_ENR;
        }
        if (!value.is_list && view_eq(key, view_str("id"))) {
            id = value.body;
        }
        if (!value.is_list && view_eq(key, view_str("secp256k1"))) {
            public = value.body;
        }
    }
    if (!view_eq(id, view_str("v4")) || public.n != SECP_PUBLIC) {
        return E_ENR;
    }
    *ret_public = public;
    return E_OK;
}

/* What is signed: the record's items without the signature, as a list of their own. */
static void content_hash(struct view items, uint8_t ret[static 32])
{
    uint8_t content[ENR_MAX + 8];
    struct wr w = wr_of(content, sizeof content);
    size_t mark = rlp_list_begin(&w);

    wr_view_bytes(&w, items);
    rlp_list_end(&w, mark);
    keccak256(wr_view(&w), ret);
}

/* All but the curve: what the bytes say, and the parts that the signature is about. */
static enum err read_record(struct view rlp, struct enr *e, struct view *ret_content,
                            struct view *ret_signature)
{
    struct view in = rlp, items, seq, public;
    struct rlp_item list;

    if (rlp.n > ENR_MAX) {
        return E_ENR_SIZE;
    }
    if (rlp_next(&in, &list) != E_OK || !list.is_list || in.n != 0) {
        return E_ENR;
    }
    items = list.body;
    TRY(take_string(&items, SECP_SIGNATURE, ret_signature));
    *ret_content = items;
    TRY(take_string(&items, 0, &seq));
    if (rlp_u64(seq, &e->seq) != E_OK) {
        return E_ENR;
    }
    TRY(check_pairs(items, &public));
    memcpy(e->public, public.p, SECP_PUBLIC);
    e->n = (uint16_t)rlp.n;
    memcpy(e->raw, rlp.p, rlp.n);
    return E_OK;
}

/* Spec: devp2p enr.md "RLP Encoding", "\"v4\" Identity Scheme" */
enum err enr_decode(struct view rlp, struct enr *ret)
{
    struct view content, signature;
    struct enr e = {.n = 0};
    uint8_t hash[32];

    TRY(read_record(rlp, &e, &content, &signature));
    if (node_id_from_public(e.public, &e.id) != E_OK) {
        return E_ENR;
    }
    content_hash(content, hash);
    if (secp_verify(e.public, hash, signature.p) != E_OK) {
        return E_ENR_SIGNATURE;
    }
    *ret = e;
    return E_OK;
}

enum err enr_decode_verified(struct view rlp, const struct node_id *id, struct enr *ret)
{
    struct view content, signature;
    struct enr e = {.id = *id};

    TRY(read_record(rlp, &e, &content, &signature));
    *ret = e;
    return E_OK;
}

enum err enr_parse(struct view text, struct enr *ret)
{
    uint8_t rlp[ENR_MAX];
    size_t n;

    enum err e;

    if (text.n < sizeof PREFIX - 1 || memcmp(text.p, PREFIX, sizeof PREFIX - 1) != 0) {
        return E_ENR;
    }
    e = base64url_get(view_skip(text, sizeof PREFIX - 1), rlp, sizeof rlp, &n);
    if (e != E_OK) {
        return e == E_FULL ? E_ENR_SIZE : E_ENR;
    }
    return enr_decode(view_of(rlp, n), ret);
}

const char *enr_text(const struct enr *e, char out[static ENR_TEXT_MAX])
{
    memcpy(out, PREFIX, sizeof PREFIX);
    IGNORE(base64url_put(enr_view(e), out + sizeof PREFIX - 1, ENR_TEXT_MAX - sizeof PREFIX + 1),
           "400 characters hold 300 bytes");
    return out;
}

void enr_walk_begin(const struct enr *e, struct enr_walk *w)
{
    struct view in = enr_view(e), skipped;
    struct rlp_item list = {.is_list = true};

    /* The record was verified: nothing here fails. */
    IGNORE(rlp_next(&in, &list), "verified");
    w->left = list.body;
    IGNORE(take_string(&w->left, 0, &skipped), "signature");
    IGNORE(take_string(&w->left, 0, &skipped), "seq");
}

bool enr_walk_next(struct enr_walk *w, struct view *ret_key, struct view *ret_value,
                   bool *ret_is_list)
{
    struct rlp_item key, value;

    if (rlp_next(&w->left, &key) != E_OK || rlp_next(&w->left, &value) != E_OK) {
        return false;
    }
    *ret_key = key.body;
    *ret_value = value.is_list ? value.whole : value.body;
    *ret_is_list = value.is_list;
    return true;
}

static bool find(const struct enr *e, const char *key, struct view *ret, bool *ret_is_list)
{
    struct enr_walk w;
    struct view k, v;
    bool is_list;

    enr_walk_begin(e, &w);
    while (enr_walk_next(&w, &k, &v, &is_list)) {
        if (view_eq(k, view_str(key))) {
            *ret = v;
            *ret_is_list = is_list;
            return true;
        }
    }
    return false;
}

bool enr_get(const struct enr *e, const char *key, struct view *ret)
{
    bool is_list;

    return find(e, key, ret, &is_list);
}

bool enr_get_u64(const struct enr *e, const char *key, uint64_t *ret)
{
    struct view v;
    bool is_list;

    return find(e, key, &v, &is_list) && !is_list && rlp_u64(v, ret) == E_OK;
}

static bool get_port(const struct enr *e, const char *kind, const char *suffix, uint64_t *ret)
{
    char key[ENR_KEY_MAX];

    snprintf(key, sizeof key, "%s%s", kind, suffix);
    return enr_get_u64(e, key, ret);
}

bool enr_endpoint(const struct enr *e, uint8_t family, const char *kind, struct addr *ret)
{
    struct view ip;
    uint64_t port;
    bool v6 = family == 6, shared = strcmp(kind, "quic") != 0;

    if (!enr_get(e, v6 ? "ip6" : "ip", &ip) || ip.n != (v6 ? 16 : 4)) {
        return false;
    }
    if (!get_port(e, kind, v6 ? "6" : "", &port) &&
        !(v6 && shared && get_port(e, kind, "", &port))) {
        return false;
    }
    if (port == 0 || port > UINT16_MAX) {
        return false;
    }
    *ret = addr_of(family, ip.p, (uint16_t)port);
    return ret->family == family; /* an IPv4 address in IPv6's clothes is neither */
}

enum err node_id_from_public(const uint8_t public[static SECP_PUBLIC], struct node_id *ret)
{
    uint8_t xy[64];

    TRY(secp_uncompress(public, xy));
    keccak256(view_of(xy, sizeof xy), ret->b);
    return E_OK;
}

bool node_id_eq(const struct node_id *a, const struct node_id *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

unsigned node_id_distance(const struct node_id *a, const struct node_id *b)
{
    for (unsigned i = 0; i < sizeof a->b; i++) {
        unsigned x = a->b[i] ^ b->b[i], bits = 0;

        for (; x != 0; x >>= 1) {
            bits++;
        }
        if (bits != 0) {
            return 8 * (31 - i) + bits;
        }
    }
    return 0;
}

int node_id_nearer(const struct node_id *target, const struct node_id *a, const struct node_id *b)
{
    for (unsigned i = 0; i < sizeof a->b; i++) {
        int x = a->b[i] ^ target->b[i], y = b->b[i] ^ target->b[i];

        if (x != y) {
            return x - y;
        }
    }
    return 0;
}

void node_id_random(struct rng *rng, const struct node_id *prefix, unsigned bits,
                    struct node_id *ret)
{
    assert(bits <= 8 * sizeof ret->b);
    rng_fill(rng, ret->b, sizeof ret->b);
    for (unsigned i = 0; i < sizeof ret->b && 8 * i < bits; i++) {
        unsigned n = bits - 8 * i < 8 ? bits - 8 * i : 8, keep = 0xff00u >> n & 0xff;

        ret->b[i] = (uint8_t)((prefix->b[i] & keep) | (ret->b[i] & ~keep));
    }
}
