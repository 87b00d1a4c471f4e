/* EIP-1459: the standard's own example, trees signed here, and what is wrong with others. */
#include "play_enrtree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define DOMAIN "nodes.example.org"

/* Spec: EIP-1459 "DNS Record Structure": its zone file, and the key that has signed it */
static const char example_url[] =
    "enrtree://AKPYQIUQIL7PSIACI32J7FGZW56E5FKHEFCCOFHILBIMW3M6LWXS2@" DOMAIN;
static const char *const example[][2] = {
    {DOMAIN, "v=spf1 -all"},
    {DOMAIN, "enrtree-root:v1 e=JWXYDBPXYWG6FX3GMDIBFA6CJ4 l=C7HRFPF3BLGF3YR4DY5KX3SMBE seq=1 "
             "sig=o908WmNp7LibOfPsr4btQwatZJ5URBr2ZAuxvK4UWHlsB9sUOTJQaGAlLPVAhM__"
             "XJesCHxLISo94z5Z2a463gA"},
    {"c7hrfpf3blgf3yr4dy5kx3smbe." DOMAIN,
     "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@morenodes.example.org"},
    {"jwxydbpxywg6fx3gmdibfa6cj4." DOMAIN,
     "enrtree-branch:2XS2367YHAXJFGLZHVAWLQD4ZY,H4FHT4B454P6UXFD7JCYQ5PWDY,"
     "MHTDO6TMUBRIA2XWG5LUDACK24"},
    {"2xs2367yhaxjfglzhvawlqd4zy." DOMAIN,
     "enr:-HW4QOFzoVLaFJnNhbgMoDXPnOvcdVuj7pDpqRvh6BRDO68aVi5ZcjB3vzQRZH2IcLBGHzo8uUN3snqmgTiE56CH"
     "3AMBgmlkgnY0iXNlY3AyNTZrMaECC2_24YYkYHEgdzxlSNKQEnHhuNAbNlMlWJxrJxbAFvA"},
    {"h4fht4b454p6uxfd7jcyq5pwdy." DOMAIN,
     "enr:-HW4QAggRauloj2SDLtIHN1XBkvhFZ1vtf1raYQp9TBW2RD5EEawDzbtSmlXUfnaHcvwOizhVYLtr7e6vw7NAf6m"
     "TuoCgmlkgnY0iXNlY3AyNTZrMaECjrXI8TLNXU0f8cthpAMxEshUyQlK-AM0PW2wfrnacNI"},
    {"mhtdo6tmubria2xwg5ludack24." DOMAIN,
     "enr:-HW4QLAYqmrwllBEnzWWs7I5Ev2IAs7x_dZlbYdRdMUx5EyKHDXp7AV5CkuPGUPdvbv1_Ms1CPfhcGCvSElSosZm"
     "yoqAgmlkgnY0iXNlY3AyNTZrMaECriawHKWdDRk2xeZkrOXBQ0dfMFLHY4eENZwdufn1S1o"},
};

struct world {
    struct zone zone;
    struct rng_seeded rng;
    struct ident key;
    struct enrtree *tree;
    struct now now;
    size_t asked, records, faults, roots, done;
    uint32_t count;
    enum err last_fault, refuse; /* refuse: what the machine answers instead */
    char url[TEXT_MAX];
};

static struct world w;

static void begin(void)
{
    struct enrtree_config cfg;

    w = (struct world){.now = {SECONDS(1000), 0}};
    rng_seeded_init(&w.rng, 7);
    ident_random(&w.rng.base, &w.key);
    zone_url(&w.key, DOMAIN, w.url);
    enrtree_config_default(&cfg);
    w.tree = enrtree_new(&cfg, &w.rng.base);
}

static enum err add(const char *text)
{
    struct enrtree_url url;
    enum err e = enrtree_url_parse(view_str(text), &url);

    return e == E_OK ? enrtree_add(w.tree, &url, w.now) : e;
}

