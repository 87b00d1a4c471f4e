#include <base/mem.h>
#include <inttypes.h>
#include <lib/hex.h>
#include <lib/vectors.h>
#include <stdio.h>
#include <stdlib.h>

#define COLUMNS_MAX 64
#define LINE_MAX_N  (64 * KIB) /* the longest line of the shared tables has 6.4 KB */
#define PATH_MAX_N  1024
#define KEPT_MAX    64 /* slices and hex values of one row */

struct table {
    FILE *file, *pack;
    char path[PATH_MAX_N], pack_path[PATH_MAX_N], where[PATH_MAX_N];
    unsigned long line;
    size_t n_columns, n_values;
    char header[LINE_MAX_N], row[LINE_MAX_N];
    char *columns[COLUMNS_MAX], *values[COLUMNS_MAX];
    struct blob *kept[KEPT_MAX];
    size_t n_kept;
};

static _Noreturn void broken(const struct table *t, const char *what, const char *name)
{
    fprintf(stderr, "%s line %lu: %s: %s\n", t->path, t->line, what, name);
    abort();
}

static void forget_row(struct table *t)
{
    while (t->n_kept > 0) {
        blob_unref(t->kept[--t->n_kept]);
    }
}

static struct view keep(struct table *t, struct blob *b)
{
    if (t->n_kept == KEPT_MAX) {
        broken(t, "too many slices of one row", "");
    }
    t->kept[t->n_kept++] = b;
    return blob_view(b);
}

/* Read a line and cut it at its tabs; false at the end of the file. */
static bool read_line(struct table *t, char *line, char **cells, size_t *n_cells)
{
    if (fgets(line, (int)LINE_MAX_N, t->file) == NULL) {
        return false;
    }
    t->line++;
    size_t n = strcspn(line, "\r\n");

    if (n + 1 == LINE_MAX_N) {
        broken(t, "line is too long", "");
    }
    line[n] = 0;
    *n_cells = 0;
    for (char *at = line; at != NULL;) {
        if (*n_cells == COLUMNS_MAX) {
            broken(t, "too many columns", "");
        }
        cells[(*n_cells)++] = at;
        at = strchr(at, '\t');
        if (at != NULL) {
            *at++ = 0;
        }
    }
    return true;
}

struct table *table_open(const char *path)
{
    FILE *f = fopen(path, "rb");

    if (f == NULL) {
        return NULL;
    }
    struct table *t = mem_zalloc(sizeof *t);

    t->file = f;
    snprintf(t->path, sizeof t->path, "%s", path);
    if (!read_line(t, t->header, t->columns, &t->n_columns) || t->header[0] != '#') {
        broken(t, "no header", path);
    }
    t->columns[0]++;
    return t;
}

struct table *table_open_any(const char *name)
{
    static const char *const roots[] = {P2PD_SHARED_DIR "/vectors",
                                        P2PD_SOURCE_DIR "/tests/vectors"};
    char path[PATH_MAX_N];

    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        snprintf(path, sizeof path, "%s/%s", roots[i], name);
        struct table *t = table_open(path);
        if (t != NULL) {
            printf("vectors: %s\n", path);
            return t;
        }
    }
    fprintf(stderr, "no vectors: %s\n", path);
    abort();
}

void table_close(struct table *t)
{
    if (t == NULL) {
        return;
    }
    forget_row(t);
    fclose(t->file);
    if (t->pack != NULL) {
        fclose(t->pack);
    }
    mem_free(t);
}

bool table_next(struct table *t)
{
    if (t == NULL) {
        return false;
    }
    forget_row(t);
    if (!read_line(t, t->row, t->values, &t->n_values)) {
        return false;
    }
    if (t->n_values != t->n_columns) {
        broken(t, "row has another number of cells than the header", t->values[0]);
    }
    return true;
}

static size_t find(const struct table *t, const char *column)
{
    size_t i = 0;

    while (i < t->n_columns && strcmp(t->columns[i], column) != 0) {
        i++;
    }
    return i;
}

bool table_has(const struct table *t, const char *column)
{
    return find(t, column) < t->n_columns;
}

const char *table_text(const struct table *t, const char *column)
{
    size_t i = find(t, column);

    if (i == t->n_columns) {
        broken(t, "no such column", column);
    }
    return t->values[i];
}

bool table_empty(const struct table *t, const char *column)
{
    return strcmp(table_text(t, column), "-") == 0;
}

uint64_t table_u64(const struct table *t, const char *column)
{
    const char *text = table_text(t, column);
    char *end;

    if (strcmp(text, "-") == 0) {
        return 0;
    }
    uint64_t x = strtoull(text, &end, 10);

    if (end == text || *end != 0) {
        broken(t, "not a number", text);
    }
    return x;
}

struct view table_hex(struct table *t, const char *column)
{
    return keep(t, hex_blob(table_text(t, column)));
}

/* The pack of that name in the table's folder; the one last used stays open. */
static FILE *open_pack(struct table *t, const char *name)
{
    char path[PATH_MAX_N];
    const char *slash = strrchr(t->path, '/');
    int n = snprintf(path, sizeof path, "%.*s%s", slash == NULL ? 0 : (int)(slash - t->path) + 1,
                     t->path, name);

    if (n < 0 || (size_t)n >= sizeof path) {
        broken(t, "path is too long", name);
    }
    if (t->pack != NULL && strcmp(path, t->pack_path) == 0) {
        return t->pack;
    }
    if (t->pack != NULL) {
        fclose(t->pack);
    }
    t->pack = fopen(path, "rb");
    if (t->pack == NULL) {
        broken(t, "no such pack", path);
    }
    memcpy(t->pack_path, path, sizeof path);
    return t->pack;
}

static struct view read_pack(struct table *t, const char *name, uint64_t off, uint64_t len)
{
    FILE *f = open_pack(t, name);
    struct blob *b = blob_new(len);

    if (fseek(f, (long)off, SEEK_SET) != 0 || fread(b->b, 1, len, f) != len) {
        broken(t, "slice is not in the pack", name);
    }
    return keep(t, b);
}

struct view table_slice(struct table *t, const char *column, const char *pack)
{
    uint64_t off, len;

    if (column == NULL) {
        return read_pack(t, table_text(t, "file"), table_u64(t, "off"), table_u64(t, "len"));
    }
    char full[64];

    snprintf(full, sizeof full, "%s_off:len", column);
    const char *text = table_text(t, table_has(t, full) ? full : column);

    if (strcmp(text, "-") == 0) {
        return (struct view){NULL, 0};
    }
    if (sscanf(text, "%" SCNu64 ":%" SCNu64, &off, &len) != 2) {
        broken(t, "not OFF:LEN", text);
    }
    return read_pack(t, pack, off, len);
}

unsigned long table_line(const struct table *t)
{
    return t->line;
}

const char *table_where(const struct table *t)
{
    static const char *const naming[] = {"suite", "case", "name", "session"};
    struct table *u = (struct table *)(uintptr_t)t; /* the text is a cache, not the table's state */
    const char *slash = strrchr(t->path, '/');
    int n =
        snprintf(u->where, sizeof u->where, "%s:%lu", slash == NULL ? t->path : slash + 1, t->line);

    for (size_t i = 0; i < ARRAY_LEN(naming) && n > 0 && (size_t)n < sizeof u->where; i++) {
        if (table_has(t, naming[i])) {
            n += snprintf(u->where + n, sizeof u->where - (size_t)n, " %s",
                          table_text(t, naming[i]));
        }
    }
    return u->where;
}
