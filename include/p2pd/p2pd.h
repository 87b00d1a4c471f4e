/*
 * libp2pd: a program speaks with beacon-p2pd. It sees gossip and judges it, publishes, asks peers
 * and answers them, and has protocols of its own with them. What frames mean stands in
 * docs/control.md; here each is one call or one event, with the names of that page.
 *
 *     struct p2pd *p;
 *     struct p2pd_event ev;
 *
 *     if (p2pd_connect(&p, "/var/lib/beacon-p2pd/control.sock", "mine") == P2PD_OK &&
 *         p2pd_subscribe(p, P2PD_WATCH, "beacon_block") > 0) {
 *         while (p2pd_wait(p, &ev, -1) > 0) { ... }
 *     }
 *     p2pd_close(p);
 *
 * Blocks: never, but in p2pd_connect(), p2pd_start(), p2pd_wait() and p2pd_close(), which say so.
 * With an event loop of your own: watch p2pd_fd() for p2pd_poll(), then p2pd_next() until it gives
 * 0.
 *
 * Memory: what the daemon sends is gathered up to a frame (10 MiB); what it does not read yet is
 * kept up to P2PD_QUEUE_MAX, then calls answer P2PD_FULL and have done nothing. Event data is
 * borrowed until the next p2pd_next() or p2pd_wait().
 *
 * Threads: one at a time for a connection; connections share nothing.
 *
 * Results: functions that send give the frame's tag (1 up), which the RESULT event has, or a
 * negative enum p2pd_error; those whose frame has no RESULT give P2PD_OK.
 *
 * SONAME libp2pd.so.0: what is declared here stays as it is within that number; kinds and error
 * codes may be added.
 */
#ifndef P2PD_P2PD_H
#define P2PD_P2PD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define P2PD_VERSION "0.1.0" /* of this header; p2pd_version() says the library's */

#if defined(__GNUC__)
#define P2PD_API __attribute__((visibility("default")))
#else
#define P2PD_API
#endif

#define P2PD_QUEUE_MAX     ((size_t)32 << 20) /* unsent bytes: three frames of the largest */
#define P2PD_DATA_MAX      ((size_t)10 << 20)
#define P2PD_PEER_TEXT_MAX 128u /* a peer id as text, its end included */

enum p2pd_error {
    P2PD_OK = 0,
    P2PD_SYSTEM = -1,   /* errno says what */
    P2PD_CLOSED = -2,   /* the daemon is gone, or said BYE: that was the last event */
    P2PD_PROTOCOL = -3, /* it does not speak version 1 */
    P2PD_FULL = -4,     /* it does not read: try again after p2pd_poll() */
    P2PD_INVALID = -5,  /* an argument is too long, or of no such value */
    P2PD_MEMORY = -6,
    P2PD_STARTED =
        -7, /* p2pd_start(): the daemon ended before it listened; its words are on stderr */
};

enum p2pd_kind {
    P2PD_EV_WELCOME = 0x81,
    P2PD_EV_RESULT = 0x82,
    P2PD_EV_MESSAGE = 0x83,
    P2PD_EV_LOST = 0x84,
    P2PD_EV_BYE = 0x85,
    P2PD_EV_CHUNK = 0x8a,
    P2PD_EV_OPENED = 0x8b,
    P2PD_EV_RECEIVED = 0x8c,
    P2PD_EV_ROOM = 0x8d,
    P2PD_EV_ENDED = 0x8e,
    P2PD_EV_CLOSED = 0x8f,
    P2PD_EV_CALL = 0x90,
    P2PD_EV_TOLD = 0x91,
    P2PD_EV_REPLIED = 0x92,
    P2PD_EV_SPEAKER = 0x93,
    P2PD_EV_SIGNED = 0x94,
};

/* What RESULT, CLOSED and BYE have as code. */
enum p2pd_code {
    P2PD_CODE_OK,
    P2PD_CODE_MALFORMED,
    P2PD_CODE_TOPIC,
    P2PD_CODE_NOT_FOUND,
    P2PD_CODE_REFUSED,
    P2PD_CODE_EXISTS,
    P2PD_CODE_LIMIT,
    P2PD_CODE_VERSIONS,
    P2PD_CODE_NO_PEERS,
    P2PD_CODE_FAILED,
};

