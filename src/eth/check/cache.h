/* The seen cache's insides: for cache.c and check.c. */
#ifndef ETH_CHECK_CACHE_H
#define ETH_CHECK_CACHE_H

#include "check.h"

#define EPOCHS_KEPT     4u   /* two before the current one, itself, the next */
#define COVERS_MAX      8u   /* aggregates of one vote that none of the others covers */
#define COVER_BYTES_MAX 260u /* a committee has 2048 members at most */

struct cover {
    uint32_t n;
    struct blob *bits[COVERS_MAX];
};

struct epoch_seen {
    uint64_t epoch;
    struct map seen;   /* fingerprint -> a number of the topic's */
    struct map covers; /* fingerprint of what is attested -> struct cover */
};

struct check_cache {
    const struct network *net;
    struct hash_key key;
    struct epoch_seen epochs[EPOCHS_KEPT]; /* at epoch % EPOCHS_KEPT */
    struct map lasting;
    struct light_seen light;
};

#endif
