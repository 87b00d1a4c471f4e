/* voluntary_exit, bls_to_execution_change, proposer_slashing, attester_slashing. Spec:
 * specs/phase0/p2p-interface.md, specs/capella/p2p-interface.md under these names */
#include "check.h"

#include <base/mem.h>
#include <stdlib.h>

enum check_verdict check_voluntary_exit(struct check *c)
{
    IGNORE_IF(seen_already(c), "already seen voluntary exit for this validator");
    return CHECK_ACCEPT;
}

enum check_verdict check_bls_change(struct check *c)
{
    IGNORE_IF(epoch_now(c->net, c->now) < c->net->forks[CAPELLA].epoch,
              "current epoch is before capella");
    IGNORE_IF(seen_already(c), "already seen bls to execution change for this validator");
    return CHECK_ACCEPT;
}

enum check_verdict check_proposer_slashing(struct check *c)
{
    IGNORE_IF(seen_already(c), "already seen proposer slashing for this proposer");
    REJECT_IF(field_u64(c, "signed_header_1.message.slot") !=
                  field_u64(c, "signed_header_2.message.slot"),
              "header slots do not match");
    REJECT_IF(field_u64(c, "signed_header_1.message.proposer_index") !=
                  field_u64(c, "signed_header_2.message.proposer_index"),
              "header proposer indices do not match");
    REJECT_IF(view_eq(field_bytes(c, "signed_header_1.message"),
                      field_bytes(c, "signed_header_2.message")),
              "headers are not different");
    return CHECK_ACCEPT;
}

/* ---- attester slashings ---- */
struct indices {
    uint64_t *all;
    uint64_t n;
    bool rising; /* in strictly rising order, as they must be */
};

static int compare(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* The indices of an attestation in order; the type bounds their number, 131072 at most. */
static struct indices indices_of(const struct check *c, const char *path)
{
    struct view bytes = field_bytes(c, path);
    struct indices x = {.n = bytes.n / 8, .rising = true};

    x.all = mem_zalloc_array(x.n + 1, sizeof *x.all);
    for (uint64_t i = 0; i < x.n; i++) {
        x.all[i] = load_le64(bytes.p + 8 * i);
        x.rising = x.rising && (i == 0 || x.all[i - 1] < x.all[i]);
    }
    if (!x.rising) {
        qsort(x.all, x.n, sizeof *x.all, compare);
    }
    return x;
}

static struct seen_key index_key(const struct check *c, uint64_t index)
{
    uint8_t bytes[8];

    store_le64(bytes, index);
    return seen_key_make(c, bytes, sizeof bytes);
}

typedef bool visit_fn(struct check *c, uint64_t index);

static bool was_seen(struct check *c, uint64_t index)
{
    return seen_has(c, SEEN_FOR_EVER, index_key(c, index));
}

static bool put_seen(struct check *c, uint64_t index)
{
    seen_mark(c, SEEN_FOR_EVER, index_key(c, index));
    return true;
}

/* Visit the indices in both; false as soon as a visit says so. */
static bool each_common(struct check *c, const struct indices *a, const struct indices *b,
                        visit_fn *visit)
{
    uint64_t i = 0, j = 0;

    while (i < a->n && j < b->n) {
        if (a->all[i] == b->all[j]) {
            if (!visit(c, a->all[i])) {
                return false;
            }
            i++;
            j++;
        } else if (a->all[i] < b->all[j]) {
            i++;
        } else {
            j++;
        }
    }
    return true;
}

/* Spec: specs/phase0/beacon-chain.md "is_slashable_attestation_data" */
static bool is_slashable(const struct check *c)
{
    uint64_t source_1 = field_u64(c, "attestation_1.data.source.epoch");
    uint64_t target_1 = field_u64(c, "attestation_1.data.target.epoch");
    uint64_t source_2 = field_u64(c, "attestation_2.data.source.epoch");
    uint64_t target_2 = field_u64(c, "attestation_2.data.target.epoch");
    bool differ =
        !view_eq(field_bytes(c, "attestation_1.data"), field_bytes(c, "attestation_2.data"));

    return (differ && target_1 == target_2) || (source_1 < source_2 && target_2 < target_1);
}

static enum check_verdict slashing_rules(struct check *c, const struct indices *a,
                                         const struct indices *b)
{
    IGNORE_IF(each_common(c, a, b, was_seen), "all attester slashing indices already seen");
    REJECT_IF(!is_slashable(c), "attestation data is not slashable");
    REJECT_IF(a->n == 0 || !a->rising, "invalid indexed attestation 1");
    REJECT_IF(b->n == 0 || !b->rising, "invalid indexed attestation 2");
    return CHECK_ACCEPT;
}

enum check_verdict check_attester_slashing(struct check *c)
{
    struct indices a = indices_of(c, "attestation_1.attesting_indices");
    struct indices b = indices_of(c, "attestation_2.attesting_indices");
    enum check_verdict v = slashing_rules(c, &a, &b);

    mem_free(a.all);
    mem_free(b.all);
    return v;
}

void mark_attester_slashing(struct check *c)
{
    struct indices a = indices_of(c, "attestation_1.attesting_indices");
    struct indices b = indices_of(c, "attestation_2.attesting_indices");

    (void)each_common(c, &a, &b, put_seen);
    mem_free(a.all);
    mem_free(b.all);
}