enum p2pd_mode { P2PD_WATCH, P2PD_JUDGE };

enum p2pd_verdict { P2PD_ACCEPT, P2PD_IGNORE, P2PD_REJECT };

enum p2pd_serve_mode { P2PD_CALLS, P2PD_BYTES, P2PD_FRAMES, P2PD_MESSAGES };

enum p2pd_order_mode { P2PD_KEEP, P2PD_LET_GO, P2PD_TRUST, P2PD_DISTRUST, P2PD_BAN, P2PD_UNBAN };

enum p2pd_kad_mode {
    P2PD_KAD_CLOSEST,
    P2PD_KAD_GET,
    P2PD_KAD_PUT,
    P2PD_KAD_PROVIDE,
    P2PD_KAD_PROVIDERS,
    P2PD_KAD_UNPUT,
    P2PD_KAD_UNPROVIDE,
    P2PD_KAD_TABLE,
};

enum p2pd_signing { P2PD_ANONYMOUS, P2PD_SIGNED };

enum p2pd_id_rule { P2PD_ID_CONTENT, P2PD_ID_ETH2 };

enum p2pd_priority { P2PD_FIRST, P2PD_HIGH, P2PD_NORMAL, P2PD_LOW };

struct p2pd_bytes {
    const uint8_t *p; /* no zero behind text */
    size_t n;
};

static inline struct p2pd_bytes p2pd_bytes(const void *p, size_t n)
{
    struct p2pd_bytes v;

    v.p = (const uint8_t *)p;
    v.n = n;
    return v;
}

static inline struct p2pd_bytes p2pd_text(const char *s)
{
    return p2pd_bytes(s, strlen(s));
}

/* A frame of the daemon's. Fields that its kind does not have are 0. */
struct p2pd_event {
    enum p2pd_kind kind;
    uint32_t tag;
    uint64_t id;
    uint64_t time; /* Unix ns */
    uint64_t count;
    uint32_t wait; /* ms */
    uint16_t low, high;
    uint8_t mode;
    uint16_t code;
    uint8_t hash[20];
    uint8_t context[4];
    struct p2pd_bytes peer, topic, text, data;
};

struct p2pd;

/* ---- a connection ---- */

/* Waits until the daemon has said WELCOME, ten seconds at most. *ret is NULL on errors. */
P2PD_API int p2pd_connect(struct p2pd **ret, const char *path, const char *name);
/*
 * A daemon of the program's own: `program` (NULL: beacon-p2pd, found by PATH) with "run", `flags`
 * (ends with NULL) and a control socket in a new private directory. Waits until it listens, 60
 * seconds at most. It ends with p2pd_close(), or with the thread
 * that called this.
 */
P2PD_API int p2pd_start(struct p2pd **ret, const char *program, const char *const *flags,
                        const char *name);
P2PD_API void p2pd_close(struct p2pd *p); /* NULL: nothing. A started daemon is waited for */
P2PD_API const struct p2pd_event *p2pd_welcome(const struct p2pd *p); /* good until p2pd_close() */
P2PD_API int p2pd_fd(const struct p2pd *p);
P2PD_API short p2pd_poll(const struct p2pd *p); /* POLLIN, and POLLOUT while something is unsent */
/* Read and write what goes, without waiting. 1: *ev is the next event; 0: there is none; negative.
 */
P2PD_API int p2pd_next(struct p2pd *p, struct p2pd_event *ev);
/* The same, waiting up to `ms` (-1: for ever). */
P2PD_API int p2pd_wait(struct p2pd *p, struct p2pd_event *ev, int ms);

/* ---- gossip ---- */

P2PD_API int p2pd_subscribe(struct p2pd *p, enum p2pd_mode mode, const char *topic);
P2PD_API int p2pd_unsubscribe(struct p2pd *p, const char *topic);
/* On a MESSAGE whose `wait` is above 0. They are gathered, and go with the next p2pd_next() or
 * p2pd_wait(). score: thousandths. */
