/* Partial messages of data_column_sidecar_N: a header that all columns of a block share, and cells
 * of one. Spec: specs/fulu/partial-columns/p2p-interface.md
 * "New `data_column_sidecar_{subnet_id}` (partial messages)" */
#include "check.h"

#include <eth/cells.h>

#define HEADER "signed_block_header.message."

static bool same(struct view a, struct view b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* Is its slot one to hear of? `c` is of the header. */
static enum check_verdict check_slot(struct check *c, const char *future, const char *final)
{
    uint64_t slot = field_u64(c, HEADER "slot");

    IGNORE_IF(slot_is_future(c->net, slot, c->now), future);
    IGNORE_IF(c->has_finality && slot <= c->finalized_slot, final);
    return CHECK_ACCEPT;
}

static enum check_verdict check_header(struct check *c, const uint8_t root[static 32],
                                       struct view known)
{
    struct ssz_value block = field(c, "signed_block_header.message");
    uint64_t slot = field_u64(c, HEADER "slot"), blobs = field_count(c, "kzg_commitments");
    struct check_block parent;
    uint8_t got[32];

    ssz_root(block.type, block.bytes, got);
    REJECT_IF(memcmp(got, root, 32) != 0,
              "header's block root does not match group id's block root");
    REJECT_IF(blobs == 0, "header's kzg_commitments is empty");
    IGNORE_IF(blobs > CELLS_MAX, "more blobs than we keep sets of"); /* no rule of the page's */
    if (check_slot(c, "header is from a future slot",
                   "header is not from a slot greater than the latest finalized slot") !=
        CHECK_ACCEPT) {
        return CHECK_IGNORE;
    }
    IGNORE_IF(!block_look(c, field_bytes(c, HEADER "parent_root").p, &parent),
              "header's parent has not been seen");
    REJECT_IF(c->block_known && parent.invalid, "header's parent failed validation");
    REJECT_IF(c->block_known && slot <= parent.slot,
              "header is not from a higher slot than its parent");
    REJECT_IF_KNOWN(!column_proof_holds(c), "invalid header inclusion proof");
    IGNORE_IF(known.n != 0, "header's signature differs from that of the first one seen");
    return CHECK_ACCEPT;
}

static enum check_verdict check_all(struct check *c, const uint8_t root[static 32],
                                    struct view known)
{
    uint64_t set = bitlist_set(field_bytes(c, "cells_present_bitmap"));
    bool has_header = field_count(c, "header") != 0;
    struct check header = *c;

    REJECT_IF(!has_header && set == 0, "partial message is semantically empty");
    REJECT_IF(field_count(c, "partial_column") != set,
              "number of cells does not match number of set bits");
    REJECT_IF(field_count(c, "kzg_proofs") != set,
              "number of proofs does not match number of set bits");
    header.type = schema_type(c->net->preset, FULU, "PartialDataColumnHeader");
    header.data = has_header ? cells_header_in(c->net, c->data) : known;
    if (has_header && !same(header.data, known)) {
        enum check_verdict v = check_header(&header, root, known);

        if (v != CHECK_ACCEPT) {
            return v;
        }
    }
    if (set == 0) {
        return CHECK_ACCEPT;
    }
    IGNORE_IF(header.data.n == 0, "valid corresponding header has not been seen");
    if (check_slot(&header, "corresponding header is from a future slot",
                   "corresponding header is not from a slot greater than the latest finalized "
                   "slot") != CHECK_ACCEPT) {
        return CHECK_IGNORE;
    }
    REJECT_IF(field_count(c, "cells_present_bitmap") != field_count(&header, "kzg_commitments"),
              "bitmap length does not match commitments length");
    return CHECK_ACCEPT;
}

struct check_result check_cells(const struct check_input *in, const uint8_t root[static 32],
                                struct view known)
{
    struct check_result res = {.verdict = CHECK_ACCEPT, .error = E_OK};
    struct check c = check_of(NULL, in, &res);

    c.type = schema_type(c.net->preset, FULU, "PartialDataColumnSidecar");
    enum err e = ssz_check(c.type, c.data, NULL);
    if (e != E_OK) {
        (void)check_end(&c, CHECK_REJECT, err_text(e));
        res.error = e;
        return res;
    }
    (void)check_all(&c, root, known);
    return res;
}
