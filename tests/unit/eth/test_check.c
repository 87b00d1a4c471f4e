/*
 * The official gossip validation cases, as far as stateless rules decide.
 *
 * For every message: we REJECT only what the specification rejects, and never IGNORE what it finds
 * valid. For the reasons in `ours` our verdict is the specification's, reason included.
 */
#include <base/clock.h>
#include <base/mem.h>
#include <codec/snappy.h>
#include <eth/cells.h>
#include <eth/schema.h>
#include <eth/slot_clock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

/* Reasons of the cases that need no state, and say the same here. */
static const char *const ours[] = {
    "block is from a future slot",
    "block is not the first valid block for this slot and proposer",
    "block's parent has not been seen",
    "block is not from a higher slot than its parent",
    "incorrect execution payload timestamp",
    "too many blob kzg commitments",
    "bid's parent does not equal block's parent",
    "too many attestations",
    "too many bls to execution changes",
    "too many builder deposit requests",
    "too many builder exit requests",
    "too many payload attestations",
    "too many proposer slashings",
    "too many withdrawal requests",
    "too many consolidation requests",
    "too many withdrawals",
    "attestation epoch does not match target epoch",
    "attestation is not unaggregated",
    "attestation epoch is not current or previous epoch",
    "already seen attestation for this epoch and validator",
    "aggregate has no participants",
    "aggregate epoch is not current or previous epoch",
    "aggregate slot is from a future slot",
    "aggregate committee bits must specify exactly one committee",
    "aggregate data index is non-zero",
    "aggregate data index must be 0 or 1",
    "already seen aggregate for this epoch and aggregator",
    "same-slot attestation must attest with index 0",
    "all attester slashing indices already seen",
    "attestation data is not slashable",
    "already seen proposer slashing for this proposer",
    "header slots do not match",
    "headers are not different",
    "already seen blob sidecar from this proposer for this slot and index",
    "blob sidecar's parent has not been seen",
    "blob sidecar's parent failed validation",
    "sidecar is not from a slot greater than the latest finalized slot",
    "sidecar's parent has not been seen",
    "sidecar's parent failed validation",
    "invalid sidecar",
    "invalid sidecar inclusion proof",
    "sidecar is for wrong subnet",
    "corresponding header is not from a slot greater than the latest finalized slot",
    "header is from a future slot",
    "bitmap length does not match commitments length",
    "header's block root does not match group id's block root",
    "number of cells does not match number of set bits",
    "invalid header inclusion proof",
    "header's parent failed validation",
    "header is not from a higher slot than its parent",
    "block for sidecar's beacon block root has not been seen",
    "block for sidecar's beacon block root failed validation",
    "contribution is not for the current slot",
    "contribution has no participants",
    "already seen envelope for this block root from this builder",
    "envelope is from a slot before the latest finalized slot",
    "envelope's block has not been seen",
    "block's slot does not match payload's slot number",
    "payload's block hash does not match the bid's block hash",
    "payload attestation's block is not at the assigned slot",
    "payload attestation's slot is not the current slot",
    "payload attestation's block failed validation",
    "already seen valid bid for this slot, parent, and builder",
    "bid is not the highest value bid seen for this slot and parent",
    "bid's slot is not the current or next slot",
    "bid's slot is not higher than its parent's slot",
    "bid's execution payment must be zero",
    "bid's parent block root is not a known beacon block",
    "dependent block has not been seen",
    "proposer for the proposal slot is not yet known",
    "dependent root is not before the proposer lookahead epoch",
};

/* Names of the cases' topics that differ from the wire's. Partial messages come on the columns'. */
static const struct {
    const char *theirs, *kind;
} renamed[] = {
    {"sync_committee_message", "sync_committee"},
    {"execution_payload_envelope", "execution_payload"},
    {"partial_data_column_sidecar", "data_column_sidecar"},
};

/* Cases of one topic may begin with messages of another: their names say which. */
static const char *const others[] = {"proposer_preferences", "execution_payload_envelope"};

#define BLOCKS_MAX 64

struct world {
    struct network *net;
    struct check_chain chain;

