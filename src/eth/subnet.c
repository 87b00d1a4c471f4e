#include <assert.h>
#include <crypto/sha256.h>
#include <eth/subnet.h>

static uint64_t swap_or_not(uint64_t index, uint64_t count, const uint8_t seed[static 32],
                            uint8_t round)
{
    uint64_t pivot, flip, position;
    uint8_t in[37], hash[32];

    memcpy(in, seed, 32);
    in[32] = round;
    sha256_once(view_of(in, 33), hash);
    pivot = load_le64(hash) % count;
    flip = (pivot + count - index) % count;
    position = index > flip ? index : flip;
    store_le32(in + 33, (uint32_t)(position / 256));
    sha256_once(view_of(in, sizeof in), hash);
    return (hash[position % 256 / 8] >> (position % 8) & 1) != 0 ? flip : index;
}

uint64_t shuffled_index(uint64_t index, uint64_t count, const uint8_t seed[static 32],
                        unsigned rounds)
{
    assert(index < count && rounds <= 255);
    for (unsigned round = 0; round < rounds; round++) {
        index = swap_or_not(index, count, seed, (uint8_t)round);
    }
    return index;
}

uint64_t unshuffled_index(uint64_t index, uint64_t count, const uint8_t seed[static 32],
                          unsigned rounds)
{
    assert(index < count && rounds <= 255);
    while (rounds-- > 0) { /* each round is its own inverse */
        index = swap_or_not(index, count, seed, (uint8_t)rounds);
    }
    return index;
}

/* SHUFFLE_ROUND_COUNT of the presets */
static unsigned shuffle_rounds(const struct network *n)
{
    return n->preset == PRESET_MINIMAL ? 10 : 90;
}

/* Periods of nodes are shifted by their ids, so that not all move in the same epoch. */
static uint64_t period_offset(const struct network *n, const uint8_t node_id[static 32])
{
    uint64_t m = n->config.EPOCHS_PER_SUBNET_SUBSCRIPTION, offset = 0;

    for (size_t i = 0; i < 32; i++) { /* the 256-bit id modulo m; m fits 32 bits */
        offset = (offset * 256 + node_id[i]) % m;
    }
    return offset;
}

static void period_seed(const struct network *n, uint64_t offset, uint64_t epoch,
                        uint8_t ret[static 32])
{
    uint8_t period[8];

    store_le64(period, (epoch + offset) / n->config.EPOCHS_PER_SUBNET_SUBSCRIPTION);
    sha256_once(view_of(period, sizeof period), ret);
}

uint64_t subnets_of_node(const struct network *n, const uint8_t node_id[static 32], uint64_t epoch)
{
    uint64_t prefix = (uint64_t)node_id[0] >> (8 - n->config.ATTESTATION_SUBNET_PREFIX_BITS);
    uint64_t first, set = 0;
    uint8_t seed[32];

    period_seed(n, period_offset(n, node_id), epoch, seed);
    first = shuffled_index(prefix, ATTESTATION_SUBNETS, seed, shuffle_rounds(n));
    for (uint64_t i = 0; i < n->config.SUBNETS_PER_NODE; i++) {
        set |= UINT64_C(1) << ((first + i) % ATTESTATION_SUBNETS);
    }
    return set;
}

uint8_t subnet_id_prefix(const struct network *n, uint64_t subnet, uint64_t epoch, struct rng *rng)
{
    uint64_t offset = rng_below(rng, n->config.EPOCHS_PER_SUBNET_SUBSCRIPTION);
    uint64_t back = rng_below(rng, n->config.SUBNETS_PER_NODE);
    uint64_t first = (subnet + ATTESTATION_SUBNETS - back % ATTESTATION_SUBNETS);
    uint8_t seed[32];

    period_seed(n, offset, epoch, seed);
    return (uint8_t)(unshuffled_index(first % ATTESTATION_SUBNETS, ATTESTATION_SUBNETS, seed,
                                      shuffle_rounds(n))
                     << (8 - n->config.ATTESTATION_SUBNET_PREFIX_BITS));
}

uint64_t subnets_next_change(const struct network *n, const uint8_t node_id[static 32],
                             uint64_t epoch)
{
    uint64_t m = n->config.EPOCHS_PER_SUBNET_SUBSCRIPTION;
    uint64_t into = (epoch % m + period_offset(n, node_id)) % m;

    return epoch > UINT64_MAX - (m - into) ? UINT64_MAX : epoch + (m - into);
}

uint64_t subnet_for_attestation(const struct network *n, uint64_t committees_per_slot,
                                uint64_t slot, uint64_t committee_index)
{
    uint64_t before = committees_per_slot * (slot % n->slots_per_epoch);

    return (before + committee_index) % ATTESTATION_SUBNETS;
}

void attnets_encode(uint64_t subnets, uint8_t ret[static 8])
{
    store_le64(ret, subnets);
}

uint64_t attnets_decode(const uint8_t bytes[static 8])
{
    return load_le64(bytes);
}
