#include <assert.h>
#include <base/bytes.h>
#include <base/idtab.h>
#include <base/mem.h>
#include <codec/varint.h>
#include <proto/mux.h>

/* Spec: mplex/README.md "Message format" */
#define MESSAGE_MAX ((size_t)1024 * 1024)
#define ID_MAX      ((UINT64_C(1) << 60) - 1)
/* Bytes of one frame that we begin: without flow control a long frame would hold up every other
 * stream of the connection. */
#define FRAME_MAX (32u * 1024)
#define HEAD_MAX  (2 * VARINT_MAX)

enum mplex_flag {
    NEW_STREAM,
    MESSAGE_RECEIVER,
    MESSAGE_INITIATOR,
    CLOSE_RECEIVER,
    CLOSE_INITIATOR,
    RESET_RECEIVER,
    RESET_INITIATOR,
    FLAG_COUNT
};

enum stream_state { S_NONE, S_OPEN, S_THEY_ENDED, S_WE_ENDED, S_COUNT };

enum stream_input { IN_NEW, IN_MESSAGE, IN_CLOSE, IN_RESET, IN_COUNT };

struct stream {
    uint64_t key; /* id << 1 | we opened it: the two sides count their ids on their own */
    uint32_t sid; /* our handle */
    enum stream_state state;
    size_t untaken; /* announced by the remote, not yet consumed() */
};

struct mplex {
    struct mux base;
    struct mux_config cfg;
    struct idtab by_key, by_sid; /* the same streams */
    uint32_t n_remote, n_own;
    uint32_t last_sid;
    uint64_t next_id; /* of our next stream */
    size_t untaken_max;
    bool gone_away;
    bool control_full; /* a control frame found no room: the next feed ends it */

    uint8_t head[HEAD_MAX];
    size_t head_n;
    bool in_body;
    uint64_t key; /* of the frame whose body is being read */
    enum stream_input input;
    size_t body_left;
};

struct step {
    enum stream_state next;
    enum mux_kind event;
    bool forbidden;
};

/* clang-format off */
#define GO(next, event) {(next), (event), false}
#define NO {S_NONE, MUX_NONE, true}
static const struct step steps[S_COUNT][IN_COUNT] = {
    /* Unknown, or ended or reset before: ids follow no order, so frames for a stream that is gone
     * cannot be told from frames for one that never was, and are dropped. */
    [S_NONE]       = {[IN_NEW]     = GO(S_OPEN,       MUX_OPENED),
                      [IN_MESSAGE] = GO(S_NONE,       MUX_NONE),
                      [IN_CLOSE]   = GO(S_NONE,       MUX_NONE),
                      [IN_RESET]   = GO(S_NONE,       MUX_NONE)},
    [S_OPEN]       = {[IN_NEW]     = NO,
                      [IN_MESSAGE] = GO(S_OPEN,       MUX_DATA),
                      [IN_CLOSE]   = GO(S_THEY_ENDED, MUX_HALF_CLOSED),
                      [IN_RESET]   = GO(S_NONE,       MUX_RESET)},
    /* A message behind the close is dropped: one thread of theirs closed while another wrote. */
    [S_THEY_ENDED] = {[IN_NEW]     = NO,
                      [IN_MESSAGE] = GO(S_THEY_ENDED, MUX_NONE),
                      [IN_CLOSE]   = GO(S_THEY_ENDED, MUX_NONE),
                      [IN_RESET]   = GO(S_NONE,       MUX_RESET)},
    [S_WE_ENDED]   = {[IN_NEW]     = NO,
                      [IN_MESSAGE] = GO(S_WE_ENDED,   MUX_DATA),
                      [IN_CLOSE]   = GO(S_NONE,       MUX_HALF_CLOSED),
                      [IN_RESET]   = GO(S_NONE,       MUX_RESET)},
};

/* clang-format on */

static struct mplex *mplex_of(struct mux *m)
{
    return (struct mplex *)m;
}

static const struct mplex *mplex_const(const struct mux *m)
{
    return (const struct mplex *)m;
}

static bool is_own(uint64_t key)
{
    return (key & 1) != 0;
}

static uint64_t id_of(uint64_t key)
{
    return key >> 1;
}

static size_t put_head(uint64_t id, enum mplex_flag flag, size_t n, uint8_t out[static HEAD_MAX])
{
    size_t at = varint_put(id << 3 | (unsigned)flag, out);

    return at + varint_put(n, out + at);
}

