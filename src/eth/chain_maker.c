#include <assert.h>
#include <crypto/sha256.h>
#include <eth/chain_maker.h>
#include <eth/schema.h>
#include <eth/slot_clock.h>
#include <eth/subnet.h>

/* A block's payload carries this much, so that blocks are worth compressing and cutting. */
#define TRANSACTIONS      4u
#define TRANSACTION_BYTES 256u

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

void chain_maker_genesis_root(const struct network *n, uint8_t ret[static 32])
{
    enum fork fork = network_fork_at(n, 0);
    const struct ssz_type *header = schema_type(n->preset, fork, "BeaconBlockHeader");
    const struct ssz_type *body = schema_type(n->preset, fork, "BeaconBlockBody");
    struct ssz_builder *b = ssz_build(body);
    uint8_t bytes[112] = {0};
    struct buf out;

    buf_init(&out, MIB);
    IGNORE(ssz_build_end(b, &out), "a default body is a few hundred bytes");
    assert(out.n > 0);
    ssz_root(body, buf_view(&out), bytes + 80); /* the header's last field: body_root */
    ssz_root(header, view_of(bytes, sizeof bytes), ret);
    buf_done(&out);
    ssz_build_free(b);
}

static enum err set_hash(struct ssz_builder *b, const char *path, const char *label, uint64_t slot,
                         const uint8_t parent[static 32])
{
    uint8_t hash[32];

    invent(label, slot, parent, hash);
    return ssz_set(b, path, view_of(hash, sizeof hash));
}

static enum err fill_payload(struct ssz_builder *b, const struct network *n, uint64_t slot,
                             const uint8_t parent[static 32])
{
    static const uint8_t zero[32];
    uint8_t transaction[TRANSACTION_BYTES];
    uint64_t seconds = slot * n->config.SLOT_DURATION_MS / 1000;

#define PAYLOAD "message.body.execution_payload."
    /* Spec: specs/bellatrix/beacon-chain.md "compute_time_at_slot" */
    TRY(ssz_set_u64(b, PAYLOAD "timestamp", n->genesis_time + seconds));
    TRY(ssz_set_u64(b, PAYLOAD "block_number", slot));
    TRY(ssz_set_u64(b, PAYLOAD "gas_limit", 30000000));
    /* The hashes of payloads follow from the beacon block's parent: they name a chain, but no
     * execution layer has it. */
    TRY(set_hash(b, PAYLOAD "parent_hash", "p2pd payload parent", 0, parent));
    TRY(set_hash(b, PAYLOAD "block_hash", "p2pd payload", slot, parent));
    for (unsigned i = 0; i < TRANSACTIONS; i++) {
        for (size_t at = 0; at < sizeof transaction; at += 32) {
            invent("p2pd transaction", slot * 1024 + i * 32 + at / 32, zero, transaction + at);
        }
        TRY(ssz_append(b, PAYLOAD "transactions", view_of(transaction, sizeof transaction)));
    }
#undef PAYLOAD
    return E_OK;
}

static enum err fill_block(struct ssz_builder *b, const struct network *n, uint64_t slot,
                           const uint8_t parent[static 32])
{
    static const char graffiti[32] = "beacon-p2pd devnet";

    TRY(ssz_set_u64(b, "message.slot", slot));
    TRY(ssz_set_u64(b, "message.proposer_index", slot % CHAIN_MAKER_VALIDATORS));
    TRY(ssz_set(b, "message.parent_root", view_of(parent, 32)));
    TRY(set_hash(b, "message.state_root", "p2pd state", slot, parent));
    TRY(ssz_set(b, "message.body.graffiti", view_of(graffiti, sizeof graffiti)));
    return fill_payload(b, n, slot, parent);
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

    if (fork < DENEB || fork > FULU || signed_type == NULL) {
        return E_UNSUPPORTED;
    }
    b = ssz_build(signed_type);
    e = fill_block(b, n, slot, parent);
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

static enum err fill_attestation(struct ssz_builder *b, const struct network *n, uint64_t slot,
                                 uint64_t attester, const uint8_t block[static 32])
{
    uint64_t epoch = epoch_of_slot(n, slot);

    TRY(ssz_set_u64(b, "attester_index", attester));
    TRY(ssz_set_u64(b, "data.slot", slot));
    TRY(ssz_set(b, "data.beacon_block_root", view_of(block, 32)));
    TRY(ssz_set_u64(b, "data.source.epoch", epoch == 0 ? 0 : epoch - 1));
    TRY(ssz_set_u64(b, "data.target.epoch", epoch));
    return ssz_set(b, "data.target.root", view_of(block, 32));
}

enum err chain_maker_attestation(const struct network *n, uint64_t slot, uint64_t i,
                                 const uint8_t block[static 32], struct buf *out,
                                 uint64_t *ret_subnet)
{
    enum fork fork = network_fork_at_slot(n, slot);
    const struct ssz_type *type = schema_type(n->preset, fork, "SingleAttestation");
    uint64_t attesters = chain_maker_attesters(n), committees = committees_per_slot(n);
    uint64_t committee = i * committees / attesters;
    struct ssz_builder *b;
    enum err e;

    if (fork < ELECTRA || type == NULL) {
        return E_UNSUPPORTED;
    }
    if (i >= attesters) {
        return E_RANGE;
    }
    b = ssz_build(type);
    e = ssz_set_u64(b, "committee_index", committee);
    if (e == E_OK) {
        e = fill_attestation(b, n, slot, slot % n->slots_per_epoch * attesters + i, block);
    }
    if (e == E_OK) {
        e = ssz_build_end(b, out);
    }
    ssz_build_free(b);
    if (e == E_OK) {
        *ret_subnet = subnet_for_attestation(n, committees, slot, committee);
    }
    return e;
}
