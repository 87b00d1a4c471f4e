/* Reading trees: which entry is asked for next, and what its answer means. */
#include <assert.h>
#include <base/map.h>
#include <base/mem.h>
#include <codec/base.h>
#include <proto/enrtree.h>
#include <stdio.h>

#define BRANCH_MAX 400u /* hashes of one branch; 13 fit the TXT records that are in use */

struct entry {
    struct enrtree_hash hash;
    bool of_links; /* of the subtree of links: it may hold no record, the other no link */
    uint8_t tries;
};

struct tree {
    struct enrtree_url url;
    bool has_root;
    struct enrtree_root root;
    uint64_t root_ns;   /* when the root is asked for next */
    uint64_t wait_ns;   /* until then after a failure: doubles until the tree is read whole */
    bool incomplete;    /* an entry was given up */
    struct entry *open; /* known by their hash, not read; the last one is next */
    size_t n_open, cap;
    struct map
        seen; /* struct enrtree_hash -> nothing: an entry is read once, how often it occurs */
    uint32_t records;
};

struct enrtree {
    struct enrtree_config cfg;
    struct rng *rng;
    struct tree *trees[ENRTREE_TREES_MAX];
    size_t n_trees, turn;
    struct tree *asking; /* NULL: nothing is under way */
    bool asking_root;
    struct entry asked;
    uint64_t next_ns;
};

void enrtree_config_default(struct enrtree_config *cfg)
{
    *cfg = (struct enrtree_config){
        .gap_ns = MILLIS(350),
        .refresh_ns = SECONDS(1800),
        .retry_ns = SECONDS(15),
    };
}

struct enrtree *enrtree_new(const struct enrtree_config *cfg, struct rng *rng)
{
    struct enrtree *t = mem_zalloc(sizeof *t);

    t->cfg = *cfg;
    t->rng = rng;
    return t;
}

void enrtree_free(struct enrtree *t)
{
    for (size_t i = 0; t != NULL && i < t->n_trees; i++) {
        map_done(&t->trees[i]->seen);
        mem_free(t->trees[i]->open);
        mem_free(t->trees[i]);
    }
    mem_free(t);
}

enum err enrtree_add(struct enrtree *t, const struct enrtree_url *url, struct now now)
{
    for (size_t i = 0; i < t->n_trees; i++) {
        if (memcmp(&t->trees[i]->url, url, sizeof *url) == 0) {
            return E_OK;
        }
    }
    if (t->n_trees == ENRTREE_TREES_MAX) {
        return E_LIMIT;
    }
    struct tree *tree = t->trees[t->n_trees++] = mem_zalloc(sizeof *tree);
    uint64_t k0 = rng_u64(t->rng), k1 = rng_u64(t->rng);
    tree->url = *url;
    tree->root_ns = now.mono_ns;
    tree->wait_ns = t->cfg.retry_ns;
    map_init(&tree->seen, sizeof(struct enrtree_hash), 1, ENRTREE_ENTRIES_MAX,
             (struct hash_key){k0, k1});
    return E_OK;
}

/* ---- questions ---- */

static uint64_t tree_deadline(const struct tree *tree)
{
    return tree->n_open != 0 ? 0 : tree->root_ns;
}

uint64_t enrtree_deadline(const struct enrtree *t)
{
    uint64_t at = NEVER;

    for (size_t i = 0; i < t->n_trees && t->asking == NULL; i++) {
        at = earlier(at, tree_deadline(t->trees[i]));
    }
    return at > t->next_ns ? at : t->next_ns;
}

bool enrtree_next_query(struct enrtree *t, struct now now, char ret_name[static ENRTREE_NAME_MAX])
{
    char hash[2 * sizeof t->asked.hash.b];

    if (t->asking != NULL || now.mono_ns < t->next_ns) {
        return false;
    }
    for (size_t i = 0; i < t->n_trees && t->asking == NULL; i++) {
        struct tree *tree = t->trees[(t->turn + i) % t->n_trees];

        if (now.mono_ns >= tree_deadline(tree)) {
            t->asking = tree;
        }
    }
    struct tree *tree = t->asking;
    if (tree == NULL) {
        return false;
    }
    t->turn++;
    t->next_ns = now.mono_ns + t->cfg.gap_ns;
    t->asking_root = now.mono_ns >= tree->root_ns;
    if (t->asking_root) {
        snprintf(ret_name, ENRTREE_NAME_MAX, "%s", tree->url.domain);
        return true;
    }
    t->asked = tree->open[--tree->n_open];
    t->asked.tries++;
    IGNORE(base32_put(view_of(t->asked.hash.b, t->asked.hash.n), hash, sizeof hash), "it fits");
    int n = snprintf(ret_name, ENRTREE_NAME_MAX, "%s.%s", hash, tree->url.domain);
    assert(n > 0 && n < (int)ENRTREE_NAME_MAX); /* a domain leaves room for a hash */
    return true;
}

/* ---- answers ---- */

static void push(struct tree *tree, const struct entry *e)
{
    if (tree->n_open == tree->cap) {
        tree->cap = tree->cap == 0 ? 64 : 2 * tree->cap;
        tree->open = mem_realloc(tree->open, tree->cap * sizeof *tree->open);
    }
    tree->open[tree->n_open++] = *e;
}

