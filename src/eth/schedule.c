/* Fork digests and when they hold; domains. Spec: specs/phase0/beacon-chain.md,
 * specs/fulu/beacon-chain.md "Modified compute_fork_digest", "get_blob_parameters" */
#include "network_private.h"

#include <crypto/sha256.h>
#include <eth/slot_clock.h>

void fork_data_root(const uint8_t version[static 4],
                    const uint8_t genesis_validators_root[static 32], uint8_t ret[static 32])
{
    uint8_t leaves[64] = {0};

    memcpy(leaves, version, 4);
    memcpy(leaves + 32, genesis_validators_root, 32);
    sha256_once(view_of(leaves, sizeof leaves), ret);
}

void domain_compute(const uint8_t type[static 4], const uint8_t version[static 4],
                    const uint8_t genesis_validators_root[static 32], uint8_t ret[static 32])
{
    uint8_t root[32];

    fork_data_root(version, genesis_validators_root, root);
    memcpy(ret, type, 4);
    memcpy(ret + 4, root, 28);
}

void signing_root_compute(const uint8_t object_root[static 32], const uint8_t domain[static 32],
                          uint8_t ret[static 32])
{
    uint8_t leaves[64];

    memcpy(leaves, object_root, 32);
    memcpy(leaves + 32, domain, 32);
    sha256_once(view_of(leaves, sizeof leaves), ret);
}

/* The blob parameters of an epoch from fulu on: before its first entry those of electra. */
static struct blob_params blob_params_at(const struct network *n, uint64_t epoch)
{
    struct blob_params p = {n->forks[ELECTRA].epoch, n->config.MAX_BLOBS_PER_BLOCK_ELECTRA};

    for (size_t i = 0; i < n->n_blob_schedule && n->blob_schedule[i].epoch <= epoch; i++) {
        p = n->blob_schedule[i];
    }
    return p;
}

static enum fork fork_at(const struct network *n, uint64_t epoch)
{
    enum fork f = PHASE0;

    for (enum fork i = PHASE0; i < FORK_COUNT; i++) {
        if (n->forks[i].epoch <= epoch && n->forks[i].epoch != FAR_FUTURE_EPOCH) {
            f = i;
        }
    }
    return f;
}

static void span_fill(const struct network *n, uint64_t epoch, struct fork_span *s)
{
    uint8_t root[32];

    s->from = epoch;
    s->to = FAR_FUTURE_EPOCH;
    s->fork = fork_at(n, epoch);
    fork_data_root(n->forks[s->fork].version, n->genesis_validators_root, root);
    if (s->fork >= FULU) {
        struct blob_params p = blob_params_at(n, epoch);
        uint8_t pair[16], mask[32];

        store_le64(pair, p.epoch);
        store_le64(pair + 8, p.max_blobs);
        sha256_once(view_of(pair, sizeof pair), mask);
        for (size_t i = 0; i < 4; i++) {
            root[i] ^= mask[i];
        }
        s->max_blobs = p.max_blobs;
    } else if (s->fork >= ELECTRA) {
        s->max_blobs = n->config.MAX_BLOBS_PER_BLOCK_ELECTRA;
    } else if (s->fork >= DENEB) {
        s->max_blobs = n->config.MAX_BLOBS_PER_BLOCK;
    } else {
        s->max_blobs = 0;
    }
    memcpy(s->digest, root, 4);
}

/* The first boundary after `epoch`; FAR_FUTURE_EPOCH: none. */
static uint64_t boundary_after(const struct network *n, uint64_t epoch)
{
    uint64_t next = FAR_FUTURE_EPOCH;

    for (enum fork f = PHASE0; f < FORK_COUNT; f++) {
        if (n->forks[f].epoch > epoch && n->forks[f].epoch < next) {
            next = n->forks[f].epoch;
        }
    }
    for (size_t i = 0; i < n->n_blob_schedule; i++) {
        uint64_t e = n->blob_schedule[i].epoch;

        if (e > epoch && e < next && e >= n->forks[FULU].epoch) {
            next = e;
        }
    }
    return next;
}

void schedule_build(struct network *n)
{
    uint64_t epoch = 0;

    n->n_spans = 0;
    do {
        struct fork_span *s = &n->spans[n->n_spans];

        span_fill(n, epoch, s);
        s->at = (uint16_t)n->n_spans++;
        epoch = boundary_after(n, epoch);
        s->to = epoch;
    } while (epoch != FAR_FUTURE_EPOCH);
}

const struct fork_span *network_span_at(const struct network *n, uint64_t epoch)
{
    size_t i = n->n_spans - 1;

    while (i > 0 && n->spans[i].from > epoch) {
        i--;
    }
    return &n->spans[i];
}

const struct fork_span *network_span_at_slot(const struct network *n, uint64_t slot)
{
    return network_span_at(n, epoch_of_slot(n, slot));
}

const struct fork_span *network_span_of(const struct network *n, const uint8_t digest[static 4])
{
    for (size_t i = 0; i < n->n_spans; i++) {
        if (memcmp(n->spans[i].digest, digest, 4) == 0) {
            return &n->spans[i];
        }
    }
    return NULL;
}

const struct fork_span *network_span_next(const struct network *n, const struct fork_span *s)
{
    return (size_t)s->at + 1 < n->n_spans ? &n->spans[s->at + 1] : NULL;
}

enum fork network_fork_at(const struct network *n, uint64_t epoch)
{
    return network_span_at(n, epoch)->fork;
}

enum fork network_fork_at_slot(const struct network *n, uint64_t slot)
{
    return network_span_at_slot(n, slot)->fork;
}

uint64_t network_max_blobs(const struct network *n, uint64_t epoch)
{
    return network_span_at(n, epoch)->max_blobs;
}
