#include "wire.h"

#include <assert.h>
#include <base/bytes.h>
#include <base/clock.h>
#include <base/idtab.h>
#include <base/mem.h>
#include <proto/mux.h>

/* What a new stream may send unasked. Spec: yamux/README.md "Flow control" */
#define WINDOW_FIRST 262144u
/* Streams that we opened and the remote has not acknowledged. Spec: hashicorp/yamux spec.md
 * "Stream opening"; rust-yamux closes connections that go further. */
#define BACKLOG_MAX 256u
/* All windows of a connection together may grow by so many of the largest, so that a remote with
 * hundreds of streams cannot make each as large as one alone may be. */
#define GROWTH_SHARES 4u
/* A window doubles when the stream's user took half of it within so many round trips: it, not the
 * user, was then what limited the sender. */
#define GROWTH_ROUND_TRIPS 4u

enum stream_state { S_IDLE, S_OPEN, S_THEY_ENDED, S_WE_ENDED, S_GONE, S_COUNT };

/* In the order in which one frame applies them. Spec: hashicorp/yamux spec.md "Flag Field" */
enum stream_input { IN_SYN, IN_ACK, IN_CREDIT, IN_DATA, IN_FIN, IN_RST, IN_COUNT };

struct stream {
    uint32_t sid;
    enum stream_state state;
    bool acked;             /* by the remote, when ours */
    uint32_t send_window;   /* bytes that we may still send */
    uint32_t window;        /* receive window aimed at; window == left + untaken + taken */
    uint32_t left;          /* bytes that the remote may still send */
    uint32_t untaken;       /* announced by the remote, not yet consumed() */
    uint32_t taken;         /* consumed, not yet granted again */
    uint64_t granted_at_ns; /* the last grant */
};

struct yamux {
    struct mux base;
    struct mux_config cfg;
    struct idtab streams; /* by sid */
    uint32_t n_remote, n_own, n_unacked;
    uint32_t next_own; /* the sid of our next stream; 0: all are used up */
    uint32_t highest;  /* of the sids that the remote opened */
    size_t growth;     /* window bytes over WINDOW_FIRST, all streams */
    bool remote_gone_away, we_gone_away;
    bool control_full; /* a control frame found no room: the next feed ends it */

    uint32_t ping_value;
    bool ping_out;
    uint64_t ping_sent_ns, rtt_ns; /* rtt_ns 0: not measured yet */

    uint8_t header[YAMUX_HEADER];
    size_t header_n;
    struct yamux_frame frame; /* under way while header_n is YAMUX_HEADER */
    uint32_t todo;            /* bits of its stream_inputs not yet applied */
    uint32_t body_left;
    bool body_begun;
};

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

static struct yamux *yamux_of(struct mux *m)
{
    return (struct yamux *)m;
}

static const struct yamux *yamux_const(const struct mux *m)
{
    return (const struct yamux *)m;
}

/* The dialer's streams are odd. Spec: hashicorp/yamux spec.md "StreamID Field" */
static bool is_own(const struct yamux *y, uint32_t sid)
{
    return (sid % 2 == 1) == y->cfg.initiator;
}

static bool was_used(const struct yamux *y, uint32_t sid)
{
    if (is_own(y, sid)) {
        return y->next_own == 0 || sid < y->next_own;
    }
    return sid <= y->highest;
}

/* ---- streams ---- */

static struct stream *stream_add(struct yamux *y, uint32_t sid)
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

static void stream_forget(struct yamux *y, struct stream *s)
{
    bool own = is_own(y, s->sid);

    y->n_unacked -= own && !s->acked ? 1 : 0;
    *(own ? &y->n_own : &y->n_remote) -= 1;
    y->growth -= s->window - WINDOW_FIRST;
    y->base.n_streams--;
    idtab_remove(&y->streams, s->sid);
    mem_free(s);
}

/* ---- control frames ---- */

static void send_control(struct yamux *y, struct yamux_frame f)
{
    uint8_t b[YAMUX_HEADER];

    yamux_frame_write(&f, b);
    if (buf_append(&y->base.control, b, sizeof b) != E_OK) {
        y->control_full = true;
    }
}

