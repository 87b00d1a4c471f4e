/* yamux: what the remote says. */
#include "session.h"

#include <assert.h>
#include <base/bytes.h>
#include <base/clock.h>

/* In the order in which one frame applies them. Spec: hashicorp/yamux spec.md "Flag Field" */
enum stream_input { IN_SYN, IN_ACK, IN_CREDIT, IN_DATA, IN_FIN, IN_RST, IN_COUNT };

struct step {
    bool allowed;
    enum stream_state next;
    enum mux_kind event;
};

/* clang-format off */
#define GO(next, event) {true, (next), (event)} /* an entry that is missing is forbidden */
static const struct step steps[S_COUNT][IN_COUNT] = {
    [S_IDLE]       = {[IN_SYN]    = GO(S_OPEN,       MUX_OPENED)},
    [S_OPEN]       = {[IN_ACK]    = GO(S_OPEN,       MUX_NONE),
                      [IN_CREDIT] = GO(S_OPEN,       MUX_NONE),
                      [IN_DATA]   = GO(S_OPEN,       MUX_DATA),
                      [IN_FIN]    = GO(S_THEY_ENDED, MUX_HALF_CLOSED),
                      [IN_RST]    = GO(S_GONE,       MUX_RESET)},
    /* They send no more, and may still ack, take, or give up on what we send. Data is dropped:
     * go-yamux sends it behind its FIN when one thread closes while another writes. */
    [S_THEY_ENDED] = {[IN_ACK]    = GO(S_THEY_ENDED, MUX_NONE),
                      [IN_CREDIT] = GO(S_THEY_ENDED, MUX_NONE),
                      [IN_DATA]   = GO(S_THEY_ENDED, MUX_NONE),
                      [IN_FIN]    = GO(S_THEY_ENDED, MUX_NONE),
                      [IN_RST]    = GO(S_GONE,       MUX_RESET)},
    [S_WE_ENDED]   = {[IN_ACK]    = GO(S_WE_ENDED,   MUX_NONE),
                      [IN_CREDIT] = GO(S_WE_ENDED,   MUX_NONE),
                      [IN_DATA]   = GO(S_WE_ENDED,   MUX_DATA),
                      [IN_FIN]    = GO(S_GONE,       MUX_HALF_CLOSED),
                      [IN_RST]    = GO(S_GONE,       MUX_RESET)},
    /* Ended or reset before: frames that were on their way are nobody's fault, and a sid may be
     * opened again (streams opened at once by two threads of go-yamux arrive in any order). */
    [S_GONE]       = {[IN_SYN]    = GO(S_OPEN,       MUX_OPENED),
                      [IN_ACK]    = GO(S_GONE,       MUX_NONE),
                      [IN_CREDIT] = GO(S_GONE,       MUX_NONE),
                      [IN_DATA]   = GO(S_GONE,       MUX_NONE),
                      [IN_FIN]    = GO(S_GONE,       MUX_NONE),
                      [IN_RST]    = GO(S_GONE,       MUX_NONE)},
};

/* clang-format on */

static bool was_used(const struct yamux *y, uint32_t sid)
{
    if (is_own(y, sid)) {
        return y->next_own == 0 || sid < y->next_own;
    }
    return sid <= y->highest;
}

/* Something the remote made us owe. */
static enum err send_answer(struct yamux *y, struct yamux_frame f)
{
    if (y->base.control.n + YAMUX_HEADER > MUX_CONTROL_ANSWERS_MAX) {
        return E_MUX_CONTROL;
    }
    yamux_send(y, f);
    return E_OK;
}

/* ---- the inputs of a frame ---- */

static enum err refuse(struct yamux *y, uint32_t sid)
{
    return send_answer(y, (struct yamux_frame){YAMUX_WINDOW_UPDATE, FLAG_RST, sid, 0});
}

static enum err take_syn(struct yamux *y, struct mux_event *ev)
{
    uint32_t sid = y->frame.sid;

    if (is_own(y, sid)) {
        return E_YAMUX_STREAM_ID;
    }
    y->highest = sid > y->highest ? sid : y->highest;
    if (y->n_remote >= y->cfg.streams_max || y->we_gone_away || y->remote_gone_away) {
        return refuse(y, sid); /* the rest of the frame is for a stream that is gone */
    }
    yamux_stream_add(y, sid);
    *ev = (struct mux_event){.kind = MUX_OPENED, .sid = sid};
    return send_answer(y, (struct yamux_frame){YAMUX_WINDOW_UPDATE, FLAG_ACK, sid, 0});
}

static enum err take_credit(struct stream *s, uint32_t credit, struct mux_event *ev)
{
    if (credit > UINT32_MAX - s->send_window) {
        return E_YAMUX_CREDIT;
    }
    if (s->send_window == 0 && credit != 0 && s->state != S_WE_ENDED) {
        *ev = (struct mux_event){.kind = MUX_WRITABLE, .sid = s->sid};
    }
    s->send_window += credit;
    return E_OK;
}

