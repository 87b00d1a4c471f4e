#include "play_kad.h"

#include <assert.h>
#include <base/mem.h>
#include <codec/varint.h>
#include <crypto/sha256.h>

void play_begin(struct play *p, uint64_t seed)
{
    p->n = 0;
    p->requests = p->candidates = 0;
    p->lie = NULL;
    p->now = (struct now){SECONDS(1000), SECONDS(1700000000)};
    rng_seeded_init(&p->rng, seed);
}

void play_end(struct play *p)
{
    for (size_t i = 0; i < p->n; i++) {
        kad_free(p->nodes[i].kad);
    }
}

void play_peer(uint64_t number, struct kad_peer *ret)
{
    uint8_t public[SECP_PUBLIC] = {2}, ip[4] = {127, (uint8_t)(number >> 8), (uint8_t)number, 1};

    memset(ret, 0, sizeof *ret);
    store_be64(public + 1, number);
    peer_id_from_secp(public, &ret->id);
    ret->addrs[0] = (struct kad_addr){addr_of(4, ip, 4001), TRANSPORT_TCP};
    ret->n_addrs = 1;
}

void play_config(const struct kad_peer *self, struct kad_config *cfg)
{
    kad_config_default(cfg);
    cfg->self = self->id;
    cfg->allow_private = true;
    memcpy(cfg->prefixes[cfg->n_prefixes++], "/t/", sizeof "/t/");
}

size_t play_add(struct play *p, const struct kad_config *given)
{
    struct play_node *n = &p->nodes[p->n];
    struct kad_config cfg;

    assert(p->n < PLAY_MAX);
    memset(n, 0, sizeof *n);
    play_peer(p->n + 1, &n->peer);
    play_config(&n->peer, &cfg);
    if (given != NULL) {
        cfg = *given;
        cfg.self = n->peer.id;
    }
    n->kad = kad_new(&cfg, &p->rng.base, p->now);
    kad_set_addrs(n->kad, n->peer.addrs, n->peer.n_addrs);
    return p->n++;
}

void play_meet(struct play *p, size_t a, size_t b)
{
    kad_peer_up(p->nodes[a].kad, &p->nodes[b].peer, p->now);
    kad_peer_up(p->nodes[b].kad, &p->nodes[a].peer, p->now);
}

static size_t node_of(const struct play *p, const struct peer_id *id)
{
    for (size_t i = 0; i < p->n; i++) {
        if (peer_id_eq(&p->nodes[i].peer.id, id)) {
            return i;
        }
    }
    return PLAY_MAX;
}

static struct view unframe(const struct buf *b)
{
    struct view v = buf_view(b);
    uint64_t n;

    assert(varint_take(&v, &n) == E_OK && n == v.n && n <= KAD_WRITE_MAX);
    return v;
}

static void deliver(struct play *p, size_t from, const struct kad_request *r, struct view message)
{
    struct kad *asker = p->nodes[from].kad;
    size_t to = node_of(p, &r->peer.id);
    struct kad_message asked;
    struct buf out;

    p->requests++;
    if (to == PLAY_MAX || p->nodes[to].dead) {
        kad_failed(asker, r->id, p->now);
        return;
    }
    play_meet(p, from, to);
    buf_init(&out, 4 * KAD_MESSAGE_MAX);
    assert(kad_message_read(message, &asked) == E_OK);
    bool lied = r->answered && p->lie != NULL && p->lie(p, to, &asked, &out);
    enum err e =
        lied ? E_OK : kad_serve(p->nodes[to].kad, &p->nodes[from].peer.id, message, p->now, &out);
    if (e != E_OK || (r->answered && out.n == 0)) {
        kad_failed(asker, r->id, p->now);
    } else {
        assert(r->answered == (out.n != 0));
        struct view v = lied ? buf_view(&out) : out.n != 0 ? unframe(&out) : view_of(NULL, 0);
        (void)!kad_answer(asker, r->id, v, p->now);
    }
    buf_done(&out);
}

static void drain(struct play *p, struct play_node *n)
{
    struct kad_event ev;

    while (kad_next_event(n->kad, &ev)) {
        switch (ev.kind) {
        case KAD_CANDIDATE:
            p->candidates++;
            break;
        case KAD_FOUND:
        case KAD_PROVIDER:
            assert(n->n_found < 128);
            n->found[n->n_found++] = ev.peer;
            break;
        case KAD_VALUE:
            n->has_value = true;
            n->value_n = ev.value.n;
            memcpy(n->value, ev.value.p, ev.value.n);
            break;
        case KAD_DONE:
            n->done = ev.query;
            n->count = ev.count;
            n->error = ev.error;
            break;
        }
    }
}

void play_settle(struct play *p)
{
    struct kad_request r;
    struct buf out;
    bool more = true;

    buf_init(&out, KAD_WRITE_MAX + VARINT_MAX);
    while (more) {
        more = false;
        for (size_t i = 0; i < p->n; i++) {
            while (!p->nodes[i].dead && kad_next_request(p->nodes[i].kad, p->now, &r, &out)) {
                deliver(p, i, &r, unframe(&out));
                buf_clear(&out);
                more = true;
            }
            drain(p, &p->nodes[i]);
        }
    }
    buf_done(&out);
}

void play_run(struct play *p, uint64_t ns)
{
    uint64_t end = p->now.mono_ns + ns;

    for (;;) {
        uint64_t at = NEVER;

        play_settle(p);
        for (size_t i = 0; i < p->n; i++) {
            at = p->nodes[i].dead ? at : earlier(at, kad_deadline(p->nodes[i].kad));
        }
        if (at > end) {
            break;
        }
        at = at < p->now.mono_ns ? p->now.mono_ns : at;
        p->now.wall_ns += at - p->now.mono_ns;
        p->now.mono_ns = at;
        for (size_t i = 0; i < p->n; i++) {
            if (!p->nodes[i].dead && kad_deadline(p->nodes[i].kad) <= at) {
                kad_tick(p->nodes[i].kad, p->now);
            }
        }
    }
    p->now.wall_ns += end - p->now.mono_ns;
    p->now.mono_ns = end;
}

enum err play_ask(struct play *p, size_t who, enum kad_query kind, struct view key,
                  struct view value)
{
    struct play_node *n = &p->nodes[who];
    uint32_t query;

    n->done = 0;
    n->n_found = 0;
    n->has_value = false;
    enum err e = kad_begin(n->kad, kind, key, value, p->now, &query);
    if (e != E_OK) {
        return e;
    }
    play_settle(p);
    assert(n->done == query);
    return n->error;
}

size_t play_true_closest(const struct play *p, size_t who, struct view key)
{
    const struct play_node *n = &p->nodes[who];
    uint8_t target[32], mine[32], other[32];
    size_t hits = 0;

    sha256_once(key, target);
    for (size_t i = 0; i < n->n_found; i++) {
        size_t nearer = 0;

        sha256_once(view_of(n->found[i].id.b, n->found[i].id.n), mine);
        for (size_t k = 0; k < p->n; k++) {
            const struct peer_id *id = &p->nodes[k].peer.id;
            int order = 0;

            sha256_once(view_of(id->b, id->n), other);
            for (size_t b = 0; b < 32 && order == 0; b++) {
                order = (other[b] ^ target[b]) - (mine[b] ^ target[b]);
            }
            nearer += order < 0 && k != who && !p->nodes[k].dead;
        }
        hits += nearer < KAD_K;
    }
    return hits;
}
