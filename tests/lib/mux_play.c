#include <assert.h>
#include <lib/mux_play.h>
#include <stdarg.h>
#include <stdio.h>

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)

static uint64_t fnv(uint64_t h, struct view v)
{
    for (size_t i = 0; i < v.n; i++) {
        h = (h ^ v.p[i]) * FNV_PRIME;
    }
    return h;
}

void mux_play_start(struct mux_play *p, const struct mux_ops *ops, const struct mux_config *cfg,
                    void (*verify)(const struct mux *m))
{
    enum mux_play_user user = p->user;
    bool at_once = p->at_once;

    *p = (struct mux_play){.mux = ops->make(cfg),
                           .user = user,
                           .at_once = at_once,
                           .verify = verify,
                           .now_ns = 1,
                           .sent_hash = FNV_OFFSET};
}

void mux_play_done(struct mux_play *p)
{
    if (p->mux != NULL) {
        p->mux->ops->free(p->mux);
        p->mux = NULL;
    }
}

void mux_play_note(struct mux_play *p, const char *fmt, ...)
{
    char line[128];
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    const char *comma = p->n == 0 ? "" : ", ";
    if (p->n + strlen(comma) + (size_t)n < sizeof p->text) {
        snprintf(p->text + p->n, sizeof p->text - p->n, "%s%s", comma, line);
    }
    p->n += strlen(comma) + (size_t)n;
}

static void sent(struct mux_play *p, struct view v)
{
    p->sent_bytes += v.n;
    p->sent_hash = fnv(p->sent_hash, v);
}

/* The connection writes what the engine has gathered. */
static void take_control(struct mux_play *p)
{
    sent(p, buf_view(&p->mux->control));
    buf_consume(&p->mux->control, p->mux->control.n);
}

static void answer(struct mux_play *p, uint32_t sid)
{
    static const uint8_t body[4096];
    uint8_t head[MUX_HEAD_MAX];

    for (size_t frames = 0; frames < 4; frames++) {
        size_t n = p->mux->ops->room(p->mux, sid);

        if (n == 0) {
            return;
        }
        n = n < sizeof body ? n : sizeof body;
        take_control(p);
        sent(p, view_of(head, p->mux->ops->head(p->mux, sid, n, head)));
        p->sent_bytes += n;
    }
}

static void flush_run(struct mux_play *p)
{
    if (!p->run) {
        return;
    }
    p->run = false;
    if (p->run_n < sizeof p->run_first) {
        mux_play_note(p, "data %u %zu %s", p->run_sid, p->run_n, p->run_first);
    } else {
        mux_play_note(p, "data %u %zu #%016llx", p->run_sid, p->run_n,
                      (unsigned long long)p->run_hash);
    }
    if (p->user == MUX_USER_RESETS) {
        p->mux->ops->reset(p->mux, p->run_sid);
    } else if (p->user != MUX_USER_STALLS && !p->at_once) {
        p->mux->ops->consumed(p->mux, p->run_sid, p->run_n, p->now_ns);
    }
    if (p->user == MUX_USER_WRITES) {
        answer(p, p->run_sid);
    }
}

static void on_data(struct mux_play *p, const struct mux_event *ev)
{
    assert(ev->data.n != 0);
    if (!p->run) {
        p->run = true;
        p->run_sid = ev->sid;
        p->run_n = 0;
        p->run_hash = FNV_OFFSET;
        memset(p->run_first, 0, sizeof p->run_first);
    }
    for (size_t i = 0; i < ev->data.n && p->run_n + i < sizeof p->run_first - 1; i++) {
        uint8_t c = ev->data.p[i];

        p->run_first[p->run_n + i] = c > 0x20 && c < 0x7f ? (char)c : '.';
    }
    p->run_n += ev->data.n;
    p->run_hash = fnv(p->run_hash, ev->data);
    p->data_bytes += ev->data.n;
    if (p->at_once) {
        p->mux->ops->consumed(p->mux, ev->sid, ev->data.n, p->now_ns);
    }
}

static void on_event(struct mux_play *p, const struct mux_event *ev)
{
    if (ev->kind == MUX_DATA && p->run && p->run_sid == ev->sid) {
        on_data(p, ev);
        return;
    }
    flush_run(p);
    switch (ev->kind) {
    case MUX_NONE:
        break;
    case MUX_OPENED:
        p->opened++;
        mux_play_note(p, "open %u", ev->sid);
        break;
    case MUX_DATA:
        on_data(p, ev);
        break;
    case MUX_HALF_CLOSED:
        p->ended++;
        mux_play_note(p, "end %u", ev->sid);
        if (p->user == MUX_USER_READS) {
            p->mux->ops->end(p->mux, ev->sid);
        }
        break;
    case MUX_RESET:
        p->reset++;
        mux_play_note(p, "reset %u", ev->sid);
        break;
    case MUX_WRITABLE:
        mux_play_note(p, "writable %u", ev->sid);
        break;
    case MUX_PONG:
        mux_play_note(p, "pong %llu", (unsigned long long)ev->rtt_ns);
        break;
    case MUX_GOAWAY:
        mux_play_note(p, "goaway %u", ev->code);
        break;
    }
}

void mux_play_feed(struct mux_play *p, struct view bytes, size_t piece)
{
    while (bytes.n != 0 && p->error == E_OK) {
        struct view in = view_of(bytes.p, bytes.n < piece ? bytes.n : piece);
        struct mux_event ev = {.kind = MUX_WRITABLE};

        bytes = view_skip(bytes, in.n);
        while (p->error == E_OK && ev.kind != MUX_NONE) {
            p->error = p->mux->ops->feed(p->mux, &in, p->now_ns, &ev);
            if (p->error == E_OK && ev.kind != MUX_NONE) {
                on_event(p, &ev);
                take_control(p);
                p->verify(p->mux);
            }
        }
        assert(p->error != E_OK || in.n == 0); /* all eaten once nothing happens any more */
    }
    if (p->error != E_OK) {
        mux_play_flush(p);
        mux_play_note(p, "error %s", err_table[p->error].name);
    }
}

void mux_play_flush(struct mux_play *p)
{
    flush_run(p);
    take_control(p);
    p->verify(p->mux);
}

bool mux_play_same(const struct mux_play *a, const struct mux_play *b)
{
    size_t n = a->n < sizeof a->text ? a->n : sizeof a->text - 1;

    return a->n == b->n && memcmp(a->text, b->text, n) == 0 && a->sent_hash == b->sent_hash &&
           a->sent_bytes == b->sent_bytes && a->data_bytes == b->data_bytes;
}
