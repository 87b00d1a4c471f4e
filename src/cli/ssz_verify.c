/*
 * beacon-p2pd ssz verify: tables of test vectors, as /work/shared/vectors/README.md describes
 * them. A table is known by its columns; the bytes of a case are a slice of a file beside it.
 */
#include "ssz_common.h"

#include <base/mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COLUMNS_MAX 24u
#define PATH_MAX_N  1024u

/* Looked for in a folder that is given. */
static const char *const known_tables[] = {
    "manifest.tsv",
    "ssz_static/manifest.tsv",
    "ssz_generic/manifest.tsv",
    "ssz_invalid/manifest.tsv",
    "ssz_invalid/disputed.tsv",
    "single.tsv",
    "single_bad.tsv",
    "gindex.tsv",
    "proofs/single.tsv",
    "proofs/single_bad.tsv",
    "proofs/gindex.tsv",
    "sidecars.tsv",
    "proofs/sidecars.tsv",
};

struct count {
    char key[160]; /* fork, preset, type; or handler and type */
    unsigned valid, invalid, failed;
};

struct table {
    char dir[PATH_MAX_N];
    struct buf text, pack;
    char pack_name[256];
    char *next; /* line */
    char *head[COLUMNS_MAX], *cell[COLUMNS_MAX];
    size_t n_head, n_cell;
    struct ssz_set *set; /* of ssz_generic's schema */
    struct count *counts;
    size_t n_counts, cap_counts;
};

static size_t cut(char *line, char **cells)
{
    size_t n = 0;

    for (char *p = line; n < COLUMNS_MAX && p != NULL; n++) {
        cells[n] = p;
        p = strchr(p, '\t');
        if (p != NULL) {
            *p++ = 0;
        }
    }
    return n;
}

static bool next_row(struct table *t, char **cells, size_t *n)
{
    char *line = t->next, *end = line == NULL ? NULL : strchr(line, '\n');

    if (end == NULL) {
        return false;
    }
    *end = 0;
    t->next = end + 1;
    *n = cut(line, cells);
    return true;
}

/* NULL: the table has no such column, or the row no such cell. "-" reads as "". */
static const char *cell(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->n_head && i < t->n_cell; i++) {
        if (strcmp(t->head[i], name) == 0) {
            return strcmp(t->cell[i], "-") == 0 ? "" : t->cell[i];
        }
    }
    return NULL;
}

static bool open_table(struct table *t, const char *path)
{
    const char *slash = strrchr(path, '/');

    memset(t, 0, sizeof *t);
    buf_init(&t->text, SSZ_FILE_MAX);
    buf_init(&t->pack, SSZ_FILE_MAX);
    (void)snprintf(t->dir, sizeof t->dir, "%.*s", slash == NULL ? 1 : (int)(slash - path),
                   slash == NULL ? "." : path);
    if (!ssz_read_file(path, &t->text) || buf_append(&t->text, "\n", 2) != E_OK) {
        return false;
    }
    t->next = (char *)t->text.p;
    if (!next_row(t, t->head, &t->n_head) || t->head[0][0] != '#') {
        fprintf(stderr, "%s: no table: its first line names no columns\n", path);
        return false;
    }
    t->head[0]++;
    return true;
}

static void close_table(struct table *t)
{
    buf_done(&t->text);
    buf_done(&t->pack);
    ssz_set_free(t->set);
    mem_free(t->counts);
}

/* The case's bytes: columns file, off, len. */
static bool slice(struct table *t, struct view *ret)
{
    const char *file = cell(t, "file"), *off = cell(t, "off"), *len = cell(t, "len");
    char path[2 * PATH_MAX_N];

    if (file == NULL || off == NULL || len == NULL) {
        return false;
    }
    if (strcmp(file, t->pack_name) != 0) {
        (void)snprintf(path, sizeof path, "%s/%s", t->dir, file);
        (void)snprintf(t->pack_name, sizeof t->pack_name, "%s", file);
        buf_clear(&t->pack);
        if (!ssz_read_file(path, &t->pack)) {
            return false;
        }
    }
    size_t at = strtoull(off, NULL, 10), n = strtoull(len, NULL, 10);

    if (at > t->pack.n || n > t->pack.n - at) {
        return false;
    }
    *ret = view_of(t->pack.p + at, n);
    return true;
}

/* n bytes of hex; false when it is shorter or no hex. */
static bool unhex(const char *s, uint8_t *ret, size_t n)
{
    for (size_t i = 0; i < n; i++, s += 2) {
        char pair[3] = {s[0], s[0] == 0 ? (char)0 : s[1], 0}, *end;

        ret[i] = (uint8_t)strtoul(pair, &end, 16);
        if (end != pair + 2) {
            return false;
        }
    }
    return true;
}

static struct count *count_of(struct table *t)
{
    const char *fork = cell(t, "fork"), *preset = cell(t, "preset"), *type = cell(t, "type");
    char key[160];

