#define _GNU_SOURCE
#include "settings.h"

#include "commands.h"
#include "options.h"

#include <base/buf.h>
#include <base/mem.h>
#include <codec/flat_yaml.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- names ---- */

/* The flag's first name among those of options.def and of the commands; NULL: there is none such.
 */
static const char *known_name(const char *name)
{
    size_t n;
    const struct command_line *l = command_lines(&n);
    int id = option_find(name, strlen(name));

    if (id >= 0) {
        return option_name((enum option)id);
    }
    for (size_t i = 0; i < n; i++) {
        if (l[i].kind == LINE_FLAG && strcmp(l[i].name, name) == 0) {
            return l[i].name;
        }
    }
    return NULL;
}

static const char *nearest_name(const char *name)
{
    size_t n;
    const struct command_line *l = command_lines(&n);
    struct nearest near = nearest_to(name, strlen(name));

    option_nearest(&near);
    for (size_t i = 0; i < n; i++) {
        if (l[i].kind == LINE_FLAG) {
            nearest_try(&near, l[i].name);
        }
    }
    return near.found;
}

const char *setting_env_name(const char *flag, char out[static SETTING_ENV_MAX])
{
    size_t i = 0;

    memcpy(out, SETTING_ENV_PREFIX, sizeof SETTING_ENV_PREFIX);
    char *at = out + sizeof SETTING_ENV_PREFIX - 1;
    for (; flag[i] != '\0' && i + sizeof SETTING_ENV_PREFIX < SETTING_ENV_MAX; i++) {
        at[i] = flag[i] == '-' ? '_' : (char)toupper((unsigned char)flag[i]);
    }
    at[i] = '\0';
    return out;
}

/* "BEACON_P2PD_LOG_LEVEL" -> "log-level"; false: too long for any flag, or not in capitals. */
static bool flag_of_env(const char *at, size_t n, char out[static SETTING_ENV_MAX])
{
    if (n >= SETTING_ENV_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (islower((unsigned char)at[i]) || at[i] == '-') {
            return false;
        }
        out[i] = at[i] == '_' ? '-' : (char)tolower((unsigned char)at[i]);
    }
    out[n] = '\0';
    return true;
}

bool setting_bool(const char *text, bool *ret)
{
    *ret = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    return *ret || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

/* ---- reading ---- */

static void add(struct settings *s, struct setting row)
{
    s->rows = mem_realloc(s->rows, (s->n + 1) * sizeof *s->rows);
    s->rows[s->n++] = row;
}

static bool unknown_variable(const char *variable, size_t n, const char *near)
{
    char text[SETTING_ENV_MAX];

    fprintf(stderr, "beacon-p2pd: environment: %.*s is no setting", (int)n, variable);
    if (near != NULL) {
        fprintf(stderr, "; did you mean %s?\n", setting_env_name(near, text));
    } else {
        fprintf(stderr,
                "; see beacon-p2pd --help for the flags, whose names in capitals they are\n");
    }
    return false;
}

static bool add_variable(struct settings *s, const char *variable)
{
    size_t before = sizeof SETTING_ENV_PREFIX - 1, n = strcspn(variable, "=");
    char flag[SETTING_ENV_MAX];
    bool named = flag_of_env(variable + before, n - before, flag);
    const char *name = named ? known_name(flag) : NULL;

    if (name == NULL) {
        return unknown_variable(variable, n, named ? nearest_name(flag) : NULL);
    }
    if (variable[n] == '\0') {
        return true; /* no value at all: putenv() allows it */
    }
    add(s, (struct setting){
               .name = name, .value = mem_strdup(variable + n + 1), .from = FROM_ENVIRONMENT});
    return true;
}

static bool add_environment(struct settings *s)
{
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        if (strncmp(*e, SETTING_ENV_PREFIX, sizeof SETTING_ENV_PREFIX - 1) == 0 &&
            !add_variable(s, *e)) {
            return false;
        }
    }
    return true;
}

static bool read_file(const char *path, struct buf *ret)
{
    FILE *f = fopen(path, "rb");
    bool whole = f != NULL;
    char piece[4096];

    errno = f == NULL ? errno : 0;
    for (size_t n; whole && (n = fread(piece, 1, sizeof piece, f)) > 0;) {
        whole = buf_append(ret, piece, n) == E_OK;
    }
    if (f == NULL || ferror(f)) {
        fprintf(stderr, "beacon-p2pd: --config %s: %s\n", path, strerror(errno));
        whole = false;
    } else if (!whole) {
        fprintf(stderr, "beacon-p2pd: --config %s: over 256 KiB\n", path);
    }
    if (f != NULL) {
        fclose(f);
    }
    return whole;
}

static bool add_entry(struct settings *s, struct flat_yaml_entry *e)
{
    const char *name = known_name(e->key), *near = name == NULL ? nearest_name(e->key) : NULL;

    if (name == NULL) {
        fprintf(stderr, "beacon-p2pd: %s:%u: %.64s is no setting%s%s%s\n", s->file, e->line, e->key,
                near == NULL ? "; see beacon-p2pd --help for the flags" : "; did you mean ",
                near == NULL ? "" : near, near == NULL ? "" : "?");
        return false;
    }
    if (option_find(name, strlen(name)) >= 0 &&
        option_is_of_one_call((enum option)option_find(name, strlen(name)))) {
        fprintf(stderr, "beacon-p2pd: %s:%u: %s has its place on the command line only\n", s->file,
                e->line, name);
        return false;
    }
    add(s, (struct setting){.name = name,
                            .value = e->value,
                            .from = FROM_FILE,
                            .line = e->line,
                            .listed = e->listed});
    e->value = NULL;
    return true;
}