    struct {
        uint8_t root[32];
        struct check_block block;
    } blocks[BLOCKS_MAX];

    size_t n;
    struct blob *pack;
    json_t *refs;
    const char *name;
    size_t decided, undecided;
    struct blob *header; /* of partial columns: the one that was believed */
};

static struct blob *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct blob *b;
    long n;

    if (f == NULL) {
        return NULL;
    }
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    n = ftell(f);
    rewind(f);
    b = blob_new((size_t)n);
    assert_int_equal(fread(b->b, 1, (size_t)n, f), n);
    (void)fclose(f);
    return b;
}

static struct blob *slice(const struct world *w, const char *name)
{
    const char *ref = json_string_value(json_object_get(w->refs, name));
    struct blob *out = NULL;
    char *end;
    size_t off, n;

    assert_non_null(ref);
    off = strtoull(ref, &end, 10);
    n = strtoull(end + 1, NULL, 10);
    assert_true(off + n <= w->pack->n);
    assert_int_equal(snappy_block_open(view_of(w->pack->b + off, n), 11 * MIB, &out), E_OK);
    return out;
}

static struct network *network_at(enum fork fork)
{
    static const uint8_t root[32];
    char config[1024] = "PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\n"
                        "GENESIS_TIME: 0\nSLOT_DURATION_MS: 6000\n",
         fault[NETWORK_FAULT_MAX] = "";
    struct network *n = NULL;
    size_t at = strlen(config);

    for (enum fork f = ALTAIR; f <= fork; f++) {
        char key[32];

        (void)snprintf(key, sizeof key, "%s", fork_name(f));
        for (char *p = key; *p != '\0'; p++) {
            *p = (char)(*p - 'a' + 'A');
        }
        at += (size_t)snprintf(config + at, sizeof config - at,
                               "%s_FORK_VERSION: 0x%02x000001\n%s_FORK_EPOCH: 0\n", key,
                               (unsigned)f, key);
    }
    if (network_parse(view_of(config, at), view_of(NULL, 0), "test", root, &n, fault) != E_OK) {
        fail_msg("%s", fault);
    }
    return n;
}

static bool find(void *self, const uint8_t root[static 32], struct check_block *ret)
{
    const struct world *w = self;

    for (size_t i = 0; i < w->n; i++) {
        if (memcmp(w->blocks[i].root, root, 32) == 0) {
            *ret = w->blocks[i].block;
            return true;
        }
    }
    return false;
}

static void add_block(struct world *w, enum fork fork, const json_t *entry)
{
    const struct ssz_type *type = schema_type(PRESET_MINIMAL, fork, "SignedBeaconBlock");
    struct blob *b = slice(w, json_string_value(json_object_get(entry, "block")));
    struct check_block *k = &w->blocks[w->n].block;
    struct ssz_value message;
    struct view v = blob_view(b);

    assert_true(w->n < BLOCKS_MAX);
    assert_int_equal(ssz_check(type, v, NULL), E_OK);
    assert_int_equal(ssz_get(type, v, "message", &message), E_OK);
    ssz_root(message.type, message.bytes, w->blocks[w->n].root);
    check_block_read(type, v, k);
    k->invalid = json_is_true(json_object_get(entry, "failed"));
    k->validated = !k->invalid && !json_is_true(json_object_get(entry, "pending"));
    w->n++;
    blob_unref(b);
}

static bool is_ours(const char *reason)
{
    for (size_t i = 0; reason != NULL && i < ARRAY_LEN(ours); i++) {
        if (strcmp(ours[i], reason) == 0) {
            return true;
        }
    }
    return false;
}

static enum check_verdict verdict_of(const char *text)
{
    return strcmp(text, "valid") == 0    ? CHECK_ACCEPT
           : strcmp(text, "ignore") == 0 ? CHECK_IGNORE
                                         : CHECK_REJECT;
}

