/*
 * Real chains (Lodestar's, live and generated): network directories, genesis, blocks, sidecars and
 * recorded gossip of phase0 to fulu, both presets. Everything in them is right, so the checks must
 * accept it once and ignore it the second time.
 */
#define _GNU_SOURCE
#include <base/clock.h>
#include <base/mem.h>
#include <eth/check.h>
#include <eth/msgid.h>
#include <eth/schema.h>
#include <eth/slot_clock.h>
#include <lib/hex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#define BLOCKS_MAX 512

struct world {
    const char *dir; /* of the corpus */
    struct network *net;
    struct check_cache *cache;
    struct rng_seeded rng;
    struct check_chain chain;

    struct {
        uint8_t root[32];
        uint64_t slot;
    } blocks[BLOCKS_MAX];

    size_t n_blocks;
    size_t blocks_checked, sidecars_checked, gossip_checked;
};

/* The chains of the corpus: the first and the last of their forks. */
static const struct {
    const char *name;
    enum fork first, last;
} chains[] = {
    {"phase0+altair", PHASE0, ALTAIR},
    {"bellatrix+capella", BELLATRIX, CAPELLA},
    {"generated-deneb+electra+fulu", DENEB, FULU},
};

static struct blob *read_file(const char *dir, const char *name)
{
    char path[512];
    struct blob *b;
    FILE *f;
    long n;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "rb");
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

static void write_file(const char *dir, const char *name, struct view v)
{
    char path[512];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_non_null(f = fopen(path, "wb"));
    assert_int_equal(fwrite(v.p, 1, v.n, f), v.n);
    assert_int_equal(fclose(f), 0);
}

/* The generator's own list of digests, where a chain has one. */
static void check_digests(const struct network *n, json_t *whole)
{
    const char *epoch;
    json_t *entry;

    json_object_foreach(json_object_get(whole, "fork_digests_by_epoch"), epoch, entry)
    {
        const struct fork_span *s = network_span_at(n, strtoull(epoch, NULL, 10));
        uint8_t want[4];

        hex_into(json_string_value(json_object_get(entry, "digest")), want, 4);
        assert_memory_equal(s->digest, want, 4);
        assert_string_equal(fork_name(s->fork), json_string_value(json_object_get(entry, "fork")));
    }
}

/* JSON is YAML: the chain's config goes to a testnet directory as it is. */
static struct network *load_network(const char *corpus, const char *preset, size_t chain)
{
    char dir[] = "/tmp/p2pd-corpus-XXXXXX", name[128], fault[NETWORK_FAULT_MAX] = "";
    struct blob *text, *state;
    json_t *whole, *config, *genesis, *time;
    struct network *n = NULL;
    char *dumped;

    (void)snprintf(name, sizeof name, "%s/chain-%s.json", preset, chains[chain].name);
    text = read_file(corpus, name);
    if (text == NULL) {
        return NULL;
    }
    whole = json_loadb((const char *)text->b, text->n, 0, NULL);
    genesis = json_object_get(whole, "genesis");
    config = json_object_get(whole, genesis == NULL ? "config" : "spec");
    genesis = genesis == NULL ? whole : genesis;
    time = json_object_get(genesis, "genesis_time");
    assert_int_equal(json_object_set(config, "GENESIS_TIME", time), 0);
    assert_non_null(mkdtemp(dir));
    dumped = json_dumps(config, 0);
    write_file(dir, "config.yaml", view_str(dumped));
    write_file(dir, "genesis_validators_root.txt",
               view_str(json_string_value(json_object_get(genesis, "genesis_validators_root"))));
    (void)snprintf(name, sizeof name, "%s/%s/state_genesis_0.ssz", preset,
                   fork_name(chains[chain].first));
    state = read_file(corpus, name);
    if (state != NULL) {
        write_file(dir, "genesis.ssz", blob_view(state));
    }
    if (network_load_dir(dir, &n, fault) != E_OK) {
        fail_msg("%s %s: %s", preset, chains[chain].name, fault);
    }
    assert_int_equal(n->has_genesis_root, state != NULL);
    check_digests(n, whole);
    for (size_t i = 0; i < 3; i++) {
        static const char *const files[] = {"config.yaml", "genesis_validators_root.txt",
                                            "genesis.ssz"};

        (void)snprintf(name, sizeof name, "%s/%s", dir, files[i]);
        (void)unlink(name);
    }
    (void)rmdir(dir);
    free(dumped);
    json_decref(whole);
    blob_unref(text);
    blob_unref(state);
    return n;
}