    if (type == NULL) {
        type = cell(t, "kind"); /* damaged proofs name no type */
    }
    if (fork == NULL) {
        fork = cell(t, "handler");
    }
    (void)snprintf(key, sizeof key, "%-12s %-8s %s", fork == NULL ? "-" : fork,
                   preset == NULL ? "-" : preset, type == NULL ? "-" : type);
    for (size_t i = t->n_counts; i-- > 0;) { /* rows of a type stand together: found at once */
        if (strcmp(t->counts[i].key, key) == 0) {
            return &t->counts[i];
        }
    }
    if (t->n_counts == t->cap_counts) {
        t->cap_counts = t->cap_counts == 0 ? 64 : 2 * t->cap_counts;
        t->counts = mem_realloc(t->counts, t->cap_counts * sizeof *t->counts);
    }
    struct count *c = &t->counts[t->n_counts++];

    *c = (struct count){.valid = 0};
    memcpy(c->key, key, sizeof key);
    return c;
}

/* ---- types ---- */

static enum err define(struct ssz_set *s, const struct table *t)
{
    static const struct {
        const char *name;
        enum ssz_kind kind;
    } kinds[] = {{"container", SSZ_CONTAINER},
                 {"progressive_container", SSZ_PROGRESSIVE_CONTAINER},
                 {"compatible_union", SSZ_UNION}};

    const char *kind = cell(t, "kind"), *active = cell(t, "active_fields");

    for (size_t i = 0; kind != NULL && i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].name, kind) == 0) {
            return ssz_set_define(s, cell(t, "type"), kinds[i].kind, *active == 0 ? NULL : active,
                                  view_str(cell(t, "fields")));
        }
    }
    return E_SSZ_TYPE;
}

/* schema.tsv beside a generic manifest. Rows may name types that stand further down. */
static bool load_schema(struct table *t)
{
    char path[2 * PATH_MAX_N];
    size_t missing = SIZE_MAX, before;

    if (ssz_set_new(NULL, 0, NULL, &t->set, NULL) != E_OK) {
        return false;
    }
    (void)snprintf(path, sizeof path, "%s/schema.tsv", t->dir);
    do {
        struct table rows;

        before = missing;
        missing = 0;
        bool ok = open_table(&rows, path);

        while (ok && next_row(&rows, rows.cell, &rows.n_cell)) {
            const char *name = cell(&rows, "type");

            if (rows.n_cell == rows.n_head && name != NULL && ssz_set_type(t->set, name) == NULL) {
                missing += define(t->set, &rows) != E_OK;
            }
        }
        close_table(&rows);
    } while (missing != 0 && missing < before);
    return missing == 0;
}

static const struct ssz_type *type_of(const struct table *t)
{
    const char *name = cell(t, "type");
    const struct ssz_type *type = NULL;
    enum preset preset;
    enum fork fork;

    if (name == NULL) {
        return NULL;
    }
    if (t->set != NULL) {
        return ssz_set_parse(t->set, view_str(name), &type) == E_OK ? type : NULL;
    }
    const char *f = cell(t, "fork"), *p = cell(t, "preset");

    return f != NULL && p != NULL && fork_by_name(view_str(f), &fork) &&
                   preset_by_name(view_str(p), &preset)
               ? schema_type(preset, fork, name)
               : NULL;
}

/* ---- cases: NULL when all is well, else what is not ---- */

static const char *same_from_json(const struct ssz_type *type, struct view v)
{
    struct buf json, back;
    char fault[128];
    const char *bad = NULL;

    buf_init(&json, SSZ_FILE_MAX);
    buf_init(&back, SSZ_FILE_MAX);
    if (ssz_to_json(type, v, &json) != E_OK ||
        ssz_from_json(type, buf_view(&json), &back, fault) != E_OK ||
        !view_eq(buf_view(&back), v)) {
        bad = "other bytes after decoding and encoding";
    }
    buf_done(&json);
    buf_done(&back);
    return bad;
}

static const char *valid_case(const struct ssz_type *type, struct view v, const char *root)
{
    struct ssz_fault fault;
    uint8_t want[32], got[32];

    if (type == NULL) {
        return "no such type";
    }
    if (ssz_check(type, v, &fault) != E_OK) {
        return err_text(fault.code);
    }
    ssz_root(type, v, got);
    if (!unhex(root, want, 32) || memcmp(got, want, 32) != 0) {
        return "another root";
    }
    return same_from_json(type, v);
}

static const char *value_case(struct table *t, struct count *c)
{
    const struct ssz_type *type = type_of(t);
    const char *root = cell(t, "root");
    struct view v;

    if (root == NULL || !slice(t, &v)) {
        return "its bytes are not there";
    }
    if (*root != 0) {
        c->valid++;
        return valid_case(type, v, root);
    }
    c->invalid++;
    /* A type that does not exist, like a vector of no elements, accepts nothing. */
    if (type == NULL && t->set == NULL) {
        return "no such type";
    }
    return type != NULL && ssz_check(type, v, NULL) == E_OK ? "malformed bytes are accepted" : NULL;
}