/* One question and its answer, at the engine's own time. */
static void step(void)
{
    char name[ENRTREE_NAME_MAX];
    uint8_t texts[4096];
    size_t n = 0;
    struct enrtree_event ev;

    w.now.mono_ns = enrtree_deadline(w.tree);
    assert_true(enrtree_next_query(w.tree, w.now, name));
    assert_false(enrtree_next_query(w.tree, w.now, name)); /* one at a time */
    assert_true(enrtree_deadline(w.tree) == NEVER);
    w.asked++;
    bool found = zone_answer(&w.zone, name, texts, sizeof texts, &n);
    enum err e = w.refuse != E_OK ? w.refuse : found ? E_OK : E_NOT_FOUND;
    enrtree_answer(w.tree, view_of(texts, e == E_OK ? n : 0), e, w.now, &ev);
    w.records += ev.kind == ENRTREE_RECORD;
    w.roots += ev.kind == ENRTREE_ROOT;
    w.faults += ev.kind == ENRTREE_FAULT;
    w.last_fault = ev.kind == ENRTREE_FAULT ? ev.error : w.last_fault;
    w.done += ev.done;
    w.count = ev.done ? ev.count : w.count;
}

static void run_for(uint64_t ns)
{
    uint64_t end = w.now.mono_ns + ns;

    while (enrtree_deadline(w.tree) < end) {
        step();
    }
    w.now.mono_ns = end;
}

/* n records in branches of 10, a root over all. */
static void put_tree(size_t n, uint64_t seq)
{
    char hashes[ZONE_MAX][HASH_TEXT], none[HASH_TEXT];
    size_t n_hashes = 0;

    for (size_t i = 0; i < n; i++) {
        char text[40];

        snprintf(text, sizeof text, "enr:record-%zu-%u", i, (unsigned)seq);
        zone_put_entry(&w.zone, DOMAIN, text, hashes[n_hashes++]);
    }
    while (n_hashes != 1) {
        size_t n_next = 0;

        for (size_t i = 0; i < n_hashes; i += 10) {
            char text[TEXT_MAX] = "enrtree-branch:";

            for (size_t k = i; k < i + 10 && k < n_hashes; k++) {
                size_t at = strlen(text);
                snprintf(text + at, sizeof text - at, "%s%s", k == i ? "" : ",", hashes[k]);
            }
            zone_put_entry(&w.zone, DOMAIN, text, hashes[n_next++]);
        }
        n_hashes = n_next;
    }
    zone_put_entry(&w.zone, DOMAIN, "enrtree-branch:", none);
    zone_put_root(&w.zone, DOMAIN, &w.key, hashes[0], none, seq);
}

static void the_standards_example_is_read_whole(void **state)
{
    (void)state;
    begin();
    for (size_t i = 0; i < ARRAY_LEN(example); i++) {
        struct zone_record *r = &w.zone.records[w.zone.n++];

        snprintf(r->name, sizeof r->name, "%s", example[i][0]);
        snprintf(r->text, sizeof r->text, "%s", example[i][1]);
    }
    assert_int_equal(add(example_url), E_OK);
    run_for(SECONDS(10));
    assert_int_equal(w.records, 3);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.faults, 1); /* the linked tree is asked for, and is not there */
    assert_int_equal(w.last_fault, E_NOT_FOUND);
    enrtree_free(w.tree);
}

static void a_tree_is_read_paced_once_and_again_when_it_changes(void **state)
{
    (void)state;
    begin();
    put_tree(100, 4);
    assert_int_equal(add(w.url), E_OK);
    assert_int_equal(add(w.url), E_OK); /* twice is once */
    uint64_t from = w.now.mono_ns;
    run_for(SECONDS(60));
    assert_int_equal(w.records, 100);
    assert_int_equal(w.count, 100);
    assert_int_equal(w.asked, 1 + 1 + 100 + 11);
    assert_int_equal(w.faults, 0);
    run_for(SECONDS(3600));
    assert_int_equal(w.asked, 113 + 2); /* the root, twice, in an hour */
    assert_true(w.now.mono_ns - from >= 113 * MILLIS(350));

    w.zone.n = 0;
    put_tree(20, 5);
    run_for(SECONDS(3600));
    assert_int_equal(w.roots, 2);
    assert_int_equal(w.records, 120);
    w.zone.n = 0;
    put_tree(20, 3); /* an old one is not taken */
    run_for(SECONDS(3600));
    assert_int_equal(w.roots, 2);
    assert_int_equal(w.last_fault, E_ENRTREE_OLD);
    enrtree_free(w.tree);
}

