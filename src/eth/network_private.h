/* Between config.c (text), network.c (files) and schedule.c (spans). */
#ifndef ETH_NETWORK_PRIVATE_H
#define ETH_NETWORK_PRIVATE_H

#include <eth/network.h>

/* What a config text leaves open: keys that stand for a genesis state. */
struct config_extra {
    bool has_validators_root, has_genesis_time;
};

/* Fill `n` (zeroed) from a config.yaml; boot nodes and genesis are the caller's. E_CONFIG. */
CHECKED enum err config_parse(struct network *n, struct view text, const char *file,
                              struct config_extra *ret, char fault[static NETWORK_FAULT_MAX]);
/* "ALTAIR" and the suffix, "_FORK_VERSION" or "_FORK_EPOCH". */
void config_fork_key(enum fork f, const char *suffix, char out[static 64]);
/* ENRs and multiaddrs from YAML lists or plain lines. E_CONFIG names what is neither. */
CHECKED enum err bootnodes_parse(struct network *n, struct view text, const char *file,
                                 char fault[static NETWORK_FAULT_MAX]);
/* The spans from forks, blob schedule and genesis_validators_root; all must be set. */
void schedule_build(struct network *n);

/* A file of networks/, turned into C at configure time (cmake/Embed.cmake). */
struct embedded {
    const char *name; /* "hoodi.yaml" */
    const unsigned char *bytes;
    size_t n;
};

extern const struct embedded embedded_networks[];
extern const size_t embedded_networks_count;

#endif
