/*
 * A remote with a mind of its own: it goes through the upgrade as far as it is told to, with the
 * real engines, and then says whatever the test wants.
 */
#ifndef TESTS_UNIT_NET_PLAY_PUPPET_H
#define TESTS_UNIT_NET_PLAY_PUPPET_H

#include "play_net.h"

#include <proto/multistream.h>
#include <proto/noise.h>

enum puppet_step {
    PUPPET_TCP,      /* connected, silent */
    PUPPET_SECURITY, /* "/noise" agreed */
    PUPPET_MUXER,    /* the handshake is done, a muxer is to be agreed inside */
    PUPPET_UP,       /* the handshake is done, a muxer agreed early */
};

struct puppet {
    struct play_node *node;
    const char *muxer;
    enum puppet_step goal, step;
    uint64_t conn;
    struct noise_static keys;
    struct noise *noise;
    struct view muxers[1];
    struct ms ms;
    struct buf in, out;
    size_t got; /* plaintext bytes that the host said */
    bool closed;
};

/* A puppet that dials the node `to` and goes up to `goal`. */
void puppet_start(struct puppet *x, struct play *p, unsigned to, const char *muxer,
                  enum puppet_step goal);
void puppet_done(struct puppet *x);
/* As they are. */
void puppet_raw(struct puppet *x, struct view bytes);
/* Sealed in one record (from PUPPET_MUXER on). */
void puppet_say(struct puppet *x, struct view plain);

#endif
