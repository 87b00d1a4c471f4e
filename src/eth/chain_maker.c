#include <assert.h>
#include <crypto/sha256.h>
#include <eth/chain_maker.h>
#include <eth/schema.h>
#include <eth/slot_clock.h>
#include <eth/subnet.h>
#include <stdio.h>

/* A block's payload carries this much, so that blocks are worth compressing and cutting. */
#define TRANSACTIONS      4u
#define TRANSACTION_BYTES 256u
#define GAS_LIMIT         30000000u
#define PATH_BYTES        96u /* of a field's path */
/* Spec: specs/gloas/beacon-chain.md */
#define BUILDER_INDEX_SELF_BUILD UINT64_MAX

/* SHA-256 of a label, a number and 32 bytes: the chain's invented but repeatable values. */
static void invent(const char *label, uint64_t x, const uint8_t bytes[static 32],
                   uint8_t ret[static 32])
{
    struct sha256 s;
    uint8_t number[8];

    store_le64(number, x);
    sha256_init(&s);
    sha256_add(&s, view_str(label));
    sha256_add(&s, view_of(number, sizeof number));
    sha256_add(&s, view_of(bytes, 32));
    sha256_end(&s, ret);
}

void chain_maker_validators_root(uint8_t ret[static 32])
{
    static const uint8_t zero[32];

    invent("p2pd devnet validators", CHAIN_MAKER_VALIDATORS, zero, ret);
}

/* The root of a type's default value. */
static void default_root(const struct ssz_type *type, uint8_t ret[static 32])
{
    struct ssz_builder *b = ssz_build(type);
    struct buf out;

    buf_init(&out, MIB); /* the largest, a body, has a few hundred bytes */
    IGNORE(ssz_build_end(b, &out), "a default value fits");
    assert(out.n > 0);
    ssz_root(type, buf_view(&out), ret);
    buf_done(&out);
    ssz_build_free(b);
}

void chain_maker_genesis_root(const struct network *n, uint8_t ret[static 32])
{
    enum fork fork = network_fork_at(n, 0);
    const struct ssz_type *header = schema_type(n->preset, fork, "BeaconBlockHeader");
    uint8_t bytes[112] = {0};

    /* the header's last field: body_root */
    default_root(schema_type(n->preset, fork, "BeaconBlockBody"), bytes + 80);
    ssz_root(header, view_of(bytes, sizeof bytes), ret);
}

static enum err set_hash(struct ssz_builder *b, const char *path, const char *label, uint64_t slot,
                         const uint8_t parent[static 32])
{
    uint8_t hash[32];

    invent(label, slot, parent, hash);
    return ssz_set(b, path, view_of(hash, sizeof hash));
}

/* A field of a payload: "message.body.execution_payload." before gloas, then the envelope's. */
static const char *path_of(char out[static PATH_BYTES], const char *prefix, const char *name)
{
    (void)snprintf(out, PATH_BYTES, "%.60s%.30s", prefix, name);
    return out;
}

/* The hashes of payloads follow from the beacon block's parent: they name a chain, but no
 * execution layer has it. */
static enum err fill_payload(struct ssz_builder *b, const struct network *n, const char *prefix,
                             uint64_t slot, const uint8_t parent[static 32])
{
    static const uint8_t zero[32];
    uint8_t transaction[TRANSACTION_BYTES];
    uint64_t seconds = slot * n->config.SLOT_DURATION_MS / 1000;
    char path[PATH_BYTES];

    /* Spec: specs/bellatrix/beacon-chain.md "compute_time_at_slot" */
    TRY(ssz_set_u64(b, path_of(path, prefix, "timestamp"), n->genesis_time + seconds));
    TRY(ssz_set_u64(b, path_of(path, prefix, "block_number"), slot));
    TRY(ssz_set_u64(b, path_of(path, prefix, "gas_limit"), GAS_LIMIT));
    TRY(set_hash(b, path_of(path, prefix, "parent_hash"), "p2pd payload parent", 0, parent));
    TRY(set_hash(b, path_of(path, prefix, "block_hash"), "p2pd payload", slot, parent));
    (void)path_of(path, prefix, "transactions");
    for (unsigned i = 0; i < TRANSACTIONS; i++) {
        for (size_t at = 0; at < sizeof transaction; at += 32) {
            invent("p2pd transaction", slot * 1024 + (uint64_t)i * 32 + at / 32, zero,
                   transaction + at);
        }
        TRY(ssz_append(b, path, view_of(transaction, sizeof transaction)));
    }
    return E_OK;
}

