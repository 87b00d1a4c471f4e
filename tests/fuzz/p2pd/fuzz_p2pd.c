/* A daemon that says anything behind its WELCOME: the library gives the events that the daemon's
 * own engine reads there, and ends where it ends. */
#include "play_server.h"

#include <assert.h>
#include <p2pd/p2pd.h>
#include <proto/control.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct play_server server;

static void stop(void)
{
    play_server_stop(&server);
}

static bool agree(const struct p2pd_event *ev, const struct control_frame *f)
{
    return (int)ev->kind == (int)f->kind && ev->tag == f->tag && ev->id == f->id &&
           ev->time == f->time && ev->count == f->count && ev->wait == f->wait &&
           ev->mode == f->mode && ev->code == f->code &&
           memcmp(ev->hash, f->hash, sizeof f->hash) == 0 &&
           view_eq(view_of(ev->peer.p, ev->peer.n), f->peer) &&
           view_eq(view_of(ev->text.p, ev->text.n), f->text) &&
           view_eq(view_of(ev->topic.p, ev->topic.n), f->topic) &&
           view_eq(view_of(ev->data.p, ev->data.n), f->data);
}

/* The engine's next: 1, or how the library has to end. */
static int next(struct view *in, struct control_frame *f)
{
    for (;;) {
        struct view frame;
        enum err e = control_split(in, &frame);

        if (e != E_OK) {
            return e == E_MORE ? P2PD_CLOSED : P2PD_PROTOCOL;
        }
        e = control_decode(frame, false, f);
        if (e != E_UNSUPPORTED) {
            return e == E_OK ? 1 : P2PD_PROTOCOL;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct view in = view_of(p, n);
    struct control_frame f = {.kind = CONTROL_RESULT};
    struct p2pd_event ev;
    struct p2pd *c;
    struct buf says;
    int e, want;

    if (server.fd == 0) {
        play_server_start(&server, "fuzz");
        (void)atexit(stop);
    }
    buf_init(&says, 1 * MIB);
    play_welcome(&says);
    if (buf_append(&says, p, n) != E_OK) {
        abort();
    }
    play_server_take(&server, buf_view(&says));
    e = p2pd_connect(&c, server.at.sun_path, "fuzz");
    assert(e == P2PD_OK);
    do {
        want = f.kind == CONTROL_BYE ? P2PD_CLOSED : next(&in, &f);
        e = p2pd_wait(c, &ev, 10000);
        assert(e == want && (e != 1 || agree(&ev, &f)));
    } while (e == 1);
    p2pd_close(c);
    play_server_wait(&server);
    buf_done(&says);
    return 0;
}
