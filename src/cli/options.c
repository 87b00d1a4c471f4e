#include "options.h"

#include <base/bytes.h>
#include <base/mem.h>
#include <errno.h>
#include <stdlib.h>

enum kind { BOOL, TEXT, LIST, U64 };

struct row {
    const char *names; /* "a|b" */
    enum kind kind;
    const char *argument, *fallback, *help;
};

static const struct row rows[OPTION_COUNT] = {
#define S(title)
#define O(id, name, kind, arg, def, help) [id] = {name, kind, arg, def, help},
#include "options.def"
#undef O
#undef S
};

static const char *name_after(const char *names, size_t *ret_n)
{
    *ret_n = strcspn(names, "|");
    return names[*ret_n] == '|' ? names + *ret_n + 1 : NULL;
}

const char *option_name(enum option id)
{
    static char text[OPTION_COUNT][40];
    size_t n;

    name_after(rows[id].names, &n);
    snprintf(text[id], sizeof text[id], "%.*s", (int)n, rows[id].names);
    return text[id];
}

static bool row_has_name(const struct row *r, const char *name, size_t name_n)
{
    size_t n;

    for (const char *at = r->names, *next; at != NULL; at = next) {
        next = name_after(at, &n);
        if (n == name_n && memcmp(at, name, n) == 0) {
            return true;
        }
    }
    return false;
}

static int find(const char *name, size_t n)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (row_has_name(&rows[i], name, n)) {
            return i;
        }
    }
    return -1;
}

/* Levenshtein distance, for "did you mean"; names are short. */
static unsigned distance(const char *a, size_t a_n, const char *b, size_t b_n)
{
    unsigned line[64];

    if (b_n >= ARRAY_LEN(line) || a_n >= ARRAY_LEN(line)) {
        return 64;
    }
    for (size_t j = 0; j <= b_n; j++) {
        line[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a_n; i++) {
        unsigned diagonal = line[0];

        line[0] = (unsigned)i;
        for (size_t j = 1; j <= b_n; j++) {
            unsigned up = line[j], best = diagonal + (a[i - 1] != b[j - 1]);

            best = up + 1 < best ? up + 1 : best;
            best = line[j - 1] + 1 < best ? line[j - 1] + 1 : best;
            diagonal = up;
            line[j] = best;
        }
    }
    return line[b_n];
}

static void unknown(const char *name, size_t n)
{
    unsigned best = 64;
    enum option nearest = OPT_HELP;

    for (int i = 0; i < OPTION_COUNT; i++) {
        const char *candidate = option_name((enum option)i);
        unsigned d = distance(name, n, candidate, strlen(candidate));

        if (d < best && rows[i].help != NULL) {
            best = d;
            nearest = (enum option)i;
        }
    }
    fprintf(stderr, "beacon-p2pd: unknown option --%.*s", (int)n, name);
    if (best <= 4) {
        fprintf(stderr, "; did you mean --%s?\n", option_name(nearest));
    } else {
        fprintf(stderr, "; see beacon-p2pd --help\n");
    }
}

static bool add(struct options *o, enum option id, const char *p, size_t n)
{
    struct option_list *l = &o->values[id];

    if (l->n == OPTION_LIST_MAX) {
        fprintf(stderr, "beacon-p2pd: --%s has more than %u values\n", option_name(id),
                OPTION_LIST_MAX);
        return false;
    }
    l->values = mem_realloc(l->values, (l->n + 1) * sizeof *l->values);
    char *copy = mem_alloc(n + 1);
    memcpy(copy, p, n);
    copy[n] = '\0';
    l->values[l->n++] = copy;
    return true;
}

static bool in_bounds(enum option id, const char *text)
{
    char *end;
    uint64_t min, max;

    errno = 0;
    uint64_t x = strtoull(text, &end, 10);
    bool ok = errno == 0 && end != text && *end == '\0' && *text >= '0' && *text <= '9';
    min = strtoull(rows[id].argument, &end, 10);
    max = strtoull(end + 2, NULL, 10);
    if (!ok || x < min || x > max) {
        fprintf(stderr, "beacon-p2pd: --%s %s: a whole number from %s is wanted\n", option_name(id),
                text, rows[id].argument);
        return false;
    }
    return true;
}

static bool take_value(struct options *o, enum option id, const char *text)
{
    if (rows[id].kind == U64 && !in_bounds(id, text)) {
        return false;
    }
    if (rows[id].kind != LIST) {
        if (o->set[id]) {
            fprintf(stderr, "beacon-p2pd: --%s is given twice\n", option_name(id));
            return false;
        }
        return add(o, id, text, strlen(text));
    }
    for (const char *at = text; *at != '\0';) {
        size_t n = strcspn(at, ",");

        if (n != 0 && !add(o, id, at, n)) {
            return false;
        }
        at += n + (at[n] == ',');
    }
    return true;
}

bool options_parse(struct options *o, int argc, char **argv)
{
    memset(o, 0, sizeof *o);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0 || argv[i][2] == '\0') {
            fprintf(stderr, "beacon-p2pd: unexpected argument %s; options begin with --\n",
                    argv[i]);
            return false;
        }
        const char *name = argv[i] + 2;
        size_t n = strcspn(name, "=");
        int found = find(name, n);

        if (found < 0) {
            unknown(name, n);
            return false;
        }
        enum option id = (enum option)found;
        bool inlined = name[n] == '=';
        if (rows[id].kind == BOOL) {
            if (inlined) {
                fprintf(stderr, "beacon-p2pd: --%s takes no value\n", option_name(id));
                return false;
            }
        } else if (!inlined && i + 1 == argc) {
            fprintf(stderr, "beacon-p2pd: --%s wants a value: %s\n", option_name(id),
                    rows[id].argument);
            return false;
        } else if (!take_value(o, id, inlined ? name + n + 1 : argv[++i])) {
            return false;
        }
        o->set[id] = true;
    }
    return true;
}

void options_done(struct options *o)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        for (size_t j = 0; j < o->values[i].n; j++) {
            mem_free(o->values[i].values[j]);
        }
        mem_free(o->values[i].values);
    }
}

bool option_given(const struct options *o, enum option id)
{
    return o->set[id];
}

bool option_bool(const struct options *o, enum option id)
{
    return o->set[id];
}

const char *option_text(const struct options *o, enum option id)
{
    return o->values[id].n != 0 ? o->values[id].values[0] : rows[id].fallback;
}

uint64_t option_u64(const struct options *o, enum option id)
{
    const char *text = option_text(o, id);

    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

struct option_list option_list(const struct options *o, enum option id)
{
    return o->values[id];
}

static void help_row(FILE *to, const struct row *r)
{
    char left[64];
    size_t n;

    if (r->help == NULL) {
        return;
    }
    name_after(r->names, &n);
    snprintf(left, sizeof left, "--%.*s%s%s", (int)n, r->names, r->argument ? " " : "",
             r->argument ? r->argument : "");
    fprintf(to, "  %-30s %s", left, r->help);
    if (r->fallback != NULL) {
        fprintf(to, " [%s]", r->fallback);
    }
    fputc('\n', to);
}

void options_help(FILE *to)
{
    static const struct line {
        const char *title;
        enum option id;
    } lines[] = {

#define S(title)                          {title, OPTION_COUNT},
#define O(id, name, kind, arg, def, help) {NULL, id},
#include "options.def"
#undef O
#undef S
    };

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (lines[i].title != NULL) {
            fprintf(to, "\n%s\n", lines[i].title);
        } else if (lines[i].id != OPTION_COUNT) {
            help_row(to, &rows[lines[i].id]);
        }
    }
}