/* gloas: the block holds a promise of its payload, which the proposer builds itself. */
static enum err fill_bid(struct ssz_builder *b, const struct network *n, enum fork fork,
                         uint64_t slot, const uint8_t parent[static 32])
{
    const struct ssz_type *requests = schema_type(n->preset, fork, "ExecutionRequests");
    uint8_t root[32];

#define BID "message.body.signed_execution_payload_bid.message."
    default_root(requests, root);
    TRY(ssz_set_u64(b, BID "slot", slot));
    TRY(ssz_set_u64(b, BID "builder_index", BUILDER_INDEX_SELF_BUILD));
    TRY(ssz_set_u64(b, BID "gas_limit", GAS_LIMIT));
    TRY(ssz_set(b, BID "parent_block_root", view_of(parent, 32)));
    TRY(ssz_set(b, BID "execution_requests_root", view_of(root, 32)));
    TRY(set_hash(b, BID "parent_block_hash", "p2pd payload parent", 0, parent));
    return set_hash(b, BID "block_hash", "p2pd payload", slot, parent);
#undef BID
}

static enum err fill_block(struct ssz_builder *b, const struct network *n, enum fork fork,
                           uint64_t slot, const uint8_t parent[static 32])
{
    static const char graffiti[32] = "beacon-p2pd devnet";

    TRY(ssz_set_u64(b, "message.slot", slot));
    TRY(ssz_set_u64(b, "message.proposer_index", slot % CHAIN_MAKER_VALIDATORS));
    TRY(ssz_set(b, "message.parent_root", view_of(parent, 32)));
    TRY(set_hash(b, "message.state_root", "p2pd state", slot, parent));
    TRY(ssz_set(b, "message.body.graffiti", view_of(graffiti, sizeof graffiti)));
    if (fork >= GLOAS) {
        return fill_bid(b, n, fork, slot, parent);
    }
    return fork < BELLATRIX ? E_OK
                            : fill_payload(b, n, "message.body.execution_payload.", slot, parent);
}

enum err chain_maker_block(const struct network *n, uint64_t slot, const uint8_t parent[static 32],
                           struct buf *out, uint8_t ret_root[static 32])
{
    enum fork fork = network_fork_at_slot(n, slot);
    const struct ssz_type *signed_type = schema_type(n->preset, fork, "SignedBeaconBlock");
    const struct ssz_type *type = schema_type(n->preset, fork, "BeaconBlock");
    size_t start = out->n;
    struct ssz_builder *b;
    struct view whole;
    enum err e;

    b = ssz_build(signed_type);
    e = fill_block(b, n, fork, slot, parent);
    if (e == E_OK) {
        e = ssz_build_end(b, out);
    }
    ssz_build_free(b);
    if (e == E_OK) {
        whole = view_of(out->p + start, out->n - start);
        ssz_root(type, ssz_bytes(signed_type, whole, "message"), ret_root);
    }
    return e;
}

/* Spec: specs/phase0/beacon-chain.md "get_committee_count_per_slot" */
static uint64_t committees_per_slot(const struct network *n)
{
    uint64_t target_size = n->preset == PRESET_MINIMAL ? 4 : 128;
    uint64_t most = n->preset == PRESET_MINIMAL ? 4 : 64;
    uint64_t count = CHAIN_MAKER_VALIDATORS / n->slots_per_epoch / target_size;

    return count < 1 ? 1 : count > most ? most : count;
}

