#include "play_column.h"

#include <assert.h>
#include <eth/schema.h>
#include <stdlib.h>

#define COMMITMENTS_GINDEX 27u /* of blob_kzg_commitments in a body */

static void must(enum err e)
{
    if (e != E_OK) {
        abort();
    }
}

struct network *play_fulu(void)
{
    static const char config[] =
        "PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nALTAIR_FORK_VERSION: 0x01000001\n"
        "ALTAIR_FORK_EPOCH: 0\nBELLATRIX_FORK_VERSION: 0x02000001\nBELLATRIX_FORK_EPOCH: 0\n"
        "CAPELLA_FORK_VERSION: 0x03000001\nCAPELLA_FORK_EPOCH: 0\nDENEB_FORK_VERSION: 0x04000001\n"
        "DENEB_FORK_EPOCH: 0\nELECTRA_FORK_VERSION: 0x05000001\nELECTRA_FORK_EPOCH: 0\n"
        "FULU_FORK_VERSION: 0x06000001\nFULU_FORK_EPOCH: 0\nSLOT_DURATION_MS: 6000\n"
        "GENESIS_TIME: 0\n";
    static const uint8_t root[32];
    char fault[NETWORK_FAULT_MAX];
    struct network *n = NULL;

    must(network_parse(view_str(config), view_of(NULL, 0), "x", root, &n, fault));
    return n;
}

void play_column(const struct network *net, struct rng *rng, uint64_t slot, size_t blobs,
                 struct buf *out)
{
    const struct ssz_type *body_type = schema_type(net->preset, FULU, "BeaconBlockBody");
    struct ssz_builder *b = ssz_build(schema_type(net->preset, FULU, "DataColumnSidecar"));
    struct ssz_builder *body = ssz_build(body_type);
    uint8_t bytes[2048], leaf[32], branch[SSZ_BRANCH_MAX][32], root[32];
    size_t n_branch = 0;
    struct buf text;

    buf_init(&text, MIB);
    for (size_t i = 0; i < blobs; i++) {
        rng_fill(rng, bytes, sizeof bytes);
        must(ssz_append(body, "blob_kzg_commitments", view_of(bytes, 48)));
        must(ssz_append(b, "kzg_commitments", view_of(bytes, 48)));
        must(ssz_append(b, "kzg_proofs", view_of(bytes + 48, 48)));
        must(ssz_append(b, "column", view_of(bytes, sizeof bytes)));
    }
    must(ssz_build_end(body, &text));
    must(ssz_prove(body_type, buf_view(&text), COMMITMENTS_GINDEX, leaf, branch, &n_branch));
    ssz_root(body_type, buf_view(&text), root);
    must(ssz_set(b, "kzg_commitments_inclusion_proof", view_of(branch, n_branch * 32)));
    must(ssz_set(b, "signed_block_header.message.body_root", view_of(root, 32)));
    must(ssz_set_u64(b, "signed_block_header.message.slot", slot));
    must(ssz_set_u64(b, "index", 5));
    must(ssz_build_end(b, out));
    ssz_build_free(body);
    ssz_build_free(b);
    buf_done(&text);
}

void play_root(const struct network *net, struct view sidecar, uint8_t ret[static 32])
{
    struct ssz_value block;

    must(ssz_get(schema_type(net->preset, FULU, "DataColumnSidecar"), sidecar,
                 "signed_block_header.message", &block));
    ssz_root(block.type, block.bytes, ret);
}