static void judge(struct world *w, const struct check_result *got, const json_t *message)
{
    const char *reason = json_string_value(json_object_get(message, "reason"));
    enum check_verdict want = verdict_of(json_string_value(json_object_get(message, "expected")));

    if (is_ours(reason)) {
        if (got->verdict != want || strcmp(got->reason, reason) != 0) {
            fail_msg("%s: %d \"%s\", wanted \"%s\"", w->name, (int)got->verdict,
                     got->reason == NULL ? "accepted" : got->reason, reason);
        }
        w->decided++;
        return;
    }
    if ((got->verdict == CHECK_REJECT && want != CHECK_REJECT) ||
        (got->verdict == CHECK_IGNORE && want == CHECK_ACCEPT)) {
        fail_msg("%s: \"%s\" is too strict, wanted \"%s\"", w->name, got->reason,
                 reason == NULL ? "valid" : reason);
    }
    w->decided += got->verdict == want;
    w->undecided += got->verdict != want;
}

static void topic_of(const struct world *w, const char *name, const json_t *message,
                     struct topic *ret)
{
    const struct fork_span *s = network_span_at(w->net, 0);
    const json_t *subnet = json_object_get(message, "subnet_id");
    const char *file = json_string_value(json_object_get(message, "message"));
    enum topic_kind kind = TOPIC_beacon_block;
    uint32_t number;

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (strncmp(file, others[i], strlen(others[i])) == 0) {
            name = others[i];
        }
    }

    for (size_t i = 0; i < ARRAY_LEN(renamed); i++) {
        if (strcmp(renamed[i].theirs, name) == 0) {
            name = renamed[i].kind;
            break;
        }
    }
    assert_true(topic_kind_by_name(view_str(name), &kind));
    const json_t *column = json_object_get(message, "column_index");
    subnet = subnet == NULL ? column : subnet;
    number = subnet == NULL ? TOPIC_SINGLE : (uint32_t)json_integer_value(subnet);
    if (topic_make(w->net, s, kind, number, ret) != E_OK) {
        fail_msg("%s: no topic %s %u", w->name, name, number);
    }
}

/* REJECT is for what the sender could have known: no other clock and no other past of an honest
 * node makes the message acceptable. */
static void nobody_accepts(const struct world *w, const struct check_input *rejected)
{
    static const int64_t slots[] = {-64, -32, -9, -2, -1, 0, 1, 2, 8, 31, 64};

    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        struct check_input in = *rejected;
        int64_t at = (int64_t)in.wall_ns + slots[i] * 6 * (int64_t)SECONDS(1);
        struct check_cache *cache;
        struct rng_seeded rng;

        rng_seeded_init(&rng, 4);
        in.wall_ns = at < 0 ? 0 : (uint64_t)at;
        cache = check_cache_new(w->net, &rng.base);
        struct check_result r = check_message(cache, &in);
        if (r.verdict == CHECK_ACCEPT) {
            fail_msg("%s: rejected, and accepted %ld slots off", w->name, (long)slots[i]);
        }
        check_cache_free(cache);
    }
}

/* A header that the case says was believed before, or that a valid message had. */
static void believe(struct world *w, struct blob *header)
{
    blob_unref(w->header);
    w->header = header;
}

/* Spec: specs/fulu/partial-columns/p2p-interface.md; gloas' are not done. */
static void run_partial(struct world *w, const json_t *meta, const json_t *message,
                        const struct check_input *in)
{
    const json_t *seen =
        json_array_get(json_object_get(meta, "seen_partial_data_column_headers"), 0);
    struct blob *group = slice(w, json_string_value(json_object_get(message, "group_id")));

    if (cells_topic(in->topic)) {
        assert_int_equal(group->n, 32); /* without the version's byte */
        if (seen != NULL && w->header == NULL) {
            believe(w, slice(w, json_string_value(json_object_get(seen, "header"))));
        }
        struct check_result got =
            check_cells(in, group->b, w->header == NULL ? view_of(NULL, 0) : blob_view(w->header));
        judge(w, &got, message);
        struct view header =
            got.verdict == CHECK_ACCEPT ? cells_header_in(w->net, in->data) : view_of(NULL, 0);
        if (header.n != 0) {
            believe(w, blob_copy(header));
        }
    }
    blob_unref(group);
}

