#include "cache.h"

/* In the order of topic.def, as struct topic.row counts. */
static check_fn *const checks[] = {
#define TOPIC(name, since, until, type, subnets, cap, class, weight, first_cap, seen, check) check,
#define AGAIN                                                                                TOPIC
#include <eth/topic.def>
#undef TOPIC
#undef AGAIN
};

/* Topics that mark more or other than their `seen` fields. */
static const struct {
    enum topic_kind kind;
    mark_fn *mark;
} marks[] = {
    {TOPIC_beacon_attestation, mark_attestation},
    {TOPIC_beacon_aggregate_and_proof, mark_aggregate},
    {TOPIC_sync_committee_contribution_and_proof, mark_contribution},
    {TOPIC_attester_slashing, mark_attester_slashing},
    {TOPIC_light_client_finality_update, mark_finality_update},
    {TOPIC_light_client_optimistic_update, mark_optimistic_update},
    {TOPIC_execution_payload_bid, mark_bid},
    {TOPIC_inclusion_list, mark_inclusion_list},
};

/* ---- fields ---- */
uint64_t field_u64(const struct check *c, const char *path)
{
    return ssz_u64(c->type, c->data, path);
}

struct view field_bytes(const struct check *c, const char *path)
{
    return ssz_bytes(c->type, c->data, path);
}

struct ssz_value field(const struct check *c, const char *path)
{
    struct ssz_value v = {NULL, {NULL, 0}};

    IGNORE(ssz_get(c->type, c->data, path, &v), "paths are the type's own");
    return v;
}

uint64_t field_count(const struct check *c, const char *path)
{
    struct ssz_value v = field(c, path);

    return ssz_count(&v);
}

uint64_t bits_set(struct view bits)
{
    uint64_t n = 0;

    for (size_t i = 0; i < bits.n; i++) {
        n += (uint64_t)__builtin_popcount(bits.p[i]);
    }
    return n;
}

uint64_t bitlist_set(struct view bitlist)
{
    return bits_set(bitlist) - 1; /* a bitlist that was checked has its delimiter */
}

bool bits_within(struct view a, struct view b)
{
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if ((a.p[i] & ~b.p[i]) != 0) {
            return false;
        }
    }
    return true;
}

uint64_t message_slot(const struct check *c)
{
    static const char *const paths[] = {
        "message.slot",
        "data.slot",
        "slot",
        "signed_block_header.message.slot",
        "message.proposal_slot",
        "message.payload.slot_number",
        "message.contribution.slot",
        "message.aggregate.data.slot",
    };

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (ssz_has_field(c->type, paths[i])) {
            return field_u64(c, paths[i]);
        }
    }
    return SEEN_FOR_EVER;
}

bool seen_already(const struct check *c)
{
    return seen_has(c, message_slot(c), seen_key_of(c));
}

/* ---- answers ---- */
enum check_verdict check_end(struct check *c, enum check_verdict verdict, const char *reason)
{
    c->res->verdict = verdict;
    c->res->reason = reason;
    c->res->error = verdict == CHECK_REJECT ? E_GOSSIP_REJECT : E_GOSSIP_IGNORE;
    return verdict;
}

bool block_look(struct check *c, const uint8_t root[static 32], struct check_block *ret)
{
    const struct check_chain *chain = c->in->chain;

    memset(ret, 0, sizeof *ret);
    if (chain == NULL || chain->block == NULL) {
        return true;
    }
    c->block_known = chain->block(chain->self, root, ret);
    if (!c->block_known) {
        c->res->wants_block = true;
        memcpy(c->res->block, root, 32);
    }
    return c->block_known;
}

struct check check_of(struct check_cache *cache, const struct check_input *in,
                      struct check_result *res)
{
    uint64_t finalized = in->chain == NULL ? 0 : in->chain->finalized_epoch;

    return (struct check){
        .in = in,
        .cache = cache,
        .net = in->topic->network,
        .topic = in->topic,
        .type = in->topic->type,
        .data = in->data,
        .now = in->wall_ns,
        .has_finality = finalized > 0,
        .finalized_slot = epoch_start_slot(in->topic->network, finalized),
        .res = res,
    };
}

struct check_result check_message(struct check_cache *cache, const struct check_input *in)
{
    struct check_result res = {.verdict = CHECK_ACCEPT, .error = E_OK};
    struct check c = check_of(cache, in, &res);
    enum err e;

    check_cache_expire(cache, in->wall_ns);
    e = ssz_check(c.type, c.data, NULL);
    if (e != E_OK) {
        (void)check_end(&c, CHECK_REJECT, err_text(e));
        res.error = e;
        return res;
    }
    (void)checks[in->topic->row](&c);
    return res;
}

static void note(struct check_cache *cache, const struct check_input *in, enum mark mark)
{
    struct check_result res = {.verdict = CHECK_ACCEPT};
    struct check c = check_of(cache, in, &res);

    c.mark = mark;
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        if (marks[i].kind == in->topic->kind) {
            marks[i].mark(&c);
            return;
        }
    }
    seen_mark(&c, message_slot(&c), seen_key_of(&c));
}

void check_accepted(struct check_cache *cache, const struct check_input *in)
{
    note(cache, in, MARK_PROVED);
}

void check_passed(struct check_cache *cache, const struct check_input *in)
{
    note(cache, in, MARK_PASSED);
}
