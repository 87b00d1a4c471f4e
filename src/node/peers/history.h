/* A node found, as it is kept on disk: its record and what became of our connections with it. */
#ifndef NODE_HISTORY_H
#define NODE_HISTORY_H

#include <proto/enr.h>

#define HISTORY_SIZE_MAX (1u + 8u + 4u + 4u + ENR_MAX)

struct history {
    uint64_t last_s;    /* Unix time of the last connection; 0: never */
    uint32_t successes; /* connections */
    uint32_t failures;  /* dials in a row that failed */
    struct enr enr;
};

/* Version, last_s, successes, failures (little endian), the record's RLP. */
size_t history_encode(const struct history *k, uint8_t out[static HISTORY_SIZE_MAX]);
/* What the disk gives back is checked like what the network gives: E_INVALID, E_ENR*. */
CHECKED enum err history_decode(struct view v, struct history *ret);

#endif
