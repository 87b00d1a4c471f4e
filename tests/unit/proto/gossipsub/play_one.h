/* One router, its peers played by hand: feed RPCs, move time, read what it says and sees. */
#ifndef PLAY_ONE_H
#define PLAY_ONE_H

#include "play_gossip.h"

#define ONE_PEERS 70u
#define ONE_TEXT  1024u

struct one {
    struct gossipsub *g;
    struct gossip_config cfg;
    struct budget mem;
    struct rng_seeded rng;
    struct play_open open;
    struct now now;
    char said[ONE_PEERS][ONE_TEXT]; /* to each peer since the last one_said() */
    char seen[4 * ONE_TEXT]; /* events since the last one_seen(): "message t 3, pruned t 4" */
    bool stuck[ONE_PEERS];   /* the peer's socket takes nothing */
    uint64_t message;        /* of the last GOSSIP_MESSAGE */
    uint8_t id[GOSSIP_ID_MAX];
    unsigned n_messages, n_duplicates;
    enum err error; /* of the last GOSSIP_REFUSED */
};

/* play_config() in o->cfg, to be changed before one_start(). */
void one_init(struct one *o);
void one_start(struct one *o);
void one_done(struct one *o);
uint32_t one_topic(struct one *o, const char *name, bool join);
/* Also with its data limit, class and score. */
uint32_t one_topic_with(struct one *o, const struct gossip_topic_config *cfg, bool join);
void one_peer(struct one *o, uint32_t peer, enum gossip_version version, bool outbound,
              bool direct);
/* n gossipsub 1.2 peers from `first` on that are subscribed to the topic. */
void one_crowd(struct one *o, uint32_t first, uint32_t n, const char *topic);
/* Ends the RPC, feeds it, reads all that follows. */
void one_feed(struct one *o, uint32_t peer, struct rpc_text *r);
enum err one_feed_error(struct one *o, uint32_t peer, struct rpc_text *r);
void one_send_graft(struct one *o, uint32_t peer, const char *topic);
void one_send_message(struct one *o, uint32_t peer, const char *topic, const char *text);
void one_verdict(struct one *o, enum gossip_verdict v); /* of the last message */
void one_drain(struct one *o);
void one_ticks(struct one *o, unsigned n);  /* heartbeats */
void one_sleep(struct one *o, uint64_t ns); /* with the heartbeats that fall into it */
/* Since the last call; valid until the next. */
const char *one_said(struct one *o, uint32_t peer);
const char *one_seen(struct one *o);
/* How many peers were told something that contains `what`; does not clear. */
unsigned one_told(const struct one *o, const char *what);

#endif