static bool find(void *self, const uint8_t root[static 32], struct check_block *ret)
{
    const struct world *w = self;

    *ret = (struct check_block){.slot = 0, .validated = true};
    for (size_t i = 0; i < w->n_blocks; i++) {
        if (memcmp(w->blocks[i].root, root, 32) == 0) {
            ret->slot = w->blocks[i].slot;
        }
    }
    return true;
}

static const char *text_of(const json_t *entry, const char *key)
{
    return json_string_value(json_object_get(entry, key));
}

static void accept_once(struct world *w, const struct topic *t, struct view data, uint64_t wall_ns,
                        const char *what)
{
    struct check_input in = {.topic = t, .data = data, .wall_ns = wall_ns, .chain = &w->chain};
    struct check_result r = check_message(w->cache, &in);

    if (r.verdict != CHECK_ACCEPT) {
        fail_msg("%s: %s", what, r.reason);
    }
    check_accepted(w->cache, &in);
    r = check_message(w->cache, &in);
    if (r.verdict != CHECK_IGNORE) {
        fail_msg("%s: accepted twice", what);
    }
}

static void check_one_block(struct world *w, const json_t *entry, struct view data)
{
    uint64_t slot = (uint64_t)json_integer_value(json_object_get(entry, "slot"));
    struct ssz_value message;
    uint8_t root[32], want[32];
    struct topic t;

    assert_int_equal(topic_make(w->net, network_span_at_slot(w->net, slot), TOPIC_beacon_block,
                                TOPIC_SINGLE, &t),
                     E_OK);
    accept_once(w, &t, data, slot_start_ns(w->net, slot), text_of(entry, "file"));
    assert_int_equal(ssz_get(t.type, data, "message", &message), E_OK);
    ssz_root(message.type, message.bytes, root);
    hex_into(text_of(entry, "root"), want, 32);
    assert_memory_equal(root, want, 32);
    if (slot == 1 && w->net->has_genesis_root) {
        assert_memory_equal(ssz_bytes(t.type, data, "message.parent_root").p, w->net->genesis_root,
                            32);
    }
    assert_true(w->n_blocks < BLOCKS_MAX);
    memcpy(w->blocks[w->n_blocks].root, root, 32);
    w->blocks[w->n_blocks++].slot = slot;
    w->blocks_checked++;
}

static void check_one_sidecar(struct world *w, const json_t *entry, enum topic_kind kind,
                              struct view data)
{
    uint64_t slot = (uint64_t)json_integer_value(json_object_get(entry, "slot"));
    uint64_t index = (uint64_t)json_integer_value(json_object_get(entry, "index"));
    const struct fork_span *s = network_span_at_slot(w->net, slot);
    struct topic t;

    assert_int_equal(topic_make(w->net, s, kind, (uint32_t)index, &t), E_OK);
    accept_once(w, &t, data, slot_start_ns(w->net, slot) + MILLIS(900), text_of(entry, "file"));
    w->sidecars_checked++;
}

/* The slot in which a recorded message was sent. */
static uint64_t sent_in(const struct topic *t, struct view data)
{
    static const char *const paths[] = {"message.slot",
                                        "data.slot",
                                        "slot",
                                        "signature_slot",
                                        "message.contribution.slot",
                                        "message.aggregate.data.slot"};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        if (ssz_has_field(t->type, paths[i])) {
            return ssz_u64(t->type, data, paths[i]);
        }
    }
    return 0;
}

