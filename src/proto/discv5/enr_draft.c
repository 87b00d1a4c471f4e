/* Making records: a draft of sorted pairs, then a signature. */
#include <codec/rlp.h>
#include <crypto/keccak.h>
#include <proto/enr.h>
#include <stdio.h>

void enr_draft_init(struct enr_draft *d, uint64_t seq)
{
    *d = (struct enr_draft){.seq = seq};
}

/* The place of `key`, or where it belongs. */
static size_t place_of(const struct enr_draft *d, const char *key, bool *ret_there)
{
    size_t i = 0;
    int c = 1;

    /* Keys have no NUL inside, so the order of strings is the order of bytes. */
    while (i < d->n && (c = strcmp(d->pairs[i].key, key)) < 0) {
        i++;
    }
    *ret_there = i < d->n && c == 0;
    return i;
}

static void set(struct enr_draft *d, const char *key, struct view value, bool is_list)
{
    struct enr_pair *pair;
    bool there;
    size_t at = place_of(d, key, &there);

    if (strlen(key) >= ENR_KEY_MAX || value.n > ENR_VALUE_MAX ||
        (!there && d->n == ENR_PAIRS_MAX)) {
        d->full = true;
        return;
    }
    pair = &d->pairs[at];
    if (!there) {
        memmove(pair + 1, pair, (d->n - at) * sizeof *pair);
        d->n++;
    }
    *pair = (struct enr_pair){.is_list = is_list, .n = (uint8_t)value.n};
    memcpy(pair->key, key, strlen(key));
    if (value.n > 0) {
        memcpy(pair->value, value.p, value.n);
    }
}

void enr_draft_set(struct enr_draft *d, const char *key, struct view value)
{
    set(d, key, value, false);
}

void enr_draft_set_list(struct enr_draft *d, const char *key, struct view rlp)
{
    set(d, key, rlp, true);
}

void enr_draft_set_u64(struct enr_draft *d, const char *key, uint64_t x)
{
    uint8_t be[8];
    size_t skip = 0;

    store_be64(be, x);
    while (skip < 8 && be[skip] == 0) {
        skip++;
    }
    set(d, key, view_of(be + skip, 8 - skip), false);
}

void enr_draft_set_endpoint(struct enr_draft *d, const char *kind, const struct addr *a)
{
    bool v6 = a->family == 6;
    char key[ENR_KEY_MAX];

    snprintf(key, sizeof key, "%s%s", kind, v6 ? "6" : "");
    set(d, v6 ? "ip6" : "ip", view_of(a->ip, v6 ? 16 : 4), false);
    enr_draft_set_u64(d, key, a->port);
}

void enr_draft_unset(struct enr_draft *d, const char *key)
{
    bool there;
    size_t at = place_of(d, key, &there);

    if (there) {
        d->n--;
        memmove(&d->pairs[at], &d->pairs[at + 1], (d->n - at) * sizeof d->pairs[0]);
    }
}

void enr_draft_from(struct enr_draft *d, const struct enr *e)
{
    struct enr_walk w;
    struct view k, v;
    bool is_list;

    enr_draft_init(d, e->seq);
    enr_walk_begin(e, &w);
    while (enr_walk_next(&w, &k, &v, &is_list)) {
        char key[ENR_KEY_MAX] = {0};

        if (k.n >= ENR_KEY_MAX || memchr(k.p, 0, k.n) != NULL) {
            d->full = true; /* a stranger's key: ours are short texts */
            continue;
        }
        memcpy(key, k.p, k.n);
        set(d, key, v, is_list);
    }
    enr_draft_unset(d, "id");
    enr_draft_unset(d, "secp256k1");
}

/* seq and the pairs, identity included, without a list's head. */
static void put_content(struct wr *w, struct enr_draft *d, const struct ident *id)
{
    enr_draft_set(d, "id", view_str("v4"));
    enr_draft_set(d, "secp256k1", view_of(id->public, SECP_PUBLIC));
    rlp_put_u64(w, d->seq);
    for (size_t i = 0; i < d->n; i++) {
        const struct enr_pair *p = &d->pairs[i];

        rlp_put_bytes(w, view_str(p->key));
        if (p->is_list) {
            wr_bytes(w, p->value, p->n);
        } else {
            rlp_put_bytes(w, view_of(p->value, p->n));
        }
    }
}

enum err enr_sign(const struct enr_draft *d, const struct ident *id, struct enr *ret)
{
    uint8_t content[ENR_MAX], listed[ENR_MAX + 8], hash[32], signature[SECP_SIGNATURE];
    struct enr e = {.seq = d->seq};
    struct wr items = wr_of(content, sizeof content), list = wr_of(listed, sizeof listed),
              out = wr_of(e.raw, sizeof e.raw);
    struct enr_draft whole = *d;

    put_content(&items, &whole, id);
    if (items.bad || whole.full) {
        return E_ENR_SIZE;
    }
    wr_view_bytes(&list, wr_view(&items));
    rlp_list_end(&list, 0);
    keccak256(wr_view(&list), hash);
    ident_sign(id, hash, signature);
    rlp_put_bytes(&out, view_of(signature, sizeof signature));
    wr_view_bytes(&out, wr_view(&items));
    rlp_list_end(&out, 0);
    if (out.bad) {
        return E_ENR_SIZE;
    }
    e.n = (uint16_t)wr_len(&out);
    memcpy(e.public, id->public, SECP_PUBLIC);
    TRY(node_id_from_public(e.public, &e.id));
    *ret = e;
    return E_OK;
}