static void run_messages(struct world *w, const char *topic_name, const json_t *meta,
                         struct check_cache *cache)
{
    const json_t *message, *now = json_object_get(meta, "current_time_ms");
    size_t i;

    json_array_foreach(json_object_get(meta, "messages"), i, message)
    {
        const json_t *own = json_object_get(message, "current_time_ms");
        const json_t *offset = json_object_get(message, "offset_ms");
        int64_t ms = json_integer_value(own == NULL ? now : own) + json_integer_value(offset);
        struct check_input in = {.chain = &w->chain, .wall_ns = MILLIS((uint64_t)ms)};
        struct check_result got;
        struct topic topic;
        struct blob *data;

        topic_of(w, topic_name, message, &topic);
        data = slice(w, json_string_value(json_object_get(message, "message")));
        in.topic = &topic;
        in.data = blob_view(data);
        if (json_object_get(message, "group_id") != NULL) {
            run_partial(w, meta, message, &in);
            blob_unref(data);
            continue;
        }
        got = check_message(cache, &in);
        judge(w, &got, message);
        if (got.verdict == CHECK_REJECT) {
            nobody_accepts(w, &in);
        }
        if (strcmp(json_string_value(json_object_get(message, "expected")), "valid") == 0) {
            check_accepted(cache, &in);
        }
        blob_unref(data);
    }
}

static void run_case(struct world *w, const json_t *c)
{
    const char *fork_text = json_string_value(json_object_get(c, "fork"));
    const json_t *meta = json_object_get(c, "meta"), *block;
    struct check_cache *cache;
    struct rng_seeded rng;
    enum fork fork = PHASE0;
    size_t i;

    rng_seeded_init(&rng, 3);
    w->name = json_string_value(json_object_get(c, "case"));
    w->refs = json_object_get(c, "refs");
    w->n = 0;
    assert_true(fork_by_name(view_str(fork_text), &fork));
    w->net = network_at(fork);
    json_array_foreach(json_object_get(meta, "blocks"), i, block)
    {
        add_block(w, fork, block);
    }
    w->chain = (struct check_chain){
        .finalized_epoch = (uint64_t)json_integer_value(
            json_object_get(json_object_get(meta, "finalized_checkpoint"), "epoch")),
        .block = find,
        .self = w,
    };
    cache = check_cache_new(w->net, &rng.base);
    run_messages(w, json_string_value(json_object_get(c, "topic")), meta, cache);
    believe(w, NULL);
    check_cache_free(cache);
    network_free(w->net);
}

/* All cases of a directory; 0: it is not there. */
static size_t run_dir(const char *dir)
{
    struct world *w = mem_zalloc(sizeof *w);
    char path[640], file[64] = "";
    char *line = mem_alloc(MIB);
    size_t cases = 0;
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/cases.jsonl", dir);
    f = fopen(path, "rb");
    while (f != NULL && fgets(line, (int)MIB, f) != NULL) {
        json_t *c = json_loads(line, 0, NULL);
        const char *pack = json_string_value(json_object_get(c, "file"));

        if (strcmp(pack, file) != 0) {
            (void)snprintf(file, sizeof file, "%s", pack);
            (void)snprintf(path, sizeof path, "%s/%s", dir, pack);
            blob_unref(w->pack);
            w->pack = read_file(path);
            assert_non_null(w->pack);
        }
        run_case(w, c);
        json_decref(c);
        cases++;
    }
    if (f != NULL) {
        printf("vectors: %s: %zu cases: %zu messages as the specification says, %zu left to who "
               "has a state\n",
               dir, cases, w->decided, w->undecided);
        assert_true(cases > 600 && w->decided > 500);
        (void)fclose(f);
    }
    blob_unref(w->pack);
    mem_free(line);
    mem_free(w);
    return cases;
}

static void official_cases_are_never_judged_too_strictly(void **state)
{
    (void)state;
    (void)run_dir(P2PD_SHARED_DIR "/vectors/gossip");
    assert_true(run_dir(P2PD_SOURCE_DIR "/tests/vectors/gossip") > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(official_cases_are_never_judged_too_strictly),
    };
    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
