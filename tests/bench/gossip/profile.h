/* A traffic profile: what one slot brings on which topics. See profile.txt. */
#ifndef BENCH_PROFILE_H
#define BENCH_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROFILE_ROWS   32u
#define PROFILE_TOPICS 256u
#define PROFILE_NAME   128u

struct profile_row {
    char name[64];
    unsigned subnets, messages, bytes, copies, peers, from_ms, to_ms, spread_ms;
};

struct profile {
    struct profile_row rows[PROFILE_ROWS];
    size_t n_rows;
    /* Every topic: its row, its full name. */
    char names[PROFILE_TOPICS][PROFILE_NAME];
    unsigned row_of[PROFILE_TOPICS], first_topic[PROFILE_ROWS];
    size_t n_topics;
};

/* False: the file cannot be read, or a row is wrong (said on stderr). */
bool profile_read(const char *path, struct profile *ret);
/* Is `peer` of `n` subscribed to this topic? The same answer everywhere. */
bool profile_subscribed(const struct profile *p, unsigned topic, unsigned peer, unsigned n);

#endif