uint64_t chain_maker_attesters(const struct network *n)
{
    return CHAIN_MAKER_VALIDATORS / n->slots_per_epoch;
}

static enum err fill_vote(struct ssz_builder *b, const struct network *n, uint64_t slot,
                          const uint8_t block[static 32])
{
    uint64_t epoch = epoch_of_slot(n, slot);

    TRY(ssz_set_u64(b, "data.slot", slot));
    TRY(ssz_set(b, "data.beacon_block_root", view_of(block, 32)));
    TRY(ssz_set_u64(b, "data.source.epoch", epoch == 0 ? 0 : epoch - 1));
    TRY(ssz_set_u64(b, "data.target.epoch", epoch));
    return ssz_set(b, "data.target.root", view_of(block, 32));
}

/* Who votes: named since electra, before that a bit in the committee. */
static enum err fill_voter(struct ssz_builder *b, const struct network *n, enum fork fork,
                           uint64_t slot, uint64_t i)
{
    uint64_t attesters = chain_maker_attesters(n), committees = committees_per_slot(n);
    uint64_t committee = i * committees / attesters, size = attesters / committees;
    uint8_t bits[2] = {0};

    if (fork >= ELECTRA) {
        TRY(ssz_set_u64(b, "committee_index", committee));
        return ssz_set_u64(b, "attester_index", slot % n->slots_per_epoch * attesters + i);
    }
    assert(size < 16);
    bits[i % size / 8] |= (uint8_t)(1u << i % size % 8); /* the voter, then the delimiter */
    bits[size / 8] |= (uint8_t)(1u << size % 8);
    TRY(ssz_set_u64(b, "data.index", committee));
    return ssz_set(b, "aggregation_bits", view_of(bits, size / 8 + 1));
}

enum err chain_maker_attestation(const struct network *n, uint64_t slot, uint64_t i,
                                 const uint8_t block[static 32], struct buf *out,
                                 uint64_t *ret_subnet)
{
    enum fork fork = network_fork_at_slot(n, slot);
    uint64_t attesters = chain_maker_attesters(n), committees = committees_per_slot(n);
    struct ssz_builder *b;
    enum err e;

    if (i >= attesters) {
        return E_RANGE;
    }
    b = ssz_build(
        schema_type(n->preset, fork, fork >= ELECTRA ? "SingleAttestation" : "Attestation"));
    e = fill_voter(b, n, fork, slot, i);
    if (e == E_OK) {
        e = fill_vote(b, n, slot, block);
    }
    if (e == E_OK) {
        e = ssz_build_end(b, out);
    }
    ssz_build_free(b);
    if (e == E_OK) {
        *ret_subnet = subnet_for_attestation(n, committees, slot, i * committees / attesters);
    }
    return e;
}

static enum err fill_envelope(struct ssz_builder *b, const struct network *n, uint64_t slot,
                              const uint8_t parent[static 32], const uint8_t block[static 32])
{
    TRY(fill_payload(b, n, "message.payload.", slot, parent));
    TRY(ssz_set_u64(b, "message.payload.slot_number", slot));
    TRY(ssz_set_u64(b, "message.builder_index", BUILDER_INDEX_SELF_BUILD));
    TRY(ssz_set(b, "message.beacon_block_root", view_of(block, 32)));
    return ssz_set(b, "message.parent_beacon_block_root", view_of(parent, 32));
}

enum err chain_maker_envelope(const struct network *n, uint64_t slot,
                              const uint8_t parent[static 32], const uint8_t block[static 32],
                              struct buf *out)
{
    enum fork fork = network_fork_at_slot(n, slot);
    struct ssz_builder *b;
    enum err e;

    if (fork < GLOAS) {
        return E_UNSUPPORTED;
    }
    b = ssz_build(schema_type(n->preset, fork, "SignedExecutionPayloadEnvelope"));
    e = fill_envelope(b, n, slot, parent, block);
    if (e == E_OK) {
        e = ssz_build_end(b, out);
    }
    ssz_build_free(b);
    return e;
}
