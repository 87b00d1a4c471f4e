/*
 * What a stream multiplexer does, whichever it is (yamux, mplex): one ordered byte stream carries
 * many.
 *
 * In       plaintext in any cut: feed() gives one event at a time
 * Out      control frames (opens, acks, windows, pings, resets, ends) gather in `control` in order
 *          and go before the next data frame; data frames are begun with head(), whose n bytes of
 *          stream data the caller puts directly behind
 * Memory   a table of live streams, streams_max of the remote's at most and MUX_OWN_MAX of ours;
 *          control is bounded: a remote that makes us owe answers and does not read them ends in
 *          E_MUX_CONTROL from feed()
 *
 * feed() errors are the remote's, final, and close the connection. Streams over streams_max are
 * refused with a reset and give no event. Calls for a stream that is gone do nothing.
 *
 * Stream ids given out here are the muxer's handles: unique while the stream lives.
 */
#ifndef PROTO_MUX_H
#define PROTO_MUX_H

#include <base/buf.h>
#include <base/err.h>
#include <base/rng.h>

#define MUX_HEAD_MAX 20u
#define MUX_OWN_MAX  4096u /* streams that we opened, alive at once; a node uses a few dozen */
/* Bytes of unsent control frames: beyond the first, answers to the remote are an error; the rest
 * is left to frames that we begin ourselves. 32 KiB are 2,730 answers, far over any honest peer's
 * due between two of its reads. */
#define MUX_CONTROL_ANSWERS_MAX (32u * 1024)
#define MUX_CONTROL_MAX         (64u * 1024)

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

/* Assert the invariants; for tests, fuzzing and the simulator after every event. */
void yamux_verify(const struct mux *m);
void mplex_verify(const struct mux *m);

#endif
