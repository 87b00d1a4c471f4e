/*
 * gossipsub on streams: one outbound stream a peer, its inbound stream read, the router between.
 * Ids and topics as in proto/gossipsub.h; peers are conn_ids here.
 */
#ifndef NET_PUBSUB_H
#define NET_PUBSUB_H

#include <net/host.h>
#include <proto/gossipsub.h>

struct pubsub_event {
    struct gossip_event g; /* GOSSIP_SENDABLE never; g.peer is the engine's number */
    conn_id conn;          /* 0: our own message, or the peer is gone */
    /* GOSSIP_PX: the other peer and its addresses, signed by it; borrowed until the next call */
    const struct peer_id *px_peer;
    const struct multiaddr *px_addrs;
    size_t n_px_addrs;
};

struct pubsub;

/* Registers its protocol on the host. */
struct pubsub *pubsub_new(struct host *h, const struct gossip_config *cfg, struct rng *rng,
                          struct now now);
void pubsub_free(struct pubsub *p); /* before host_free() */
/* The engine, for topics, join, leave, publish, verdict, scores. Call pubsub_pump() after. */
struct gossipsub *pubsub_engine(struct pubsub *p);
/* A connection is up: open the outbound stream. */
void pubsub_add(struct pubsub *p, conn_id c, bool direct, struct now now);
void pubsub_set_direct(struct pubsub *p, conn_id c, bool direct, struct now now);
/* The peer's signed record, as identify has it: for peer exchange. */
void pubsub_set_record(struct pubsub *p, conn_id c, struct blob *record);
/* Walk the connections that have an entry here: *at from 0. */
bool pubsub_next_conn(const struct pubsub *p, uint32_t *at, conn_id *ret);
void pubsub_remove(struct pubsub *p, conn_id c, struct now now);
/* Due at once while something waits for pubsub_pump(). */
uint64_t pubsub_deadline(const struct pubsub *p);
void pubsub_tick(struct pubsub *p, struct now now);
/* Move what the engine wants sent to the streams. */
void pubsub_pump(struct pubsub *p, struct now now);
bool pubsub_next(struct pubsub *p, struct pubsub_event *ret); /* borrowed until the next call */
uint32_t pubsub_peer(const struct pubsub *p, conn_id c);      /* UINT32_MAX: none */
conn_id pubsub_conn(const struct pubsub *p, uint32_t peer);   /* 0: none */
/* An RPC of the caller's own making, length included, to every peer: for those who test others. */
void pubsub_send_raw(struct pubsub *p, struct blob *rpc);

#endif