/* The flag names the sender's role on the stream: `of_receiver` and the next one are a pair. */
static enum mplex_flag flag_for(const struct stream *s, enum mplex_flag of_receiver)
{
    return is_own(s->key) ? (enum mplex_flag)(of_receiver + 1) : of_receiver;
}

/* ---- streams ---- */

static struct stream *stream_add(struct mplex *x, uint64_t key)
{
    struct stream *s = mem_zalloc(sizeof *s);

    do { /* handles wrap around after 2^32 streams */
        x->last_sid++;
    } while (x->last_sid == 0 || idtab_get(&x->by_sid, x->last_sid) != NULL);
    s->key = key;
    s->sid = x->last_sid;
    s->state = S_OPEN;
    idtab_put(&x->by_key, key, s);
    idtab_put(&x->by_sid, s->sid, s);
    *(is_own(key) ? &x->n_own : &x->n_remote) += 1;
    x->base.n_streams++;
    return s;
}

static void stream_forget(struct mplex *x, struct stream *s)
{
    *(is_own(s->key) ? &x->n_own : &x->n_remote) -= 1;
    x->base.n_streams--;
    idtab_remove(&x->by_key, s->key);
    idtab_remove(&x->by_sid, s->sid);
    mem_free(s);
}

/* ---- control frames ---- */

static void send_control(struct mplex *x, uint64_t id, enum mplex_flag flag, struct view data)
{
    uint8_t head[HEAD_MAX];
    size_t n = put_head(id, flag, data.n, head);
    uint8_t *at;

    if (buf_reserve(&x->base.control, n + data.n, &at) != E_OK) {
        x->control_full = true; /* nothing of the frame is written */
        return;
    }
    memcpy(at, head, n);
    if (data.n != 0) {
        memcpy(at + n, data.p, data.n);
    }
    buf_commit(&x->base.control, n + data.n);
}

static enum err send_answer(struct mplex *x, uint64_t id, enum mplex_flag flag)
{
    if (x->base.control.n + HEAD_MAX > MUX_CONTROL_ANSWERS_MAX) {
        return E_MUX_CONTROL;
    }
    send_control(x, id, flag, (struct view){NULL, 0});
    return E_OK;
}

/* ---- what a frame does ---- */

static enum err take_new(struct mplex *x, struct mux_event *ev)
{
    if (x->n_remote >= x->cfg.streams_max || x->gone_away) {
        return send_answer(x, id_of(x->key), RESET_RECEIVER);
    }
    *ev = (struct mux_event){.kind = MUX_OPENED, .sid = stream_add(x, x->key)->sid};
    return E_OK;
}

/* There is no window: a stream whose user does not keep up is given up, rather than the whole
 * connection held. Spec: mplex/README.md "Implementation notes" (back-pressure) */
static enum err give_up(struct mplex *x, struct stream *s, struct mux_event *ev)
{
    *ev = (struct mux_event){.kind = MUX_RESET, .sid = s->sid};
    TRY(send_answer(x, id_of(s->key), flag_for(s, RESET_RECEIVER)));
    stream_forget(x, s);
    return E_OK;
}

static enum err apply(struct mplex *x, struct mux_event *ev)
{
    struct stream *s = idtab_get(&x->by_key, x->key);
    const struct step *step = &steps[s == NULL ? S_NONE : s->state][x->input];

    if (step->forbidden) {
        return E_MPLEX_STREAM_ID;
    }
    if (x->input == IN_NEW) {
        return take_new(x, ev);
    }
    if (s == NULL || (x->input == IN_MESSAGE && s->state == S_THEY_ENDED)) {
        return E_OK;
    }
    if (x->input == IN_MESSAGE) { /* charged by its declared length, so that no cut matters */
        if (x->body_left > x->untaken_max - s->untaken) {
            return give_up(x, s, ev);
        }
        s->untaken += x->body_left;
        return E_OK;
    }
    *ev = (struct mux_event){.kind = step->event, .sid = s->sid};
    s->state = step->next;
    if (s->state == S_NONE) {
        stream_forget(x, s);
    }
    return E_OK;
}

