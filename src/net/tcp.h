/* Private to the TCP transport: tcp.c, tcp_out.c, upgrade.c. */
#ifndef SRC_NET_TCP_H
#define SRC_NET_TCP_H

#include "state.h"

#include <proto/mux.h>
#include <proto/noise.h>

#define RECORD_MAX (NOISE_RECORD_MAX + 2u)
/* Receive window of one yamux stream: 1 Gbit/s at 60 ms. The muxer bounds all of a connection's
 * together, below memory_per_conn_max. */
#define WINDOW_MAX HELD_MAX

enum upgrade_step { UPGRADE_SECURITY, UPGRADE_NOISE, UPGRADE_MUXER };

struct upgrade {
    enum upgrade_step step;
    struct ms ms;
    struct buf out; /* gathered by the engines, sent at once */
};

struct tcp {
    uint64_t port_conn;
    struct upgrade *upgrade; /* until up */
    struct noise *noise;
    struct mux *mux; /* NULL until up */
    struct buf in;   /* a record that is not whole yet */
    struct buf out;  /* sealed bytes that the socket had no room for */

    /* bare.c: no upgrade, Noise or muxer, but frames of its own */
    uint8_t head[8]; /* of the frame under way */
    uint32_t head_n, left;
    uint32_t next_sid;
    uint64_t ping_ns;
    bool full;
};

/* tcp.c */
/* Plaintext for the muxer. */
CHECKED enum err tcp_plain(struct conn *c, struct view in);
void tcp_up(struct conn *c, const struct mux_ops *muxer);

/* tcp_out.c */
void tcp_send(struct conn *c, struct view sealed); /* now, or when there is room */
void tcp_flush(struct conn *c);

/* bare.c: the same port's connections, without the engines */
void bare_begin(struct conn *c);
CHECKED enum err bare_bytes(struct conn *c, struct view in);
const char *bare_step(const struct conn *c);
void bare_words(const struct conn *c, enum err why, char out[static TRANSPORT_WORDS_MAX]);
const char *bare_muxer(const struct conn *c);
CHECKED enum err bare_open(struct conn *c, uint32_t *ret_sid);
void bare_end(struct conn *c, uint32_t sid);
void bare_reset(struct conn *c, uint32_t sid);
void bare_consumed(struct conn *c, uint32_t sid, size_t n);
bool bare_ping(struct conn *c);
void bare_go_away(struct conn *c, uint32_t code);
void bare_flush(struct conn *c);

/* upgrade.c */
CHECKED enum err upgrade_start(struct conn *c);
/* A step that has no frames: takes from the front of *in. */
CHECKED enum err upgrade_security(struct conn *c, struct view *in);
/* One whole Noise handshake frame, or record, length included. */
CHECKED enum err upgrade_frame(struct conn *c, uint8_t *p, size_t n);
/* The remote took none of our proposals; it may go before it says what it has. */
bool upgrade_refused(const struct conn *c);
const char *upgrade_step_name(const struct conn *c);
void upgrade_words(const struct conn *c, enum err why, char out[static TRANSPORT_WORDS_MAX]);
void upgrade_free(struct upgrade *u);

#endif