/* An entry is opened once; what is over ENRTREE_ENTRIES_MAX is left out. */
static void open_entry(struct tree *tree, const struct enrtree_hash *hash, bool of_links)
{
    const struct entry e = {.hash = *hash, .of_links = of_links};
    bool is_new = false;

    if (map_put(&tree->seen, hash, &is_new) != NULL && is_new) {
        push(tree, &e);
    }
}

static void failed(struct enrtree *t, struct tree *tree, enum err e, struct now now,
                   struct enrtree_event *ret)
{
    ret->kind = ENRTREE_FAULT;
    ret->error = e;
    if (tree->root_ns > now.mono_ns + tree->wait_ns || tree->root_ns <= now.mono_ns) {
        tree->root_ns = now.mono_ns + tree->wait_ns;
        tree->wait_ns = earlier(2 * tree->wait_ns, t->cfg.refresh_ns);
    }
}

/* A domain may have other TXT records: the first that is a root of ours counts. */
static enum err find_root(const struct tree *tree, struct view texts, struct enrtree_root *ret)
{
    struct rd in = rd_of(texts);
    enum err worst = E_ENRTREE;

    while (rd_left(&in) != 0) {
        uint16_t n = rd_be16(&in);
        enum err e = enrtree_root_parse(rd_take(&in, n), tree->url.key, ret);

        if (in.bad || e == E_OK) {
            return in.bad ? E_ENRTREE : E_OK;
        }
        worst = e == E_CRYPTO_SIGNATURE ? e : worst;
    }
    return worst;
}

static void root_answered(struct enrtree *t, struct tree *tree, struct view texts, enum err e,
                          struct now now, struct enrtree_event *ret)
{
    struct enrtree_root root;

    e = e == E_OK ? find_root(tree, texts, &root) : e;
    if (e == E_OK && tree->has_root && root.seq < tree->root.seq) {
        e = E_ENRTREE_OLD;
    }
    if (e != E_OK) {
        failed(t, tree, e, now, ret);
        return;
    }
    tree->root_ns = now.mono_ns + t->cfg.refresh_ns;
    if (tree->has_root && root.seq == tree->root.seq && !tree->incomplete) {
        return;
    }
    tree->has_root = true;
    tree->incomplete = false;
    tree->root = root;
    tree->n_open = tree->records = 0;
    map_clear(&tree->seen);
    open_entry(tree, &root.links, true);
    open_entry(tree, &root.records, false);
    ret->kind = ENRTREE_ROOT;
    ret->seq = root.seq;
}

static bool find_entry(const struct enrtree_hash *want, struct view texts, struct view *ret)
{
    struct rd in = rd_of(texts);

    while (rd_left(&in) != 0) {
        uint16_t n = rd_be16(&in);
        *ret = rd_take(&in, n);

        if (!in.bad && enrtree_hash_of(*ret, want)) {
            return true;
        }
    }
    return false;
}

static bool starts(struct view text, const char *with)
{
    struct view want = view_str(with);

    return text.n >= want.n && memcmp(text.p, want.p, want.n) == 0;
}

static enum err entry_read(struct enrtree *t, struct tree *tree, struct view text, struct now now,
                           struct enrtree_event *ret)
{
    struct enrtree_hash children[BRANCH_MAX];
    struct enrtree_url link;
    size_t n = 0;

    if (starts(text, "enr:") && !t->asked.of_links) {
        ret->kind = ENRTREE_RECORD;
        ret->text = text;
        tree->records++;
        return E_OK;
    }
    if (starts(text, "enrtree://") && t->asked.of_links) {
        TRY(enrtree_url_parse(text, &link));
        return enrtree_add(t, &link, now);
    }
    TRY(enrtree_branch_parse(text, children, ARRAY_LEN(children), &n));
    rng_shuffle(t->rng, children, n, sizeof children[0]);
    for (size_t i = 0; i < n; i++) {
        open_entry(tree, &children[i], t->asked.of_links);
    }
    return E_OK;
}

static void entry_answered(struct enrtree *t, struct tree *tree, struct view texts, enum err e,
                           struct now now, struct enrtree_event *ret)
{
    struct view text;
    bool answered = e == E_OK || e == E_NOT_FOUND;

    if (!answered && t->asked.tries < ENRTREE_TRIES) {
        push(tree, &t->asked); /* the others first */
        struct entry first = tree->open[0];
        tree->open[0] = t->asked;
        tree->open[tree->n_open - 1] = first;
        return;
    }
    if (e == E_OK) {
        e = find_entry(&t->asked.hash, texts, &text) ? entry_read(t, tree, text, now, ret)
                                                     : E_ENRTREE;
    }
    if (e != E_OK) { /* the tree may have changed under us: look at its root again, soon */
        tree->incomplete = true;
        failed(t, tree, e, now, ret);
    }
    ret->done = tree->n_open == 0;
    ret->count = tree->records;
    if (ret->done && !tree->incomplete) {
        tree->wait_ns = t->cfg.retry_ns;
    }
}

void enrtree_answer(struct enrtree *t, struct view texts, enum err e, struct now now,
                    struct enrtree_event *ret)
{
    struct tree *tree = t->asking;

    *ret = (struct enrtree_event){.kind = ENRTREE_NOTHING, .domain = ""};
    if (tree == NULL) {
        return;
    }
    ret->domain = tree->url.domain;
    t->asking = NULL;
    if (t->asking_root) {
        root_answered(t, tree, texts, e, now, ret);
    } else {
        entry_answered(t, tree, texts, e, now, ret);
    }
}
