/*
 * Texts of EIP-1459 that are accepted mean the same when they are written again. Then the lines of
 * the input become a tree: a line that begins with B a branch over the lines before it, with more
 * or fewer of them by its length; L a link; all else as it is. Reading it ends, whatever it holds,
 * and only records that are in the tree come out.
 */
#include "../../../unit/proto/enrtree/play_enrtree.h"

#include <assert.h>
#include <codec/base.h>
#include <stdio.h>

#define LINES_MAX 60u

static void round_trip_url(struct view v)
{
    struct enrtree_url url, again;
    char key[60], text[TEXT_MAX];

    if (enrtree_url_parse(v, &url) != E_OK) {
        return;
    }
    assert(base32_put(view_of(url.key, sizeof url.key), key, sizeof key) == E_OK);
    snprintf(text, sizeof text, "enrtree://%s@%s", key, url.domain);
    assert(enrtree_url_parse(view_str(text), &again) == E_OK);
    assert(memcmp(&url, &again, sizeof url) == 0);
}

static void round_trip_branch(struct view v)
{
    struct enrtree_hash hashes[8], again[8];
    char text[TEXT_MAX] = "enrtree-branch:";
    size_t n, n_again, at = strlen(text);

    if (enrtree_branch_parse(v, hashes, ARRAY_LEN(hashes), &n) != E_OK) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        assert(hashes[i].n >= ENRTREE_HASH_MIN && hashes[i].n <= 32);
        text[at] = ',';
        at += i != 0;
        assert(base32_put(view_of(hashes[i].b, hashes[i].n), text + at, sizeof text - at) == E_OK);
        at += strlen(text + at);
    }
    assert(enrtree_branch_parse(view_str(text), again, ARRAY_LEN(again), &n_again) == E_OK);
    assert(n == n_again && memcmp(hashes, again, n * sizeof hashes[0]) == 0);
}

/* Spec: EIP-1459: only the key's owner makes roots. */
static void root_is_not_ours(struct view v, const struct ident *key)
{
    struct enrtree_root root;

    assert(enrtree_root_parse(v, key->public, &root) != E_OK);
}

static void put_line(struct zone *z, const struct ident *key, struct view line,
                     char hashes[LINES_MAX][HASH_TEXT], size_t n)
{
    char text[TEXT_MAX];
    size_t at = 0;

    if (line.n != 0 && line.p[0] == 'B') {
        size_t wide = line.n < n ? line.n : n;

        at = (size_t)snprintf(text, sizeof text, "enrtree-branch:");
        for (size_t i = n - wide; i < n && at + HASH_TEXT < sizeof text; i++) {
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%s",
                                   text[at - 1] == ':' ? "" : ",", hashes[i]);
        }
    } else if (line.n != 0 && line.p[0] == 'L') {
        zone_url(key, line.n % 2 == 0 ? "a.org" : "b.org", text);
    } else {
        snprintf(text, sizeof text, "%.*s", (int)(line.n < 600 ? line.n : 600),
                 (const char *)line.p);
    }
    zone_put_entry(z, "a.org", text, hashes[n]);
}

static void read_tree(const struct zone *z, const struct enrtree_url *url, struct rng *rng)
{
    struct enrtree_config cfg;
    struct now now = {SECONDS(1), 0};
    unsigned asked = 0;

    enrtree_config_default(&cfg);
    cfg.gap_ns = 0; /* as fast as can be: only the bounds end it */
    struct enrtree *t = enrtree_new(&cfg, rng);
    assert(enrtree_add(t, url, now) == E_OK);
    while (enrtree_deadline(t) < SECONDS(1) + cfg.retry_ns) {
        static uint8_t texts[LINES_MAX * TEXT_MAX];
        char name[ENRTREE_NAME_MAX];
        size_t n = 0;
        struct enrtree_event ev;

        now.mono_ns = enrtree_deadline(t);
        assert(enrtree_next_query(t, now, name));
        assert(name[0] != 0 && strlen(name) < ENRTREE_NAME_MAX);
        enum err e = zone_answer(z, name, texts, sizeof texts, &n) ? E_OK : E_NOT_FOUND;
        enrtree_answer(t, view_of(texts, n), e, now, &ev);
        if (ev.kind == ENRTREE_RECORD) {
            assert(ev.text.n >= 4 && memcmp(ev.text.p, "enr:", 4) == 0);
            assert(ev.text.p > texts && ev.text.p + ev.text.n <= texts + n);
        }
        assert(++asked <= 4 * LINES_MAX); /* an entry once, whatever points to it */
    }
    enrtree_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct zone z;
    static char hashes[LINES_MAX][HASH_TEXT];
    struct rng_seeded rng;
    struct ident key;
    struct enrtree_url url;
    char url_text[TEXT_MAX];
    struct view left = view_of(p, n);
    size_t lines = 0;

    z.n = 0;
    rng_seeded_init(&rng, n);
    ident_random(&rng.base, &key);
    round_trip_url(left);
    round_trip_branch(left);
    root_is_not_ours(left, &key);
    while (left.n != 0 && lines < LINES_MAX) {
        const uint8_t *end = memchr(left.p, '\n', left.n);
        size_t line_n = end == NULL ? left.n : (size_t)(end - left.p);

        round_trip_url(view_of(left.p, line_n));
        round_trip_branch(view_of(left.p, line_n));
        put_line(&z, &key, view_of(left.p, line_n), hashes, lines++);
        left = view_skip(left, end == NULL ? line_n : line_n + 1);
    }
    if (lines == 0) {
        return 0;
    }
    zone_put_root(&z, "a.org", &key, hashes[lines - 1], hashes[lines / 2], 1);
    zone_url(&key, "a.org", url_text);
    assert(enrtree_url_parse(view_str(url_text), &url) == E_OK);
    read_tree(&z, &url, &rng.base);
    return 0;
}