/* Names of new streams, bodies of close and reset, and messages for nobody are skipped. */
static void take_body(struct mplex *x, struct view *in, struct mux_event *ev)
{
    size_t n = x->body_left < in->n ? x->body_left : in->n;
    const struct stream *s = x->input == IN_MESSAGE ? idtab_get(&x->by_key, x->key) : NULL;

    if (s != NULL && s->state != S_THEY_ENDED && n != 0) {
        *ev = (struct mux_event){.kind = MUX_DATA, .sid = s->sid, .data = view_of(in->p, n)};
    }
    *in = view_skip(*in, n);
    x->body_left -= n;
}

/* ---- frames ---- */

static enum stream_input input_of(enum mplex_flag flag)
{
    switch (flag) {
    case NEW_STREAM:
        return IN_NEW;
    case MESSAGE_RECEIVER:
    case MESSAGE_INITIATOR:
        return IN_MESSAGE;
    case CLOSE_RECEIVER:
    case CLOSE_INITIATOR:
        return IN_CLOSE;
    case RESET_RECEIVER:
    case RESET_INITIATOR:
    case FLAG_COUNT:
        break;
    }
    return IN_RESET;
}

static enum err frame_begin(struct mplex *x, uint64_t first, uint64_t len, struct mux_event *ev)
{
    uint64_t id = first >> 3;

    if ((first & 7) >= FLAG_COUNT) {
        return E_MPLEX_FLAG;
    }
    if (id > ID_MAX) {
        return E_MPLEX_STREAM_ID;
    }
    if (len > MESSAGE_MAX) {
        return E_MPLEX_LENGTH;
    }
    enum mplex_flag flag = (enum mplex_flag)(first & 7);
    /* Odd flags come from a stream's acceptor: then we opened it. */
    x->key = id << 1 | (flag & 1);
    x->input = input_of(flag);
    x->body_left = (size_t)len;
    x->in_body = true;
    return apply(x, ev);
}

/* The two varints of a head, byte by byte; *ret_whole false when bytes are missing. */
static enum err take_head(struct mplex *x, struct view *in, uint64_t *ret_first, uint64_t *ret_len,
                          bool *ret_whole)
{
    *ret_whole = false;
    while (in->n != 0) {
        x->head[x->head_n++] = in->p[0];
        *in = view_skip(*in, 1);

        struct view have = view_of(x->head, x->head_n);
        enum err e = varint_take(&have, ret_first);
        if (e == E_OK) {
            e = varint_take(&have, ret_len);
        }
        if (e == E_OK) {
            x->head_n = 0;
            *ret_whole = true;
            return E_OK;
        }
        if (e != E_MORE || x->head_n == sizeof x->head) {
            return E_MPLEX_HEADER;
        }
    }
    return E_OK;
}

static enum err advance(struct mplex *x, struct view *in, struct mux_event *ev, bool *ret_moved)
{
    uint64_t first, len;

    if (x->in_body) {
        if (x->body_left == 0) {
            x->in_body = false;
            *ret_moved = true;
            return E_OK;
        }
        *ret_moved = in->n != 0;
        take_body(x, in, ev);
        return E_OK;
    }
    TRY(take_head(x, in, &first, &len, ret_moved));
    return *ret_moved ? frame_begin(x, first, len, ev) : E_OK;
}

static enum err mplex_feed(struct mux *m, struct view *in, uint64_t now_ns, struct mux_event *ev)
{
    struct mplex *x = mplex_of(m);
    bool moved = true;

    (void)now_ns;
    *ev = (struct mux_event){.kind = MUX_NONE};
    while (moved && ev->kind == MUX_NONE) {
        if (x->control_full) {
            return E_MUX_CONTROL;
        }
        TRY(advance(x, in, ev, &moved));
    }
    return E_OK;
}

/* ---- what we begin ---- */

static struct mux *mplex_make(const struct mux_config *cfg)
{
    struct mplex *x = mem_zalloc(sizeof *x);

    x->base.ops = &mplex_ops;
    buf_init(&x->base.control, MUX_CONTROL_MAX);
    x->cfg = *cfg;
    /* At least the longest message, or a legal frame could not be taken at all. */
    x->untaken_max = cfg->window_max > MESSAGE_MAX ? cfg->window_max : MESSAGE_MAX;
    return &x->base;
}

static void mplex_free(struct mux *m)
{
    struct mplex *x = mplex_of(m);

    if (m == NULL) {
        return;
    }
    for (uint32_t i = 0; i < x->by_key.n; i++) {
        mem_free(x->by_key.rows[i].p);
    }
    idtab_done(&x->by_key);
    idtab_done(&x->by_sid);
    buf_done(&m->control);
    mem_free(x);
}

