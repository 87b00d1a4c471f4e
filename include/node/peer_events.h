/*
 * What happened to peers, and why: a ring of the last events, of which each has a reason out of one
 * table (peer_reason.def). Whoever decides something about a peer notes it here.
 *
 * Memory   the ring, made at birth
 */
#ifndef NODE_PEER_EVENTS_H
#define NODE_PEER_EVENTS_H

#include <base/addr.h>
#include <base/clock.h>
#include <base/err.h>
#include <codec/peer_id.h>
#include <node/rating.h>

#define PEER_EVENTS_MAX   1000u
#define PEER_EVENTS_SMALL 16u /* of a node among thousands in one process */
#define PEER_EVENT_TEXT   64u

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
    uint64_t mono_ns, wall_ns;
    uint64_t number; /* since the start, without gaps */
    struct peer_id peer;
    struct addr addr; /* family 0: unknown */
    enum peer_reason reason;
    enum err error;        /* E_OK: none */
    enum rating_part part; /* of WHY_RATED */
    double change, rating; /* of the part, after its bounds; the whole afterwards */
    bool outbound;
    char text[PEER_EVENT_TEXT]; /* what else is to be told; may be empty */
};

struct peer_events;

struct peer_events *peer_events_new(uint32_t max);
void peer_events_free(struct peer_events *es);
/* Copied; the oldest goes. Number and times are filled in here. */
void peer_events_note(struct peer_events *es, const struct peer_event *e, struct now now);
/* The event of that number or the first one kept after it: NULL when there is none. */
const struct peer_event *peer_events_at(const struct peer_events *es, uint64_t number);
uint64_t peer_events_count(const struct peer_events *es); /* ever noted */

#endif
