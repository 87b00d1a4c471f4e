/*
 * What a stream multiplexer does, whichever it is (yamux, mplex): one ordered byte stream carries
 * many.
 *
 * In       plaintext in any cut: feed() gives one event at a time
 * Out      control frames (opens, acks, windows, pings, resets, ends) gather in `control` in order
 *          and go before the next data frame; data frames are begun with head(), whose n bytes of
 *          stream data the caller puts directly behind
 * Memory   a table of live streams, streams_max at most; control is bounded
 *
 * Stream ids given out here are the muxer's handles: unique while the stream lives.
 */
#ifndef PROTO_MUX_H
#define PROTO_MUX_H

#include <base/buf.h>
#include <base/err.h>
#include <base/rng.h>

#define MUX_HEAD_MAX 20u

enum mux_kind {
    MUX_NONE,        /* more bytes are needed */
    MUX_OPENED,      /* the remote opened sid */
    MUX_DATA,        /* ev.data for sid: inside the bytes fed */
    MUX_HALF_CLOSED, /* the remote will send no more on sid */
    MUX_RESET,       /* sid is gone, both ways */
    MUX_WRITABLE,    /* sid's window has grown from nothing */
    MUX_PONG,        /* round trip measured: rtt_ns */
    MUX_GOAWAY,      /* the remote opens and accepts no more: code */
};

struct mux_event {
    enum mux_kind kind;
    uint32_t sid;
    struct view data;
    uint64_t rtt_ns;
    uint32_t code;
};

struct mux_config {
    bool initiator;       /* we dialled the connection */
    uint32_t streams_max; /* remote-opened streams alive at once */
    uint32_t window_max;  /* receive window of one stream, bytes; at least 262144 */
};

struct mux;

struct mux_ops {
    const char *protocol; /* "/yamux/1.0.0" */
    struct mux *(*make)(const struct mux_config *cfg);
    void (*free)(struct mux *m);
    CHECKED enum err (*feed)(struct mux *m, struct view *in, uint64_t now_ns, struct mux_event *ev);
    CHECKED enum err (*open)(struct mux *m, uint32_t *ret_sid); /* E_STREAMS_MAX, E_YAMUX_GOAWAY */
    size_t (*room)(const struct mux *m, uint32_t sid); /* stream bytes that may be framed now */
    size_t (*head)(struct mux *m, uint32_t sid, size_t n, uint8_t out[static MUX_HEAD_MAX]);
    void (*end)(struct mux *m, uint32_t sid);   /* we send no more; call when all data is framed */
    void (*reset)(struct mux *m, uint32_t sid); /* forget it at once */
    /* The stream's user has taken n bytes: windows are granted from this, not from arrival. */
    void (*consumed)(struct mux *m, uint32_t sid, size_t n, uint64_t now_ns);
    void (*ping)(struct mux *m, uint64_t now_ns); /* no-op where the muxer has none */
    void (*go_away)(struct mux *m, uint32_t code);
};

struct mux {
    const struct mux_ops *ops;
    struct buf control; /* frames to send, in order; the caller consumes them */
    uint32_t n_streams;
};

extern const struct mux_ops yamux_ops;
extern const struct mux_ops mplex_ops;

#endif
