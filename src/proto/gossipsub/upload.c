/*
 * A cap on what we send (cfg.upload_max), held by class: a bucket of one second's bytes. Control
 * and blocks always go, and are charged; the others go while there is more in the bucket than what
 * is kept back for the classes above. What is held stays in its peer's queue, where the drop order
 * is the usual one.
 */
#include "router.h"

/* After a burst of blocks the lower classes wait for this many seconds' bytes at most. */
#define DEBT_SECONDS 4

static int64_t kept_back(const struct gossipsub *g, enum gossip_class class)
{
    int64_t max = (int64_t)g->cfg.upload_max;

    switch (class) {
    case GOSSIP_CONTROL:
    case GOSSIP_BLOCK:
        return INT64_MIN;
    case GOSSIP_AGGREGATE:
        return 0;
    case GOSSIP_ATTESTATION:
        return max / 4;
    case GOSSIP_BULK:
        return max / 2;
    }
    return 0;
}

static void refill(struct gossipsub *g)
{
    int64_t max = (int64_t)g->cfg.upload_max;
    uint64_t ns = g->now_ns - g->upload.at_ns;

    ns = ns > SECONDS(2 * DEBT_SECONDS) ? SECONDS(2 * DEBT_SECONDS) : ns;
    uint64_t more = ns / 1000u * g->cfg.upload_max / 1000000u;
    if (more == 0) {
        return; /* time that gave no byte yet is not lost */
    }
    g->upload.at_ns = g->now_ns;
    g->upload.bytes += (int64_t)more;
    g->upload.bytes = g->upload.bytes > max ? max : g->upload.bytes;
}

bool upload_allows(struct gossipsub *g, uint32_t peer, enum gossip_class class)
{
    if (g->cfg.upload_max == 0) {
        return true;
    }
    refill(g);
    if (g->upload.bytes > kept_back(g, class)) {
        return true;
    }
    bit_set(g->upload.held, peer);
    g->upload.n_held++;
    return false;
}

void upload_charge(struct gossipsub *g, size_t n)
{
    int64_t least = -DEBT_SECONDS * (int64_t)g->cfg.upload_max;

    g->upload.bytes -= g->cfg.upload_max == 0 ? 0 : (int64_t)n;
    g->upload.bytes = g->upload.bytes < least ? least : g->upload.bytes;
}

uint64_t upload_deadline(const struct gossipsub *g)
{
    return g->upload.n_held == 0 ? NEVER : g->now_ns + UPLOAD_STEP_NS;
}

/* Those that were held ask again; who goes first changes with the time. */
void upload_tick(struct gossipsub *g)
{
    uint32_t first = (uint32_t)(g->now_ns / UPLOAD_STEP_NS % g->cfg.peers_max);

    if (g->upload.n_held == 0) {
        return;
    }
    g->upload.n_held = 0;
    for (uint32_t i = 0; i < g->cfg.peers_max; i++) {
        uint32_t peer = (first + i) % g->cfg.peers_max;

        if (bit_get(g->upload.held, peer)) {
            bit_clear(g->upload.held, peer);
            g->peers[peer]->told = false;
            queue_wake(g, peer);
        }
    }
}
