#include "play_puppet.h"

#include <assert.h>
#include <base/mem.h>

static const struct view noise_id = {(const uint8_t *)"/noise", 6};

void puppet_raw(struct puppet *x, struct view bytes)
{
    while (bytes.n != 0 && !x->closed) {
        size_t n = x->node->port.ops->write(&x->node->port, x->conn, &bytes, 1);
        bytes = view_skip(bytes, n);
        if (n == 0) { /* the host takes no more just now: the world must move */
            play_settle(x->node->play);
        }
    }
}

static void flush(struct puppet *x)
{
    puppet_raw(x, buf_view(&x->out));
    buf_clear(&x->out);
}

void puppet_say(struct puppet *x, struct view plain)
{
    uint8_t *record = mem_alloc(NOISE_RECORD_MAX + 2);
    size_t n;

    while (plain.n != 0) {
        struct view part = {plain.p, plain.n < 60000 ? plain.n : 60000};
        enum err e = noise_seal(x->noise, &part, 1, record, &n);
        assert(e == E_OK);
        puppet_raw(x, view_of(record, n));
        plain = view_skip(plain, part.n);
    }
    mem_free(record);
}

static void on_connected(struct puppet *x)
{
    struct noise_config cfg = {.own = &x->keys,
                               .initiator = true,
                               .muxers = x->muxers,
                               .n_muxers = x->goal == PUPPET_UP ? 1 : 0};
    struct view none = {0};
    bool done;

    x->noise = noise_new(&cfg, &x->node->rng.base);
    if (x->goal == PUPPET_TCP) {
        return;
    }
    enum err e = ms_dial(&x->ms, &noise_id, 1, &x->out);
    if (x->goal >= PUPPET_MUXER && e == E_OK) {
        e = noise_handshake(x->noise, &none, &x->out, &done);
    }
    assert(e == E_OK);
    flush(x);
}

static void take(struct puppet *x)
{
    struct view in = buf_view(&x->in), plain;
    size_t index, eaten;
    bool done;

    if (x->step == PUPPET_TCP && x->goal != PUPPET_TCP &&
        ms_feed(&x->ms, &in, &x->out, &index) == E_OK) {
        x->step = PUPPET_SECURITY;
    }
    if (x->step == PUPPET_SECURITY && x->goal >= PUPPET_MUXER &&
        noise_handshake(x->noise, &in, &x->out, &done) == E_OK && done) {
        x->step = x->goal;
    }
    buf_consume(&x->in, x->in.n - in.n);
    while (x->step >= PUPPET_MUXER &&
           noise_open(x->noise, x->in.p, x->in.n, &plain, &eaten) == E_OK) {
        x->got += plain.n;
        buf_consume(&x->in, eaten);
    }
    flush(x);
}

static void on_event(struct play_node *n, const struct port_event *ev, struct now now)
{
    struct puppet *x = n->user;

    (void)now;
    switch (ev->kind) {
    case PORT_CONNECTED:
        on_connected(x);
        break;
    case PORT_BYTES:
        IGNORE(buf_append(&x->in, ev->bytes, ev->n), "it need not read all that the host says");
        take(x);
        break;
    case PORT_CLOSED:
        x->closed = true;
        break;
    case PORT_ACCEPTED:
    case PORT_WRITABLE:
    case PORT_DATAGRAM:
    case PORT_TICK:
    case PORT_TURN:
    case PORT_WORK:
    case PORT_NAMES:
    case PORT_START:
    case PORT_STOP:
        break;
    }
}

void puppet_start(struct puppet *x, struct play *p, unsigned to, const char *muxer,
                  enum puppet_step goal)
{
    struct addr addr = play_addr(to);

    *x = (struct puppet){.muxer = muxer, .goal = goal};
    x->muxers[0] = view_str(muxer);
    x->node = play_puppet(p, on_event);
    x->node->user = x;
    buf_init(&x->in, 4 * MIB);
    buf_init(&x->out, 64 * KIB);
    noise_static_init(&x->keys, &x->node->ident, &x->node->rng.base);
    enum err e = x->node->port.ops->dial(&x->node->port, &addr, &x->conn);
    assert(e == E_OK);
    play_settle(p);
}

void puppet_done(struct puppet *x)
{
    noise_free(x->noise);
    buf_done(&x->in);
    buf_done(&x->out);
}