P2PD_API int p2pd_verdict(struct p2pd *p, uint64_t id, enum p2pd_verdict v, int32_t score);
P2PD_API int p2pd_publish(struct p2pd *p, const char *topic, struct p2pd_bytes data);
P2PD_API int p2pd_join(struct p2pd *p, const char *topic, uint64_t until_slot);
P2PD_API int p2pd_leave(struct p2pd *p, const char *topic);

/* A topic of the program's own: authors sign, or nobody does; bytes of its largest message (0: 1
 * MiB). */
P2PD_API int p2pd_add_topic(struct p2pd *p, const char *topic, enum p2pd_signing signing,
                            enum p2pd_id_rule rule, uint64_t message_max);

/* ---- peers; `peer` is what events have ---- */

P2PD_API int p2pd_add_peer(struct p2pd *p, const char *multiaddr);
P2PD_API int p2pd_drop_peer(struct p2pd *p, const char *peer_id);
/* Kept over restarts. `reason` NULL: none; seconds 0: no end. */
P2PD_API int p2pd_order(struct p2pd *p, enum p2pd_order_mode mode, const char *peer_or_range,
                        uint64_t seconds, const char *reason);
/* CHUNKs, then a RESULT. */
P2PD_API int p2pd_kad(struct p2pd *p, enum p2pd_kad_mode mode, const char *key,
                      struct p2pd_bytes data);
/* CHUNKs, then a RESULT. peer.n 0: whoever fits. */
P2PD_API int p2pd_request(struct p2pd *p, struct p2pd_bytes peer, const char *method,
                          struct p2pd_bytes ssz, uint64_t chunks_max, uint32_t wait_ms);
P2PD_API int p2pd_cancel(struct p2pd *p, uint32_t tag);
/* The text of a peer id, as others write it; "" when it is none. Returns `out`. */
P2PD_API char *p2pd_peer_text(struct p2pd_bytes peer, char out[P2PD_PEER_TEXT_MAX]);

/* ---- protocols of the program's own ---- */

P2PD_API int p2pd_serve(struct p2pd *p, enum p2pd_serve_mode mode, const char *protocol,
                        unsigned streams_per_peer, uint64_t message_max);
P2PD_API int p2pd_unserve(struct p2pd *p, const char *protocol);
P2PD_API int p2pd_open(struct p2pd *p, struct p2pd_bytes peer, const char *protocol);
P2PD_API int p2pd_send(struct p2pd *p, uint64_t id, enum p2pd_priority priority,
                       struct p2pd_bytes data);
P2PD_API int p2pd_credit(struct p2pd *p, uint64_t id, uint64_t bytes);
P2PD_API int p2pd_end(struct p2pd *p, uint64_t id); /* also of a CALL's answer */
P2PD_API int p2pd_reset(struct p2pd *p, uint64_t id);
/* An object of a CALL's answer; context NULL: zeros. */
P2PD_API int p2pd_answer(struct p2pd *p, uint64_t id, const uint8_t *context,
                         struct p2pd_bytes data);
P2PD_API int p2pd_refuse(struct p2pd *p, uint64_t id, uint8_t code, const char *text);
/* One way; peer.n 0: to all that speak it. */
P2PD_API int p2pd_tell(struct p2pd *p, struct p2pd_bytes peer, const char *protocol, uint64_t type,
                       enum p2pd_priority priority, struct p2pd_bytes data);
/* REPLIED follows, or a RESULT that says why not. */
P2PD_API int p2pd_ask(struct p2pd *p, struct p2pd_bytes peer, const char *protocol, uint64_t type,
                      uint32_t wait_ms, struct p2pd_bytes data);
P2PD_API int p2pd_reply(struct p2pd *p, uint64_t id, uint16_t code, struct p2pd_bytes data);

P2PD_API const char *p2pd_error_text(int error);
P2PD_API const char *p2pd_version(void);

#ifdef __cplusplus
}
#endif

#endif
