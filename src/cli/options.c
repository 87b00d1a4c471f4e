#include "options.h"

#include "commands.h"

#include <base/bytes.h>
#include <base/mem.h>
#include <errno.h>
#include <stdlib.h>

/* CALL: a BOOL that is about this one call of the program. */
enum kind { BOOL, CALL, TEXT, LIST, U64 };

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

int option_find(const char *name, size_t n)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (row_has_name(&rows[i], name, n)) {
            return i;
        }
    }
    return -1;
}

bool option_is_of_one_call(enum option id)
{
    return rows[id].kind == CALL || id == OPT_CONFIG;
}

void option_nearest(struct nearest *x)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (rows[i].help != NULL) {
            nearest_try(x, option_name((enum option)i));
        }
    }
}

static void unknown(const char *name, size_t n)
{
    struct nearest near = nearest_to(name, n);

    option_nearest(&near);
    fprintf(stderr, "beacon-p2pd: unknown option --%.*s", (int)n, name);
    if (near.found != NULL) {
        fprintf(stderr, "; did you mean --%s?\n", near.found);
    } else {
        fprintf(stderr, "; see beacon-p2pd --help\n");
    }
}

/* ---- values ---- */

/* Where a value stands: what an error about it names. */
struct place {
    enum setting_from from;
    unsigned line;
    const char *file;
};

static const char *place_text(enum option id, const struct place *at, char out[static 256])
{
    const char *name = option_name(id);

    if (at->from == FROM_ENVIRONMENT) {
        return setting_env_name(name, out);
    }
    if (at->from == FROM_FILE) {
        (void)snprintf(out, 256, "%.190s:%u: %s", at->file, at->line, name);
    } else {
        (void)snprintf(out, 256, "--%s", name);
    }
    return out;
}

static bool refuse(enum option id, const struct place *at, const char *value, const char *why)
{
    char text[256];

    fprintf(stderr, "beacon-p2pd: %s %s: %s%s%s\n", place_text(id, at, text), value, why,
            rows[id].kind == U64 ? " from " : "", rows[id].kind == U64 ? rows[id].argument : "");
    return false;
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
    return ok && x >= min && x <= max;
}

static bool add_list(struct options *o, enum option id, const char *text)
{
    for (const char *at = text; *at != '\0';) {
        size_t n = strcspn(at, ",");

        if (n != 0 && !add(o, id, at, n)) {
            return false;
        }
        at += n + (at[n] == ',');
    }
    return true;
}

/* One value from one place; nothing stronger has given one. */
static bool take_value(struct options *o, enum option id, const char *text, const struct place *at)
{
    bool on;

    if (rows[id].kind == U64 && !in_bounds(id, text)) {
        return refuse(id, at, text, "a whole number is wanted");
    }
    if (rows[id].kind <= CALL && !setting_bool(text, &on)) {
        return refuse(id, at, text, "true or false is wanted");
    }
    if (rows[id].kind != LIST && o->from[id] == at->from) {
        return refuse(id, at, text, "is given twice");
    }
    o->from[id] = at->from;
    o->line[id] = o->line[id] == 0 ? at->line : o->line[id];
    return rows[id].kind == LIST   ? add_list(o, id, text)
           : rows[id].kind <= CALL ? add(o, id, on ? "true" : "false", on ? 4 : 5)
                                   : add(o, id, text, strlen(text));
}

/* ---- the command line, then what is set outside ---- */

static bool take_flag(struct options *o, int argc, char **argv, int *i)
{
    static const struct place here = {.from = FROM_FLAG};
    const char *name = argv[*i] + 2;
    size_t n = strcspn(name, "=");
    int found = option_find(name, n);

    if (found < 0) {
        unknown(name, n);
        return false;
    }
    enum option id = (enum option)found;
    if (name[n] == '=') {
        return take_value(o, id, name + n + 1, &here);
    }
    if (rows[id].kind <= CALL) {
        return take_value(o, id, "true", &here);
    }
    if (*i + 1 == argc) {
        fprintf(stderr, "beacon-p2pd: --%s wants a value: %s\n", option_name(id),
                rows[id].argument);
        return false;
    }
    return take_value(o, id, argv[++*i], &here);
}

static bool take_setting(struct options *o, const struct setting *row, const char *file)
{
    struct place at = {row->from, row->line, file};
    int id = option_find(row->name, strlen(row->name));

    if (id < 0 || row->value == NULL || o->from[id] > row->from) {
        return true; /* another command's, an empty list, or something stronger has it */
    }
    if (rows[id].kind == CALL) {
        return refuse((enum option)id, &at, row->value, "is for the command line only");
    }
    if (row->listed && rows[id].kind != LIST) {
        return refuse((enum option)id, &at, row->value, "takes one value, not a list");
    }
    return take_value(o, (enum option)id, row->value, &at);
}