static const char *gindex_case(struct table *t, struct count *c)
{
    const struct ssz_type *type = type_of(t);
    uint64_t g;

    c->valid++;
    return type != NULL && ssz_gindex(type, cell(t, "path"), &g) == E_OK &&
                   g == strtoull(cell(t, "gindex"), NULL, 10)
               ? NULL
               : "another generalized index";
}

static bool unhex_branch(const char *s, uint8_t (*ret)[32], size_t *n)
{
    for (*n = 0; *s != 0 && *n < SSZ_BRANCH_MAX; s += 64, s += *s == ',') {
        if (!unhex(s, ret[(*n)++], 32)) {
            return false;
        }
    }
    return true;
}

static const char *proof_case(struct table *t, struct count *c)
{
    uint8_t leaf[32], root[32], made_leaf[32];
    uint8_t branch[SSZ_BRANCH_MAX][32], made[SSZ_BRANCH_MAX][32];
    uint64_t g = strtoull(cell(t, "gindex"), NULL, 10);
    bool bad = cell(t, "changed") != NULL;
    size_t n, n_made;
    struct view v;

    *(bad ? &c->invalid : &c->valid) += 1;
    if (!unhex(cell(t, "leaf"), leaf, 32) || !unhex(cell(t, "root"), root, 32) ||
        !unhex_branch(cell(t, "branch"), branch, &n)) {
        return "no proof";
    }
    enum err e = ssz_verify_proof(leaf, (const uint8_t(*)[32])branch, n, g, root);

    if (bad) {
        return e == E_OK ? "a damaged proof verifies" : NULL;
    }
    if (e != E_OK) {
        return err_text(e);
    }
    const struct ssz_type *type = type_of(t);

    if (type == NULL || !slice(t, &v) || ssz_check(type, v, NULL) != E_OK ||
        ssz_prove(type, v, g, made_leaf, made, &n_made) != E_OK || n_made != n ||
        memcmp(made_leaf, leaf, 32) != 0 || memcmp(made, branch, 32 * n) != 0) {
        return "the proof made is another";
    }
    return NULL;
}

static unsigned report(const struct table *t, const char *path)
{
    unsigned valid = 0, invalid = 0, failed = 0;

    printf("# %s\n", path);
    for (size_t i = 0; i < t->n_counts; i++) {
        const struct count *c = &t->counts[i];

        printf("%-62s %5u valid %5u invalid%s\n", c->key, c->valid, c->invalid,
               c->failed == 0 ? "" : "  FAILED");
        valid += c->valid;
        invalid += c->invalid;
        failed += c->failed;
    }
    printf("%zu types, %u valid, %u invalid, %u failed: %s\n\n", t->n_counts, valid, invalid,
           failed, path);
    return failed;
}

static bool verify_table(const char *path)
{
    struct table t;
    unsigned failed = 1;
    bool ok = open_table(&t, path);

    memcpy(t.cell, t.head, sizeof t.cell);
    t.n_cell = t.n_head; /* cells are the heads: has the table such a column? */
    bool generic = ok && cell(&t, "handler") != NULL,
         gindex = ok && cell(&t, "branch") == NULL && cell(&t, "gindex") != NULL;
    bool proof = ok && cell(&t, "branch") != NULL;

    if (ok && (!generic || load_schema(&t))) {
        while (next_row(&t, t.cell, &t.n_cell)) {
            if (t.n_cell != t.n_head) {
                continue; /* the empty line at the end */
            }
            struct count *c = count_of(&t);
            const char *bad = gindex  ? gindex_case(&t, c)
                              : proof ? proof_case(&t, c)
                                      : value_case(&t, c);

            if (bad != NULL) {
                const char *name = cell(&t, "case");

                c->failed++;
                fprintf(stderr, "%s: %s %s: %s\n", path, c->key, name == NULL ? "" : name, bad);
            }
        }
        failed = report(&t, path);
    }
    close_table(&t);
    return failed == 0;
}

static bool verify_folder(const char *path)
{
    bool ok = true;
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(known_tables); i++) {
        char table[2 * PATH_MAX_N];
        struct stat st;

        (void)snprintf(table, sizeof table, "%s/%s", path, known_tables[i]);
        if (stat(table, &st) == 0) {
            ok = verify_table(table) && ok;
            n++;
        }
    }
    if (n == 0) {
        fprintf(stderr, "beacon-p2pd ssz: %s: no table of vectors in this folder\n", path);
    }
    return ok && n != 0;
}

int ssz_verify(char **paths, int n)
{
    bool ok = true;

    for (int i = 0; i < n; i++) {
        struct stat st;
        bool folder = stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode);

        ok = (folder ? verify_folder(paths[i]) : verify_table(paths[i])) && ok;
    }
    return ok ? 0 : 1;
}