static bool add_file(struct settings *s)
{
    char fault[FLAT_YAML_FAULT_MAX];
    struct flat_yaml yaml;
    struct buf text;
    bool ok;

    buf_init(&text, FLAT_YAML_BYTES_MAX);
    ok = read_file(s->file, &text);
    if (ok && flat_yaml_parse(buf_view(&text), &yaml, fault) != E_OK) {
        fprintf(stderr, "beacon-p2pd: --config %s: %s\n", s->file, fault);
        ok = false;
    } else if (ok) {
        for (size_t i = 0; i < yaml.n && ok; i++) {
            ok = add_entry(s, &yaml.entries[i]);
        }
        flat_yaml_done(&yaml);
    }
    buf_done(&text);
    return ok;
}

bool settings_load(struct settings *s, const char *file)
{
    *s = (struct settings){0};
    if (!add_environment(s)) {
        return false;
    }
    for (size_t i = 0; i < s->n && file == NULL; i++) {
        file = strcmp(s->rows[i].name, option_name(OPT_CONFIG)) == 0 ? s->rows[i].value : NULL;
    }
    if (file == NULL) {
        return true;
    }
    s->file = mem_strdup(file);
    return add_file(s);
}

void settings_done(struct settings *s)
{
    for (size_t i = 0; i < s->n; i++) {
        mem_free(s->rows[i].value);
        mem_free(s->rows[i].word);
    }
    mem_free(s->rows);
    mem_free(s->file);
    *s = (struct settings){0};
}

void settings_forget(void)
{
    char **to = environ;

    if (to == NULL) {
        return;
    }
    for (char **from = environ; *from != NULL; from++) {
        if (strncmp(*from, SETTING_ENV_PREFIX, sizeof SETTING_ENV_PREFIX - 1) != 0) {
            *to++ = *from;
        }
    }
    *to = NULL;
}

/* ---- commands with flags of their own ---- */

/* "--name" or "--name=..." */
static bool is_flag(const char *argument, const char *name)
{
    size_t n = strlen(name);

    return strncmp(argument, "--", 2) == 0 && strncmp(argument + 2, name, n) == 0 &&
           (argument[2 + n] == '\0' || argument[2 + n] == '=');
}

static bool is_given(int argc, char **argv, const char *name)
{
    bool given = false;

    for (int i = 1; i < argc; i++) {
        given = given || is_flag(argv[i], name);
    }
    return given;
}

static const struct command_line *own_flag(const char *command, const char *name)
{
    const struct command_line *l = command_find(command);

    while ((l = command_next(l, LINE_FLAG)) != NULL && strcmp(l->name, name) != 0) {
    }
    return l;
}

/* The environment has it: a file's line gives way. */
static bool is_overridden(const struct settings *s, size_t i)
{
    bool found = false;

    for (size_t k = 0; k < i && s->rows[i].from == FROM_FILE; k++) {
        found =
            found || (s->rows[k].from == FROM_ENVIRONMENT && s->rows[k].name == s->rows[i].name);
    }
    return found;
}

/* Append what one setting gives; false after a line on stderr. */
static bool put_argument(struct setting *row, const struct command_line *flag, char **out, int *n)
{
    bool on = true;

    if (flag->usage == NULL && (row->value == NULL || !setting_bool(row->value, &on))) {
        fprintf(stderr, "beacon-p2pd: setting %s: true or false is wanted\n", row->name);
        return false;
    }
    if (!on || row->value == NULL) {
        return true;
    }
    row->word = mem_alloc(strlen(row->name) + 3);
    memcpy(row->word, "--", 2);
    memcpy(row->word + 2, row->name, strlen(row->name) + 1);
    out[(*n)++] = row->word;
    if (flag->usage != NULL) {
        out[(*n)++] = row->value;
    }
    return true;
}

/* Take --config FILE out of the arguments; false: it has no file. */
static bool take_config(int *argc, char **argv, const char **ret_file)
{
    int kept = 1;

    for (int i = 1; i < *argc; i++) {
        if (!is_flag(argv[i], "config")) {
            argv[kept++] = argv[i];
        } else if (argv[i][8] == '=') {
            *ret_file = argv[i] + 9;
        } else if (i + 1 < *argc) {
            *ret_file = argv[++i];
        } else {
            fprintf(stderr, "beacon-p2pd: --config wants a value: FILE\n");
            return false;
        }
    }
    *argc = kept;
    return true;
}

char **settings_arguments(struct settings *s, const char *command, int *argc, char **argv)
{
    const char *file = NULL;

    if (!take_config(argc, argv, &file) || !settings_load(s, file)) {
        return NULL;
    }
    bool verb = strncmp(command_find(command)->usage, "VERB", 4) == 0, ok = true;
    int before = verb && *argc > 1 ? 2 : 1, n = before, rest = *argc - before;
    char **out = mem_zalloc_array((size_t)*argc + 2 * s->n + 1, sizeof *out);

    memcpy(out, argv, (size_t)before * sizeof *out);
    for (size_t i = 0; i < s->n && ok; i++) {
        const struct command_line *flag = own_flag(command, s->rows[i].name);

        if (flag != NULL && !is_given(*argc, argv, flag->name) && !is_overridden(s, i)) {
            ok = put_argument(&s->rows[i], flag, out, &n);
        }
    }
    memcpy(out + n, argv + before, (size_t)rest * sizeof *out);
    *argc = n + rest;
    if (!ok) {
        mem_free(out);
        return NULL;
    }
    return out;
}
