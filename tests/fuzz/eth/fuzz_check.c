/*
 * Any message on any topic of any fork: the checks answer; what breaks its type is rejected; what
 * was accepted and marked is never accepted again, but where the rules say so; what is rejected is
 * accepted by no honest node, whatever its clock says and whatever it has seen: the sender could
 * have known.
 *
 * Byte 0: topic kind. Byte 1: fork. Byte 2: subnet. Byte 3: the slot of now. Bytes 4 on:
 * the message.
 */
#include <assert.h>
#include <base/clock.h>
#include <eth/check.h>
#include <eth/schema.h>
#include <eth/slot_clock.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* All forks up to `last` at epoch 0, as in the official cases. */
static struct network *network_at(enum fork last)
{
    static const uint8_t root[32];
    static const char *const keys[] = {"GENESIS", "ALTAIR", "BELLATRIX", "CAPELLA", "DENEB",
                                       "ELECTRA", "FULU",   "GLOAS",     "HEZE"};
    char config[1024], fault[NETWORK_FAULT_MAX];
    struct network *n = NULL;
    int at = snprintf(config, sizeof config,
                      "PRESET_BASE: minimal\nSLOT_DURATION_MS: 6000\nGENESIS_TIME: 0\n");

    for (unsigned f = PHASE0; f <= (unsigned)last; f++) {
        at += snprintf(config + at, sizeof config - (size_t)at, "%s_FORK_VERSION: 0x%02x000001\n",
                       keys[f], f);
        if (f > PHASE0) {
            at += snprintf(config + at, sizeof config - (size_t)at, "%s_FORK_EPOCH: 0\n", keys[f]);
        }
    }
    if (network_parse(view_str(config), view_of(NULL, 0), "x", root, &n, fault) != E_OK) {
        abort();
    }
    return n;
}

/* Most blocks are known and of slot 0: bits of the root say otherwise. */
static bool find(void *self, const uint8_t root[static 32], struct check_block *ret)
{
    (void)self;
    *ret = (struct check_block){.slot = (root[1] & 7) == 7 ? root[2] : 0,
                                .invalid = (root[3] & 7) == 7,
                                .validated = (root[4] & 7) == 7};
    return (root[0] & 7) != 7;
}

/* A clock that differs and a cache that knows nothing must not turn REJECT into ACCEPT: then it
 * would punish who forwarded in good faith. */
static void nobody_accepts(struct network *net, const struct check_input *rejected)
{
    static const int64_t slots[] = {-64, -32, -9, -1, 0, 1, 8, 31, 200};

    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
        struct check_input in = *rejected;
        struct check_cache *cache;
        struct rng_seeded rng;
        int64_t shift = slots[i] * (int64_t)SECONDS(6);

        if (shift < 0 && in.wall_ns < (uint64_t)-shift) {
            continue;
        }
        in.wall_ns = (uint64_t)((int64_t)in.wall_ns + shift);
        rng_seeded_init(&rng, 6);
        cache = check_cache_new(net, &rng.base);
        struct check_result r = check_message(cache, &in);
        assert(r.verdict != CHECK_ACCEPT);
        check_cache_free(cache);
    }
}

static void ask(struct network *net, const struct topic *t, uint64_t wall_ns, struct view data)
{
    struct check_chain chain = {.finalized_epoch = 0, .block = find};
    struct check_input in = {.topic = t, .data = data, .wall_ns = wall_ns, .chain = &chain};
    struct check_result r;
    struct check_cache *cache;
    struct rng_seeded rng;

    rng_seeded_init(&rng, 5);
    cache = check_cache_new(net, &rng.base);
    r = check_message(cache, &in);
    assert((r.verdict == CHECK_ACCEPT) == (r.reason == NULL));
    assert((r.verdict == CHECK_ACCEPT) == (r.error == E_OK));
    if (ssz_check(t->type, data, NULL) != E_OK) {
        assert(r.verdict == CHECK_REJECT);
    } else if (r.verdict == CHECK_REJECT) {
        nobody_accepts(net, &in);
    } else if (r.verdict == CHECK_ACCEPT) {
        size_t before = check_cache_size(cache);

        check_accepted(cache, &in);
        assert(check_cache_size(cache) <= before + 4096);
        r = check_message(cache, &in);
        if (t->kind == TOPIC_inclusion_list) { /* two of a validator pass */
            check_accepted(cache, &in);
            r = check_message(cache, &in);
        }
        assert(r.verdict == CHECK_IGNORE);
    }
    check_cache_free(cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct network *nets[FORK_COUNT];
    struct network *net;
    const struct fork_span *s;
    enum topic_kind kind;
    struct view data;
    struct topic t;
    uint32_t count;

    if (nets[PHASE0] == NULL) {
        schema_start();
        for (enum fork f = PHASE0; f < FORK_COUNT; f++) {
            nets[f] = network_at(f);
        }
    }
    if (n < 4) {
        return 0;
    }
    kind = (enum topic_kind)(p[0] % TOPIC_KIND_COUNT);
    net = nets[p[1] % FORK_COUNT];
    s = network_span_at(net, 0);
    count = topic_count(net, s, kind);
    if (count == 0 || (topic_make(net, s, kind, TOPIC_SINGLE, &t) != E_OK &&
                       topic_make(net, s, kind, p[2] % count, &t) != E_OK)) {
        return 0;
    }
    data = view_of(p + 4, n - 4);
    ask(net, &t, slot_start_ns(net, p[3]) + MILLIS(100), data);
    return 0;
}