static void what_is_missing_is_asked_for_again_and_then_found(void **state)
{
    (void)state;
    begin();
    put_tree(30, 1);
    struct zone_record gone = w.zone.records[7];
    w.zone.records[7].name[0] = '\0';
    assert_int_equal(add(w.url), E_OK);
    run_for(SECONDS(14));
    assert_int_equal(w.records, 29);
    assert_int_equal(w.last_fault, E_NOT_FOUND);
    w.zone.records[7] = gone;
    run_for(SECONDS(120));
    assert_int_equal(w.count, 30);
    size_t asked = w.asked;
    run_for(SECONDS(1700)); /* now it is whole: nothing but a root */
    assert_true(w.asked <= asked + 1);
    enrtree_free(w.tree);
}

static void hours_without_a_link_cost_little_and_end_well(void **state)
{
    (void)state;
    begin();
    put_tree(10, 1);
    w.refuse = E_TIMEOUT;
    assert_int_equal(add(w.url), E_OK);
    run_for(SECONDS(36000));
    assert_true(w.asked < 40); /* backing off to one in 30 minutes */
    w.refuse = E_OK;
    run_for(SECONDS(1900));
    assert_int_equal(w.records, 10);
    w.refuse = E_IO;
    size_t asked = w.asked;
    w.zone.n = 0;
    put_tree(10, 2);
    w.refuse = E_OK;
    run_for(SECONDS(1801));
    assert_int_equal(w.records, 20);
    assert_true(w.asked > asked);
    enrtree_free(w.tree);
}

static void a_silent_entry_is_tried_three_times(void **state)
{
    (void)state;
    begin();
    put_tree(1, 1);
    assert_int_equal(add(w.url), E_OK);
    step();
    assert_int_equal(w.roots, 1);
    w.refuse = E_TIMEOUT;
    for (size_t i = 0; i < 2 * ENRTREE_TRIES; i++) {
        step();
    }
    assert_int_equal(w.faults, 2); /* the empty branch of links, and the record */
    assert_int_equal(w.done, 1);
    enrtree_free(w.tree);
}

static void signatures_and_hashes_are_checked(void **state)
{
    struct ident other;
    char hash[HASH_TEXT];

    (void)state;
    begin();
    ident_random(&w.rng.base, &other);
    zone_put_entry(&w.zone, DOMAIN, "enr:abc", hash);
    zone_put_root(&w.zone, DOMAIN, &other, hash, hash, 1);
    assert_int_equal(add(w.url), E_OK);
    step();
    assert_int_equal(w.last_fault, E_CRYPTO_SIGNATURE);

    w.zone.n = 0;
    put_tree(1, 1);
    snprintf(w.zone.records[0].text, TEXT_MAX, "enr:another");
    run_for(SECONDS(20));
    assert_int_equal(w.roots, 1);
    assert_int_equal(w.records, 0);
    assert_int_equal(w.last_fault, E_ENRTREE);
    enrtree_free(w.tree);
}

static void records_and_links_stay_in_their_own_halves(void **state)
{
    char record[HASH_TEXT], link[HASH_TEXT];

    (void)state;
    begin();
    zone_put_entry(&w.zone, DOMAIN, "enr:abc", record);
    zone_put_entry(&w.zone, DOMAIN, w.url, link);
    zone_put_root(&w.zone, DOMAIN, &w.key, link, record, 1);
    assert_int_equal(add(w.url), E_OK);
    run_for(SECONDS(5));
    assert_int_equal(w.records, 0);
    assert_int_equal(w.faults, 2);
    enrtree_free(w.tree);
}

static void links_are_followed_up_to_a_bound(void **state)
{
    char hash[HASH_TEXT], none[HASH_TEXT], text[TEXT_MAX], domain[40],
        branch[TEXT_MAX] = "enrtree-branch:";

    (void)state;
    begin();
    for (int i = 0; i < 12; i++) {
        size_t at = strlen(branch);

        snprintf(domain, sizeof domain, "n%d.example.org", i);
        zone_url(&w.key, domain, text);
        zone_put_entry(&w.zone, DOMAIN, text, hash);
        snprintf(branch + at, sizeof branch - at, "%s%s", i == 0 ? "" : ",", hash);
        zone_put_entry(&w.zone, domain, "enr:abc", hash);
        zone_put_entry(&w.zone, domain, "enrtree-branch:", none);
        zone_put_root(&w.zone, domain, &w.key, hash, none, 1);
    }
    zone_put_entry(&w.zone, DOMAIN, branch, hash);
    zone_put_entry(&w.zone, DOMAIN, "enrtree-branch:", none);
    zone_put_root(&w.zone, DOMAIN, &w.key, none, hash, 1);
    assert_int_equal(add(w.url), E_OK);
    run_for(SECONDS(120));
    assert_int_equal(w.records, ENRTREE_TREES_MAX - 1);
    assert_int_equal(w.last_fault, E_LIMIT); /* the links that are left out */
    enrtree_free(w.tree);
}

