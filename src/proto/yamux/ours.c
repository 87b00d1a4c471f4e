/* yamux: what we begin, end and grant. */
#include "session.h"

#include <assert.h>
#include <base/bytes.h>
#include <base/clock.h>

/* A window doubles when the stream's user took half of it within so many round trips: it, not the
 * user, was then what limited the sender. */
#define GROWTH_ROUND_TRIPS 4u

/* ---- streams ---- */

struct stream *yamux_stream_add(struct yamux *y, uint32_t sid)
{
    struct stream *s = mem_zalloc(sizeof *s);

    s->sid = sid;
    s->state = S_OPEN;
    s->send_window = s->window = s->left = WINDOW_FIRST;
    idtab_put(&y->streams, sid, s);
    *(is_own(y, sid) ? &y->n_own : &y->n_remote) += 1;
    y->base.n_streams++;
    return s;
}

void yamux_stream_forget(struct yamux *y, struct stream *s)
{
    bool own = is_own(y, s->sid);

    y->n_unacked -= own && !s->acked && !s->held ? 1 : 0;
    y->n_held -= s->held ? 1 : 0;
    *(own ? &y->n_own : &y->n_remote) -= 1;
    y->growth -= s->window - WINDOW_FIRST;
    y->base.n_streams--;
    idtab_remove(&y->streams, s->sid);
    mem_free(s);
}

/* ---- control frames ---- */

void yamux_send(struct yamux *y, struct yamux_frame f)
{
    uint8_t b[YAMUX_HEADER];

    yamux_frame_write(&f, b);
    if (buf_append(&y->base.control, b, sizeof b) != E_OK) {
        y->control_full = true;
    }
}

/* ---- streams that wait for the backlog ---- */

static void send_syn(struct yamux *y, struct stream *s)
{
    uint16_t fin = s->state == S_WE_ENDED ? FLAG_FIN : 0; /* ended before it was begun */

    s->held = false;
    y->n_unacked++;
    yamux_send(y, (struct yamux_frame){YAMUX_WINDOW_UPDATE, FLAG_SYN | fin, s->sid, 0});
}

bool yamux_release_held(struct yamux *y, struct mux_event *ev)
{
    struct stream *s = NULL;

    if (y->n_held == 0 || y->n_unacked >= BACKLOG_MAX) {
        return false;
    }
    while (s == NULL || !s->held) {
        s = idtab_get(&y->streams, y->first_held);
        y->first_held += 2;
    }
    y->n_held--;
    send_syn(y, s);
    *ev = (struct mux_event){.kind = MUX_WRITABLE, .sid = s->sid};
    return true;
}

/* ---- what we begin ---- */

enum err yamux_open(struct mux *m, uint32_t *ret_sid)
{
    struct yamux *y = yamux_of(m);

    if (y->remote_gone_away || y->we_gone_away) {
        return E_YAMUX_GOAWAY;
    }
    if (y->n_own >= MUX_OWN_MAX || y->next_own == 0) {
        return E_STREAMS_MAX;
    }
    uint32_t sid = y->next_own;
    y->next_own = sid > UINT32_MAX - 2 ? 0 : sid + 2;
    struct stream *s = yamux_stream_add(y, sid);
    if (y->n_held == 0 && y->n_unacked < BACKLOG_MAX) {
        send_syn(y, s);
    } else {
        s->held = true;
        y->first_held = y->n_held++ == 0 ? sid : y->first_held;
    }
    *ret_sid = sid;
    return E_OK;
}

size_t yamux_room(const struct mux *m, uint32_t sid)
{
    const struct stream *s = idtab_get(&yamux_const(m)->streams, sid);

    return s == NULL || s->held || s->state == S_WE_ENDED ? 0 : s->send_window;
}

size_t yamux_head(struct mux *m, uint32_t sid, size_t n, uint8_t out[static MUX_HEAD_MAX])
{
    struct stream *s = idtab_get(&yamux_of(m)->streams, sid);

    assert(s != NULL && !s->held && s->state != S_WE_ENDED && n <= s->send_window);
    s->send_window -= (uint32_t)n;
    yamux_frame_write(&(struct yamux_frame){YAMUX_DATA, 0, sid, (uint32_t)n}, out);
    return YAMUX_HEADER;
}

void yamux_end(struct mux *m, uint32_t sid)
{
    struct yamux *y = yamux_of(m);
    struct stream *s = idtab_get(&y->streams, sid);

    if (s == NULL || s->state == S_WE_ENDED) {
        return;
    }
    if (!s->held) {
        yamux_send(y, (struct yamux_frame){YAMUX_DATA, FLAG_FIN, sid, 0});
    }
    if (s->state == S_THEY_ENDED) {
        yamux_stream_forget(y, s);
    } else {
        s->state = S_WE_ENDED;
    }
}

void yamux_reset(struct mux *m, uint32_t sid)
{
    struct yamux *y = yamux_of(m);
    struct stream *s = idtab_get(&y->streams, sid);

    if (s != NULL) {
        if (!s->held) {
            yamux_send(y, (struct yamux_frame){YAMUX_WINDOW_UPDATE, FLAG_RST, sid, 0});
        }
        yamux_stream_forget(y, s);
    }
}

/* How much a window that limits its sender grows: it doubles, up to the bounds. */
static uint32_t growth_of(const struct yamux *y, const struct stream *s, uint64_t now_ns)
{
    size_t all = (size_t)GROWTH_SHARES * (y->cfg.window_max - WINDOW_FIRST);
    size_t by = s->window;

    if (y->rtt_ns == 0 || now_ns - s->granted_at_ns > GROWTH_ROUND_TRIPS * y->rtt_ns) {
        return 0;
    }
    by = by < y->cfg.window_max - s->window ? by : y->cfg.window_max - s->window;
    return (uint32_t)(by < all - y->growth ? by : all - y->growth);
}

void yamux_consumed(struct mux *m, uint32_t sid, size_t n, uint64_t now_ns)
{
    struct yamux *y = yamux_of(m);
    struct stream *s = idtab_get(&y->streams, sid);

    if (s == NULL || s->state == S_THEY_ENDED) {
        return; /* nothing to grant */
    }
    assert(n <= s->untaken);
    s->untaken -= (uint32_t)n;
    s->taken += (uint32_t)n;
    if (s->taken < s->window / 2) {
        return; /* half a window at a time: few frames, and the sender never runs dry */
    }
    uint32_t more = growth_of(y, s, now_ns);
    s->window += more;
    y->growth += more;
    yamux_send(y, (struct yamux_frame){YAMUX_WINDOW_UPDATE, 0, sid, s->taken + more});
    s->left += s->taken + more;
    s->taken = 0;
    s->granted_at_ns = now_ns;
}

void yamux_ping(struct mux *m, uint64_t now_ns)
{
    struct yamux *y = yamux_of(m);

    if (!y->ping_out) {
        y->ping_out = true;
        y->ping_sent_ns = now_ns;
        yamux_send(y, (struct yamux_frame){YAMUX_PING, FLAG_SYN, 0, ++y->ping_value});
    }
}

void yamux_go_away(struct mux *m, uint32_t code)
{
    struct yamux *y = yamux_of(m);

    if (!y->we_gone_away) {
        y->we_gone_away = true;
        yamux_send(y, (struct yamux_frame){YAMUX_GO_AWAY, 0, 0, code});
    }
}