static bool take_settings(struct options *o)
{
    struct settings s;
    bool ok = settings_load(&s, option_text(o, OPT_CONFIG));

    for (size_t i = 0; i < s.n && ok; i++) {
        ok = take_setting(o, &s.rows[i], s.file);
    }
    o->file = s.file;
    s.file = NULL;
    settings_done(&s);
    return ok;
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
        if (!take_flag(o, argc, argv, &i)) {
            return false;
        }
    }
    return take_settings(o);
}

void options_done(struct options *o)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        for (size_t j = 0; j < o->values[i].n; j++) {
            mem_free(o->values[i].values[j]);
        }
        mem_free(o->values[i].values);
    }
    mem_free(o->file);
}

bool option_given(const struct options *o, enum option id)
{
    return o->from[id] != FROM_DEFAULT;
}

bool option_bool(const struct options *o, enum option id)
{
    return o->values[id].n != 0 && o->values[id].values[0][0] == 't';
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

/* ---- telling ---- */

bool option_row_at(size_t i, struct option_row *ret)
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

    for (size_t k = 0; k < ARRAY_LEN(lines); k++) {
        const struct line *l = &lines[k];
        bool shown = l->title != NULL || (l->id != OPTION_COUNT && rows[l->id].help != NULL);

        if (shown && i-- == 0) {
            const struct row *r = l->title != NULL ? &(const struct row){0} : &rows[l->id];

            *ret =
                (struct option_row){l->title, r->names, r->argument, r->fallback, r->help, l->id};
            return true;
        }
    }
    return false;
}

void options_help(FILE *to)
{
    struct option_row r;
    char left[80];

    for (size_t i = 0; option_row_at(i, &r); i++) {
        if (r.title != NULL) {
            fprintf(to, "\n%s\n", r.title);
            continue;
        }
        int n = snprintf(left, sizeof left, "  --%s%s%s", option_name(r.id), r.argument ? " " : "",
                         r.argument ? r.argument : "");
        unsigned gap = n < 31 ? 32 - (unsigned)n : 2;
        char text[1024];

        (void)snprintf(text, sizeof text, "%s%s%s%s", r.help, r.fallback ? " [" : "",
                       r.fallback ? r.fallback : "", r.fallback ? "]" : "");
        fprintf(to, "%s%*s", left, (int)gap, "");
        print_wrapped(to, (unsigned)n + gap, 32, text);
    }
}

/* A scalar that YAML reads as it is written; quoted where a plain one might be something else. */
static int print_scalar(FILE *to, const char *text)
{
    int n = 2;

    if (*text != '\0' && text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789_./")] == '\0') {
        return fprintf(to, "%s", text);
    }
    fputc('"', to);
    for (; *text != '\0'; text++) {
        n += (unsigned char)*text < ' ' || *text == 127
                 ? fprintf(to, "\\x%02x", (unsigned char)*text)
             : *text == '"' || *text == '\\' ? fprintf(to, "\\%c", *text)
                                             : fprintf(to, "%c", *text);
    }
    fputc('"', to);
    return n;
}

static int print_value(const struct options *o, enum option id, FILE *to)
{
    const struct option_list *l = &o->values[id];
    bool list = rows[id].kind == LIST;
    size_t n_values = l->n == 0 ? 1 : l->n;
    int n = list ? fprintf(to, "[") : 0;

    for (size_t i = 0; i < n_values; i++) {
        n += i == 0 ? 0 : fprintf(to, ", ");
        n += print_scalar(to, l->n == 0 ? rows[id].fallback : l->values[i]);
    }
    return n + (list ? fprintf(to, "]") : 0);
}

static void print_setting(const struct options *o, enum option id, FILE *to)
{
    char variable[SETTING_ENV_MAX];
    bool given = o->from[id] != FROM_DEFAULT, off = !given && rows[id].fallback == NULL;
    int n = fprintf(to, given ? "%s: " : "# %s: ", option_name(id));

    n += off ? 0 : print_value(o, id, to);
    fprintf(to, "%*s# ", n < 40 ? 40 - n : 1, "");
    if (o->from[id] == FROM_FILE) {
        fprintf(to, "%s:%u\n", o->file, o->line[id]);
        return;
    }
    fprintf(to, "%s\n",
            o->from[id] == FROM_FLAG          ? "flag"
            : o->from[id] == FROM_ENVIRONMENT ? setting_env_name(option_name(id), variable)
            : off                             ? "not set"
                                              : "default");
}

void options_print(const struct options *o, bool hidden, FILE *to)
{
    for (enum option id = 0; id < OPTION_COUNT; id++) {
        bool shown = rows[id].help != NULL || (hidden && o->from[id] != FROM_DEFAULT);

        if (shown && !option_is_of_one_call(id)) {
            print_setting(o, id, to);
        }
    }
}

void options_override(struct options *o, enum option id, const char *text)
{
    struct option_list *l = &o->values[id];

    for (size_t i = 0; i < l->n; i++) {
        mem_free(l->values[i]);
    }
    l->n = 0;
    o->from[id] = text == NULL ? FROM_DEFAULT : FROM_FLAG;
    if (text != NULL) {
        (void)add(o, id, text, strlen(text)); /* there is room for one */
    }
}