static void a_hash_that_repeats_is_asked_for_once(void **state)
{
    char leaf[HASH_TEXT], hash[HASH_TEXT], text[TEXT_MAX];

    (void)state;
    begin();
    zone_put_entry(&w.zone, DOMAIN, "enr:abc", hash);
    for (int level = 0; level < 20; level++) { /* 2^20 ways down to one record */
        memcpy(leaf, hash, sizeof leaf);
        snprintf(text, sizeof text, "enrtree-branch:%s,%s", leaf, leaf);
        zone_put_entry(&w.zone, DOMAIN, text, hash);
    }
    zone_put_entry(&w.zone, DOMAIN, "enrtree-branch:", leaf);
    zone_put_root(&w.zone, DOMAIN, &w.key, hash, leaf, 1);
    assert_int_equal(add(w.url), E_OK);
    run_for(SECONDS(60));
    assert_int_equal(w.asked, 1 + 1 + 20 + 1);
    assert_int_equal(w.records, 1);
    enrtree_free(w.tree);
}

static const struct {
    const char *why, *text;
} bad_urls[] = {
    {"no scheme", "AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@a.org"},
    {"no key", "enrtree://@a.org"},
    {"no domain", "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@"},
    {"a short key", "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPR@a.org"},
    {"no point on the curve",
     "enrtree://AIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@a.org"},
    {"an empty label", "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@a..org"},
    {"a dot behind", "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@a.org."},
    {"a space", "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@a .org"},
    {"a label of 64", "enrtree://AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2@"
                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org"},
};

static void malformed_texts_are_refused(void **state)
{
    struct enrtree_url url;
    struct enrtree_root root;
    struct enrtree_hash hashes[2];
    size_t n;
    const struct view good = view_str(example[1][1]);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_urls); i++) {
        print_message("%s\n", bad_urls[i].why);
        assert_int_equal(enrtree_url_parse(view_str(bad_urls[i].text), &url), E_ENRTREE);
    }
    assert_int_equal(enrtree_url_parse(view_str(example_url), &url), E_OK);
    assert_int_equal(enrtree_root_parse(good, url.key, &root), E_OK);
    assert_int_equal(root.seq, 1);
    for (size_t cut = 0; cut < good.n; cut++) {
        assert_int_not_equal(enrtree_root_parse(view_of(good.p, cut), url.key, &root), E_OK);
    }
    for (size_t bit = 0; bit < 8 * good.n; bit++) { /* the last bits are the recovery id's */
        uint8_t copy[TEXT_MAX];

        memcpy(copy, good.p, good.n);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        enum err e = enrtree_root_parse(view_of(copy, good.n), url.key, &root);
        assert_true(e != E_OK || bit / 8 >= good.n - 2);
    }
    assert_int_equal(enrtree_branch_parse(view_str("enrtree-branch:"), hashes, 2, &n), E_OK);
    assert_int_equal(n, 0);
    assert_int_equal(enrtree_branch_parse(view_str(example[3][1]), hashes, 2, &n), E_ENRTREE);
    assert_int_equal(
        enrtree_branch_parse(view_str("enrtree-branch:2XS2367YHAXJFGLZHVAWLQD4ZY,"), hashes, 2, &n),
        E_ENRTREE);
    assert_int_equal(enrtree_branch_parse(view_str("enrtree-branch:2XS2"), hashes, 2, &n),
                     E_ENRTREE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_standards_example_is_read_whole),
        cmocka_unit_test(a_tree_is_read_paced_once_and_again_when_it_changes),
        cmocka_unit_test(what_is_missing_is_asked_for_again_and_then_found),
        cmocka_unit_test(hours_without_a_link_cost_little_and_end_well),
        cmocka_unit_test(a_silent_entry_is_tried_three_times),
        cmocka_unit_test(signatures_and_hashes_are_checked),
        cmocka_unit_test(records_and_links_stay_in_their_own_halves),
        cmocka_unit_test(links_are_followed_up_to_a_bound),
        cmocka_unit_test(a_hash_that_repeats_is_asked_for_once),
        cmocka_unit_test(malformed_texts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
