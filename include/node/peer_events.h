/*
 * What happened to peers, and why: a ring of the last events, of which each has a reason out of one
 * table (peer_reason.def). Whoever decides something about a peer notes it here.
 *
 * What repeats (dials of a peer that is away, changes of a rating by the same fault, strangers that
 * knock) is one event with a count, so that nobody's story is pushed out by another's.
 *
 * Memory   the ring, made at birth
 */
#ifndef NODE_PEER_EVENTS_H
#define NODE_PEER_EVENTS_H

#include <base/addr.h>
#include <base/clock.h>
#include <base/err.h>
#include <codec/multiaddr.h>
#include <node/rating.h>

#define PEER_EVENTS_MAX   1000u
#define PEER_EVENTS_SMALL 16u /* of a node among thousands in one process */
#define PEER_EVENT_TEXT   112u

enum peer_act {
    ACT_FOUND,
    ACT_DIALLED,
    ACT_CONNECTED,
    ACT_REFUSED,
    ACT_PRUNED,  /* asked to make room */
    ACT_DROPPED, /* asked to go for what it is or did */
    ACT_GONE,
    ACT_BANNED,
    ACT_UNBANNED,
    ACT_RATED,
    ACT_GOODBYE, /* said by us */
    ACT_AGREED,  /* its status is of our network */
    ACT_NAMED,   /* by the user: what he wants of it */
    PEER_ACTS
};

enum peer_reason {

#define R(id, act, name, text) id,
#include <node/peer_reason.def>
#undef R
    PEER_REASONS
};

struct peer_reason_row {
    enum peer_act act;
    const char *name, *text;
};

extern const struct peer_reason_row peer_reasons[PEER_REASONS];
const char *peer_act_name(enum peer_act a);

struct peer_event {
    uint64_t mono_ns, wall_ns; /* the first time */
    uint64_t last_wall_ns;
    uint32_t times;
    uint64_t number;     /* since the start, without gaps */
    struct peer_id peer; /* n 0: unknown */
    struct addr addr;    /* family 0: unknown */
    enum transport_kind transport;
    enum peer_reason reason;
    enum err error;        /* E_OK: none */
    enum rating_part part; /* of WHY_RATED */
    double change, rating; /* of the part, all times together; the whole afterwards */
    uint64_t code;         /* of a goodbye */
    bool outbound;
    char text[PEER_EVENT_TEXT]; /* what else is to be told; may be empty */
};

struct peer_events;

struct peer_events *peer_events_new(uint32_t max);
void peer_events_free(struct peer_events *es);
/* Copied; the oldest goes. Numbers and times are filled in here. */
void peer_events_note(struct peer_events *es, const struct peer_event *e, struct now now);
/* The event of that number or the first one kept after it: NULL when there is none. */
const struct peer_event *peer_events_at(const struct peer_events *es, uint64_t number);
uint64_t peer_events_count(const struct peer_events *es); /* ever noted */

#endif