static enum err mplex_open(struct mux *m, uint32_t *ret_sid)
{
    struct mplex *x = mplex_of(m);
    uint8_t name[20]; /* the id in decimal, as the other implementations do */
    size_t at = sizeof name;

    if (x->gone_away) {
        return E_YAMUX_GOAWAY;
    }
    if (x->n_own >= MUX_OWN_MAX || x->next_id > ID_MAX) {
        return E_STREAMS_MAX;
    }
    uint64_t id = x->next_id++;
    uint64_t rest = id;
    do {
        name[--at] = (uint8_t)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    send_control(x, id, NEW_STREAM, view_of(name + at, sizeof name - at));
    *ret_sid = stream_add(x, id << 1 | 1)->sid;
    return E_OK;
}

static size_t mplex_room(const struct mux *m, uint32_t sid)
{
    const struct stream *s = idtab_get(&mplex_const(m)->by_sid, sid);

    return s == NULL || s->state == S_WE_ENDED ? 0 : FRAME_MAX;
}

static size_t mplex_head(struct mux *m, uint32_t sid, size_t n, uint8_t out[static MUX_HEAD_MAX])
{
    const struct stream *s = idtab_get(&mplex_of(m)->by_sid, sid);

    assert(s != NULL && s->state != S_WE_ENDED && n <= FRAME_MAX);
    return put_head(id_of(s->key), flag_for(s, MESSAGE_RECEIVER), n, out);
}

static void mplex_end(struct mux *m, uint32_t sid)
{
    struct mplex *x = mplex_of(m);
    struct stream *s = idtab_get(&x->by_sid, sid);

    if (s == NULL || s->state == S_WE_ENDED) {
        return;
    }
    send_control(x, id_of(s->key), flag_for(s, CLOSE_RECEIVER), (struct view){NULL, 0});
    if (s->state == S_THEY_ENDED) {
        stream_forget(x, s);
    } else {
        s->state = S_WE_ENDED;
    }
}

static void mplex_reset(struct mux *m, uint32_t sid)
{
    struct mplex *x = mplex_of(m);
    struct stream *s = idtab_get(&x->by_sid, sid);

    if (s != NULL) {
        send_control(x, id_of(s->key), flag_for(s, RESET_RECEIVER), (struct view){NULL, 0});
        stream_forget(x, s);
    }
}

static void mplex_consumed(struct mux *m, uint32_t sid, size_t n, uint64_t now_ns)
{
    struct stream *s = idtab_get(&mplex_of(m)->by_sid, sid);

    (void)now_ns;
    if (s != NULL) {
        assert(n <= s->untaken);
        s->untaken -= n;
    }
}

static void mplex_ping(struct mux *m, uint64_t now_ns)
{
    (void)m; /* mplex has no ping: the host measures with /ipfs/ping/1.0.0 */
    (void)now_ns;
}

static void mplex_go_away(struct mux *m, uint32_t code)
{
    (void)code; /* nothing says it on the wire: new streams are reset */
    mplex_of(m)->gone_away = true;
}

void mplex_verify(const struct mux *m)
{
    const struct mplex *x = mplex_const(m);
    uint32_t own = 0;

    assert(x->by_key.n == x->by_sid.n && x->by_key.n == m->n_streams);
    for (uint32_t i = 0; i < x->by_key.n; i++) {
        const struct stream *s = x->by_key.rows[i].p;

        assert(s->key == x->by_key.rows[i].id && idtab_get(&x->by_sid, s->sid) == s);
        assert(s->state == S_OPEN || s->state == S_THEY_ENDED || s->state == S_WE_ENDED);
        assert(s->untaken <= x->untaken_max);
        own += is_own(s->key) ? 1 : 0;
    }
    assert(own == x->n_own && x->n_own + x->n_remote == m->n_streams);
    assert(x->n_remote <= x->cfg.streams_max && own <= MUX_OWN_MAX);
    assert(m->control.n <= MUX_CONTROL_MAX && x->body_left <= MESSAGE_MAX);
}

const struct mux_ops mplex_ops = {
    .protocol = "/mplex/6.7.0",
    .make = mplex_make,
    .free = mplex_free,
    .feed = mplex_feed,
    .open = mplex_open,
    .room = mplex_room,
    .head = mplex_head,
    .end = mplex_end,
    .reset = mplex_reset,
    .consumed = mplex_consumed,
    .ping = mplex_ping,
    .go_away = mplex_go_away,
};