/* The manifest's folder names the fork at the chain's end: a message may be of the one before. */
static void check_one_wire(struct world *w, const json_t *entry, struct view raw)
{
    const char *name = text_of(entry, "topic");
    enum fork fork = PHASE0;

    assert_true(fork_by_name(view_str(text_of(entry, "fork")), &fork));
    for (size_t i = 0; i < w->net->n_spans; i++) {
        const struct fork_span *s = &w->net->spans[i];
        char digest[9], text[TOPIC_TEXT_MAX];
        uint8_t id[MSGID_SIZE];
        struct blob *plain = NULL;
        struct topic t;
        uint64_t slot;

        if (s->fork != fork) {
            continue;
        }
        (void)snprintf(digest, sizeof digest, "%02x%02x%02x%02x", s->digest[0], s->digest[1],
                       s->digest[2], s->digest[3]);
        (void)snprintf(text, sizeof text, "/eth2/%s/%.50s/ssz_snappy", digest, name);
        assert_int_equal(topic_parse(w->net, view_str(text), &t), E_OK);
        assert_int_equal(msgid_open(NULL, &t, view_str(text), raw, &plain, id), E_OK);
        slot = sent_in(&t, blob_view(plain));
        accept_once(w, &t, blob_view(plain),
                    slot_start_ns(w->net, slot) + MILLIS(w->net->config.SLOT_DURATION_MS) * 7 / 10,
                    text_of(entry, "file"));
        blob_unref(plain);
        w->gossip_checked++;
    }
}

static void check_entry(struct world *w, const json_t *entry)
{
    const char *kind = text_of(entry, "kind");
    struct blob *b = read_file(w->dir, text_of(entry, "file"));

    assert_non_null(b);
    if (strcmp(kind, "SignedBeaconBlock") == 0) {
        check_one_block(w, entry, blob_view(b));
    } else if (strcmp(kind, "BlobSidecar") == 0) {
        check_one_sidecar(w, entry, TOPIC_blob_sidecar, blob_view(b));
    } else if (strcmp(kind, "DataColumnSidecar") == 0) {
        check_one_sidecar(w, entry, TOPIC_data_column_sidecar, blob_view(b));
    } else if (strcmp(kind, "wire-gossip") == 0) {
        /* What was recorded is of the same slots as the blocks: a cache of its own. */
        struct check_cache *own = w->cache;

        w->cache = check_cache_new(w->net, &w->rng.base);
        check_one_wire(w, entry, blob_view(b));
        check_cache_free(w->cache);
        w->cache = own;
    }
    blob_unref(b);
}

static void run_chain(struct world *w, const json_t *manifest, const char *preset, size_t chain)
{
    const json_t *entry;
    size_t i;

    w->net = load_network(w->dir, preset, chain);
    if (w->net == NULL) {
        return;
    }
    rng_seeded_init(&w->rng, 1);
    w->cache = check_cache_new(w->net, &w->rng.base);
    w->chain = (struct check_chain){.block = find, .self = w};
    w->n_blocks = 0;
    json_array_foreach(manifest, i, entry)
    {
        enum fork fork = PHASE0;

        assert_true(fork_by_name(view_str(text_of(entry, "fork")), &fork));
        if (strcmp(text_of(entry, "preset"), preset) == 0 && fork >= chains[chain].first &&
            fork <= chains[chain].last) {
            check_entry(w, entry);
        }
    }
    check_cache_free(w->cache);
    network_free(w->net);
}

static bool run_corpus(const char *dir)
{
    struct blob *text = read_file(dir, "manifest.json");
    struct world *w = mem_zalloc(sizeof *w);
    json_t *manifest;

    if (text == NULL) {
        mem_free(w);
        return false;
    }
    w->dir = dir;
    manifest = json_loadb((const char *)text->b, text->n, 0, NULL);
    for (size_t chain = 0; chain < ARRAY_LEN(chains); chain++) {
        run_chain(w, manifest, "minimal", chain);
        run_chain(w, manifest, "mainnet", chain);
    }
    printf("corpus: %s: %zu blocks, %zu sidecars, %zu recorded messages\n", dir, w->blocks_checked,
           w->sidecars_checked, w->gossip_checked);
    assert_true(w->blocks_checked >= 14 && w->sidecars_checked >= 2 && w->gossip_checked >= 30);
    json_decref(manifest);
    blob_unref(text);
    mem_free(w);
    return true;
}

static void what_real_chains_say_is_accepted_once(void **state)
{
    (void)state;
    (void)run_corpus(P2PD_SHARED_DIR "/corpus");
    assert_true(run_corpus(P2PD_SOURCE_DIR "/tests/vectors/wire"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_real_chains_say_is_accepted_once),
    };
    schema_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