/* Something the remote made us owe. */
static enum err send_answer(struct yamux *y, struct yamux_frame f)
{
    if (y->base.control.n + YAMUX_HEADER > MUX_CONTROL_ANSWERS_MAX) {
        return E_MUX_CONTROL;
    }
    send_control(y, f);
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
    stream_add(y, sid);
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
        stream_forget(y, s);
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
        TRY(advance(y, in, now_ns, ev, &moved));
    }
    return E_OK;
}

/* ---- what we begin ---- */

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

static enum err yamux_open(struct mux *m, uint32_t *ret_sid)
{
    struct yamux *y = yamux_of(m);

    if (y->remote_gone_away || y->we_gone_away) {
        return E_YAMUX_GOAWAY;
    }
    if (y->n_own >= MUX_OWN_MAX || y->n_unacked >= BACKLOG_MAX || y->next_own == 0) {
        return E_STREAMS_MAX;
    }
    uint32_t sid = y->next_own;
    y->next_own = sid > UINT32_MAX - 2 ? 0 : sid + 2;
    stream_add(y, sid);
    y->n_unacked++;
    send_control(y, (struct yamux_frame){YAMUX_WINDOW_UPDATE, FLAG_SYN, sid, 0});
    *ret_sid = sid;
    return E_OK;
}

static size_t yamux_room(const struct mux *m, uint32_t sid)
{
    const struct stream *s = idtab_get(&yamux_const(m)->streams, sid);

    return s == NULL || s->state == S_WE_ENDED ? 0 : s->send_window;
}

static size_t yamux_head(struct mux *m, uint32_t sid, size_t n, uint8_t out[static MUX_HEAD_MAX])
{
    struct stream *s = idtab_get(&yamux_of(m)->streams, sid);

    assert(s != NULL && s->state != S_WE_ENDED && n <= s->send_window);
    s->send_window -= (uint32_t)n;
    yamux_frame_write(&(struct yamux_frame){YAMUX_DATA, 0, sid, (uint32_t)n}, out);
    return YAMUX_HEADER;
}

static void yamux_end(struct mux *m, uint32_t sid)
{
    struct yamux *y = yamux_of(m);
    struct stream *s = idtab_get(&y->streams, sid);

    if (s == NULL || s->state == S_WE_ENDED) {
        return;
    }
    send_control(y, (struct yamux_frame){YAMUX_DATA, FLAG_FIN, sid, 0});
    if (s->state == S_THEY_ENDED) {
        stream_forget(y, s);
    } else {
        s->state = S_WE_ENDED;
    }
}

static void yamux_reset(struct mux *m, uint32_t sid)
{
    struct yamux *y = yamux_of(m);
    struct stream *s = idtab_get(&y->streams, sid);

    if (s != NULL) {
        send_control(y, (struct yamux_frame){YAMUX_WINDOW_UPDATE, FLAG_RST, sid, 0});
        stream_forget(y, s);
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

static void yamux_consumed(struct mux *m, uint32_t sid, size_t n, uint64_t now_ns)
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
    send_control(y, (struct yamux_frame){YAMUX_WINDOW_UPDATE, 0, sid, s->taken + more});
    s->left += s->taken + more;
    s->taken = 0;
    s->granted_at_ns = now_ns;
}

static void yamux_ping(struct mux *m, uint64_t now_ns)
{
    struct yamux *y = yamux_of(m);

    if (!y->ping_out) {
        y->ping_out = true;
        y->ping_sent_ns = now_ns;
        send_control(y, (struct yamux_frame){YAMUX_PING, FLAG_SYN, 0, ++y->ping_value});
    }
}

static void yamux_go_away(struct mux *m, uint32_t code)
{
    struct yamux *y = yamux_of(m);

    if (!y->we_gone_away) {
        y->we_gone_away = true;
        send_control(y, (struct yamux_frame){YAMUX_GO_AWAY, 0, 0, code});
    }
}

void yamux_verify(const struct mux *m)
{
    const struct yamux *y = yamux_const(m);
    uint32_t own = 0, remote = 0, unacked = 0;
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
        unacked += is_own(y, s->sid) && !s->acked ? 1 : 0;
    }
    assert(own == y->n_own && remote == y->n_remote && unacked == y->n_unacked);
    assert(own + remote == m->n_streams && remote <= y->cfg.streams_max && own <= MUX_OWN_MAX);
    assert(unacked <= BACKLOG_MAX);
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
