/*
 * Messages that are read mean the same when they are written again. Then the input is a
 * conversation: a byte says who comes with the message that follows (its length in two bytes): a
 * remote that asks, or the answer to a request of ours. Whatever it is, the bounds hold, every
 * request is asked of somebody it was told of, and each query ends.
 */
#include "../../../unit/proto/kad/play_kad.h"

#include <assert.h>
#include <base/mem.h>
#include <codec/varint.h>

static struct kad_message first, again;
static struct play p;

static void same_peers(const struct kad_peer *a, const struct kad_peer *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert(peer_id_eq(&a[i].id, &b[i].id) && a[i].connected == b[i].connected);
        assert(a[i].n_addrs == b[i].n_addrs && a[i].n_addrs <= KAD_ADDRS_MAX);
        for (size_t k = 0; k < a[i].n_addrs; k++) {
            assert(addr_eq(&a[i].addrs[k].addr, &b[i].addrs[k].addr));
            assert(a[i].addrs[k].transport == b[i].addrs[k].transport);
        }
    }
}

static void round_trip(struct view v)
{
    struct buf out;
    struct view body;
    uint64_t n;

    if (kad_message_read(v, &first) != E_OK) {
        return;
    }
    assert(first.n_closer <= KAD_K && first.n_providers <= KAD_K);
    buf_init(&out, 2 * KAD_WRITE_MAX);
    enum err e = kad_message_write(&first, &out);
    if (e == E_OK) {
        body = buf_view(&out);
        assert(varint_take(&body, &n) == E_OK && n == body.n && n <= KAD_WRITE_MAX);
        assert(kad_message_read(body, &again) == E_OK);
        assert(again.type == first.type && view_eq(again.key, first.key));
        assert(again.has_record == first.has_record && view_eq(again.value, first.value));
        assert(view_eq(again.record_key, first.record_key));
        assert(again.n_closer == first.n_closer && again.n_providers == first.n_providers);
        same_peers(again.closer, first.closer, first.n_closer);
        same_peers(again.providers, first.providers, first.n_providers);
    }
    buf_done(&out);
}

static void check_bounds(const struct kad_config *cfg)
{
    struct kad_stats s;
    struct kad_event ev;

    kad_stats(p.nodes[0].kad, &s);
    assert(s.values <= cfg->values_max && s.value_bytes <= cfg->values_bytes_max);
    assert(s.providers <= cfg->providers_max);
    assert(s.table <= 3); /* whatever they say: nobody but who was met */
    while (kad_next_event(p.nodes[0].kad, &ev)) {
        assert(ev.value.n <= KAD_VALUE_MAX && ev.peer.n_addrs <= KAD_ADDRS_MAX);
        assert(ev.kind != KAD_CANDIDATE || ev.peer.n_addrs != 0);
        for (size_t i = 0; i < ev.peer.n_addrs; i++) {
            assert(ev.peer.addrs[i].addr.port != 0);
        }
        if (ev.kind == KAD_VALUE) {
            assert(ev.value.n != 0 || ev.value.p != NULL);
        }
    }
}

/* The next request of ours is answered with `v`. */
static void answer(struct view v)
{
    struct kad_request r;
    struct buf out;

    buf_init(&out, KAD_WRITE_MAX + VARINT_MAX);
    if (kad_next_request(p.nodes[0].kad, p.now, &r, &out)) {
        assert(out.n <= KAD_WRITE_MAX + VARINT_MAX && r.peer.id.n != 0);
        assert(!peer_id_eq(&r.peer.id, &p.nodes[0].peer.id));
        (void)!kad_answer(p.nodes[0].kad, r.id, v, p.now);
    }
    buf_done(&out);
}

static void ask(struct view v, uint8_t who)
{
    struct buf out;

    buf_init(&out, KAD_WRITE_MAX + VARINT_MAX);
    if (kad_serve(p.nodes[0].kad, &p.nodes[1 + who % 3].peer.id, v, p.now, &out) == E_OK &&
        out.n != 0) {
        struct view body = buf_view(&out);
        uint64_t n;

        assert(varint_take(&body, &n) == E_OK && n == body.n);
        assert(kad_message_read(body, &first) == E_OK);
    }
    buf_done(&out);
}

static void begin(struct kad_config *cfg)
{
    struct kad_peer self;
    uint32_t query;

    play_begin(&p, 1);
    play_peer(1, &self);
    play_config(&self, cfg);
    cfg->values_max = 3;
    cfg->values_bytes_max = 64;
    cfg->providers_max = 4;
    for (size_t i = 0; i < 4; i++) {
        play_add(&p, cfg);
    }
    for (size_t i = 1; i < 4; i++) {
        play_meet(&p, 0, i);
    }
    assert(kad_begin(p.nodes[0].kad, KAD_GET, view_str("/t/k"), view_str(""), p.now, &query) ==
           E_OK);
    assert(kad_begin(p.nodes[0].kad, KAD_PROVIDERS, view_str("k"), view_str(""), p.now, &query) ==
           E_OK);
    assert(kad_begin(p.nodes[0].kad, KAD_PUT, view_str("/t/p"), view_str("v"), p.now, &query) ==
           E_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rd r = rd_of(view_of(data, size));
    struct kad_config cfg;
    struct kad_stats s;

    round_trip(view_of(data, size));
    begin(&cfg);
    while (rd_left(&r) >= 3) {
        uint8_t how = rd_u8(&r);
        size_t n = rd_be16(&r);
        struct view v = rd_take(&r, n < rd_left(&r) ? n : rd_left(&r));

        round_trip(v);
        if (how < 0xc0) {
            ask(v, how);
        } else {
            answer(v);
        }
        check_bounds(&cfg);
    }
    p.now.mono_ns += SECONDS(200); /* queries end, with nobody who answers */
    for (unsigned i = 0; i < 3; i++) {
        kad_tick(p.nodes[0].kad, p.now);
        p.now.mono_ns += SECONDS(61);
    }
    kad_tick(p.nodes[0].kad, p.now);
    kad_stats(p.nodes[0].kad, &s);
    assert(s.queries <= 2); /* a walk, and what is put again */
    play_end(&p);
    return 0;
}