/* A body counts against the window when its header says its length, so that no cut matters. */
static enum err body_begin(struct yamux *y, struct stream *s)
{
    y->body_begun = true;
    y->body_left = y->frame.length;
    if (s == NULL) { /* gone; still nobody was ever granted more than this */
        return y->body_left > y->cfg.window_max ? E_YAMUX_WINDOW : E_OK;
    }
    if (y->body_left > s->left) {
        return E_YAMUX_WINDOW;
    }
    s->left -= y->body_left;
    s->untaken += y->body_left;
    return E_OK;
}

/* The part of the body that is here, for `s` or for nobody; IN_DATA stays to do until its last
 * byte. */
static void take_body(struct yamux *y, struct view *in, const struct stream *s,
                      struct mux_event *ev)
{
    size_t n = y->body_left < in->n ? y->body_left : in->n;

    if (s != NULL && n != 0) {
        *ev = (struct mux_event){.kind = MUX_DATA, .sid = s->sid, .data = view_of(in->p, n)};
    }
    *in = view_skip(*in, n);
    y->body_left -= (uint32_t)n;
    if (y->body_left == 0) {
        y->todo &= ~(1u << IN_DATA);
        y->body_begun = false;
    }
}

static void take_ack(struct yamux *y, struct stream *s)
{
    if (is_own(y, s->sid) && !s->acked) {
        s->acked = true;
        y->n_unacked--;
    }
}

static enum err apply(struct yamux *y, enum stream_input input, struct view *in,
                      struct mux_event *ev)
{
    struct stream *s = idtab_get(&y->streams, y->frame.sid);
    enum stream_state state = was_used(y, y->frame.sid) ? S_GONE : S_IDLE;
    const struct step *step = &steps[s != NULL ? s->state : state][input];

    if (!step->allowed) {
        return E_YAMUX_STREAM_ID;
    }
    if (input == IN_DATA) {
        if (!y->body_begun) {
            TRY(body_begin(y, s));
        }
        take_body(y, in, step->event == MUX_DATA ? s : NULL, ev);
        return E_OK;
    }
    y->todo &= ~(1u << input);
    if (input == IN_SYN) {
        return take_syn(y, ev);
    }
    if (s == NULL) {
        return E_OK;
    }
    if (input == IN_CREDIT) {
        return take_credit(s, y->frame.length, ev);
    }
    if (input == IN_ACK) {
        take_ack(y, s);
    }
    *ev = (struct mux_event){.kind = step->event, .sid = s->sid};
    s->state = step->next;
    if (s->state == S_GONE) {
        yamux_stream_forget(y, s);
    }
    return E_OK;
}

/* ---- frames of the session ---- */

static enum err take_ping(struct yamux *y, uint64_t now_ns, struct mux_event *ev)
{
    if (y->frame.flags == FLAG_SYN) {
        return send_answer(y, (struct yamux_frame){YAMUX_PING, FLAG_ACK, 0, y->frame.length});
    }
    if (!y->ping_out || y->frame.length != y->ping_value) {
        return E_OK; /* answers nothing that we asked */
    }
    uint64_t rtt = now_ns - y->ping_sent_ns;

    y->ping_out = false;
    y->rtt_ns = y->rtt_ns == 0 ? rtt : y->rtt_ns / 2 + rtt / 2;
    *ev = (struct mux_event){.kind = MUX_PONG, .rtt_ns = rtt};
    return E_OK;
}

static void take_go_away(struct yamux *y, struct mux_event *ev)
{
    if (!y->remote_gone_away) {
        *ev = (struct mux_event){.kind = MUX_GOAWAY, .code = y->frame.length};
    }
    y->remote_gone_away = true;
}

static uint32_t inputs_of(const struct yamux_frame *f)
{
    uint32_t todo = f->type == YAMUX_WINDOW_UPDATE ? 1u << IN_CREDIT : 0;

    todo |= f->type == YAMUX_DATA && f->length != 0 ? 1u << IN_DATA : 0;
    todo |= (f->flags & FLAG_SYN) != 0 ? 1u << IN_SYN : 0;
    todo |= (f->flags & FLAG_ACK) != 0 ? 1u << IN_ACK : 0;
    todo |= (f->flags & FLAG_FIN) != 0 ? 1u << IN_FIN : 0;
    todo |= (f->flags & FLAG_RST) != 0 ? 1u << IN_RST : 0;
    return todo != 0 ? todo : 1u << IN_CREDIT; /* an empty data frame: as a credit of nothing */
}

