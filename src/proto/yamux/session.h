/* Private to yamux: a session's state. yamux.c takes what the remote says, ours.c is what we begin.
 */
#ifndef PROTO_YAMUX_SESSION_H
#define PROTO_YAMUX_SESSION_H

#include "wire.h"

#include <base/idtab.h>
#include <base/mem.h>
#include <proto/mux.h>

/* What a new stream may send unasked. Spec: yamux/README.md "Flow control" */
#define WINDOW_FIRST 262144u
/* Streams that we opened and the remote has not acknowledged. Spec: hashicorp/yamux spec.md
 * "Stream opening"; rust-yamux closes connections that go further. Those opened beyond are held:
 * they have no room until one of the others is acknowledged or gone. */
#define BACKLOG_MAX 256u
/* All windows of a connection together may grow by so many of the largest, so that a remote with
 * hundreds of streams cannot make each as large as one alone may be. */
#define GROWTH_SHARES 2u

enum stream_state { S_IDLE, S_OPEN, S_THEY_ENDED, S_WE_ENDED, S_GONE, S_COUNT };

struct stream {
    uint32_t sid;
    enum stream_state state;
    bool acked;             /* by the remote, when ours */
    bool held;              /* ours, and its SYN has not been sent */
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
    uint32_t n_remote, n_own, n_unacked, n_held;
    uint32_t next_own;   /* the sid of our next stream; 0: all are used up */
    uint32_t first_held; /* no stream below it is held */
    uint32_t highest;    /* of the sids that the remote opened */
    size_t growth;       /* window bytes over WINDOW_FIRST, all streams */
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

static inline struct yamux *yamux_of(struct mux *m)
{
    return (struct yamux *)m;
}

static inline const struct yamux *yamux_const(const struct mux *m)
{
    return (const struct yamux *)m;
}

/* The dialer's streams are odd. Spec: hashicorp/yamux spec.md "StreamID Field" */
static inline bool is_own(const struct yamux *y, uint32_t sid)
{
    return (sid % 2 == 1) == y->cfg.initiator;
}

/* ours.c */
struct stream *yamux_stream_add(struct yamux *y, uint32_t sid);
void yamux_stream_forget(struct yamux *y, struct stream *s);
void yamux_send(struct yamux *y, struct yamux_frame f);
/* The next stream that was held back may begin; false: none is, or it still must wait. */
bool yamux_release_held(struct yamux *y, struct mux_event *ev);

/* of yamux_ops */
CHECKED enum err yamux_open(struct mux *m, uint32_t *ret_sid);
size_t yamux_room(const struct mux *m, uint32_t sid);
size_t yamux_head(struct mux *m, uint32_t sid, size_t n, uint8_t out[static MUX_HEAD_MAX]);
void yamux_end(struct mux *m, uint32_t sid);
void yamux_reset(struct mux *m, uint32_t sid);
void yamux_consumed(struct mux *m, uint32_t sid, size_t n, uint64_t now_ns);
void yamux_ping(struct mux *m, uint64_t now_ns);
void yamux_go_away(struct mux *m, uint32_t code);

#endif