static enum err frame_begin(struct yamux *y, uint64_t now_ns, struct mux_event *ev)
{
    TRY(yamux_frame_read(y->header, &y->frame));
    switch (y->frame.type) {
    case YAMUX_DATA:
    case YAMUX_WINDOW_UPDATE:
        y->todo = inputs_of(&y->frame);
        break;
    case YAMUX_PING:
        return take_ping(y, now_ns, ev);
    case YAMUX_GO_AWAY:
        take_go_away(y, ev);
        break;
    }
    return E_OK;
}

static enum stream_input first_of(uint32_t todo)
{
    enum stream_input i = IN_SYN;

    while ((todo & 1u << i) == 0) {
        i++;
    }
    return i;
}

/* Move on by one header or one input of a frame; false when bytes are missing. */
static enum err advance(struct yamux *y, struct view *in, uint64_t now_ns, struct mux_event *ev,
                        bool *ret_moved)
{
    *ret_moved = true;
    if (y->todo != 0) {
        enum stream_input input = first_of(y->todo);

        *ret_moved = input != IN_DATA || !y->body_begun || in->n != 0;
        return *ret_moved ? apply(y, input, in, ev) : E_OK;
    }
    size_t n = YAMUX_HEADER - y->header_n < in->n ? YAMUX_HEADER - y->header_n : in->n;
    if (n != 0) {
        memcpy(y->header + y->header_n, in->p, n);
    }
    *in = view_skip(*in, n);
    y->header_n += n;
    if (y->header_n < YAMUX_HEADER) {
        *ret_moved = false;
        return E_OK;
    }
    y->header_n = 0;
    return frame_begin(y, now_ns, ev);
}

static enum err yamux_feed(struct mux *m, struct view *in, uint64_t now_ns, struct mux_event *ev)
{
    struct yamux *y = yamux_of(m);
    bool moved = true;

    *ev = (struct mux_event){.kind = MUX_NONE};
    while (moved && ev->kind == MUX_NONE) {
        if (y->control_full) {
            return E_MUX_CONTROL;
        }
        if (y->todo == 0 && yamux_release_held(y, ev)) {
            return E_OK;
        }
        TRY(advance(y, in, now_ns, ev, &moved));
    }
    return E_OK;
}

/* ---- a session ---- */

static struct mux *yamux_make(const struct mux_config *cfg)
{
    struct yamux *y = mem_zalloc(sizeof *y);

    assert(cfg->window_max >= WINDOW_FIRST);
    y->base.ops = &yamux_ops;
    buf_init(&y->base.control, MUX_CONTROL_MAX);
    y->cfg = *cfg;
    y->next_own = cfg->initiator ? 1 : 2;
    return &y->base;
}

static void yamux_free(struct mux *m)
{
    struct yamux *y = yamux_of(m);

    if (m == NULL) {
        return;
    }
    for (uint32_t i = 0; i < y->streams.n; i++) {
        mem_free(y->streams.rows[i].p);
    }
    idtab_done(&y->streams);
    buf_done(&m->control);
    mem_free(y);
}

void yamux_verify(const struct mux *m)
{
    const struct yamux *y = yamux_const(m);
    uint32_t own = 0, remote = 0, unacked = 0, held = 0;
    size_t growth = 0;

    for (uint32_t i = 0; i < y->streams.n; i++) {
        const struct stream *s = y->streams.rows[i].p;

        assert(s->sid == y->streams.rows[i].id && was_used(y, s->sid));
        assert(s->state == S_OPEN || s->state == S_THEY_ENDED || s->state == S_WE_ENDED);
        assert((uint64_t)s->left + s->untaken + s->taken == s->window);
        assert(s->window >= WINDOW_FIRST && s->window <= y->cfg.window_max);
        growth += s->window - WINDOW_FIRST;
        own += is_own(y, s->sid) ? 1 : 0;
        remote += is_own(y, s->sid) ? 0 : 1;
        unacked += is_own(y, s->sid) && !s->acked && !s->held ? 1 : 0;
        held += s->held ? 1 : 0;
        assert(!s->held || (s->sid >= y->first_held && !s->acked));
    }
    assert(own == y->n_own && remote == y->n_remote && unacked == y->n_unacked);
    assert(own + remote == m->n_streams && remote <= y->cfg.streams_max && own <= MUX_OWN_MAX);
    assert(unacked <= BACKLOG_MAX && held == y->n_held);
    assert(growth == y->growth);
    assert(growth <= (size_t)GROWTH_SHARES * (y->cfg.window_max - WINDOW_FIRST));
    assert(m->control.n <= MUX_CONTROL_MAX && y->header_n < YAMUX_HEADER);
}

const struct mux_ops yamux_ops = {
    .protocol = "/yamux/1.0.0",
    .make = yamux_make,
    .free = yamux_free,
    .feed = yamux_feed,
    .open = yamux_open,
    .room = yamux_room,
    .head = yamux_head,
    .end = yamux_end,
    .reset = yamux_reset,
    .consumed = yamux_consumed,
    .ping = yamux_ping,
    .go_away = yamux_go_away,
};
