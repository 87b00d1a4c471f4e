/* The options of one run by the rows of options.def: flags, else the environment, else the file of
 * --config, else the default. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "nearest.h"
#include "settings.h"

#include <stdint.h>
#include <stdio.h>

enum option {

#define S(title)
#define O(id, name, kind, arg, def, help) id,
#include "options.def"
#undef O
#undef S
    OPTION_COUNT
};

#define OPTION_LIST_MAX 256u /* values of one list; a boot list is a dozen */

struct option_list {
    char **values; /* owned */
    size_t n;
};

struct options {
    enum setting_from from[OPTION_COUNT];
    unsigned line[OPTION_COUNT]; /* FROM_FILE */
    struct option_list values[OPTION_COUNT];
    char *file; /* owned; what was read, or NULL */
};

/* Parse argv[1..argc), the environment and the file. False after one line on stderr that names the
 * flag, variable or line, and the remedy. */
bool options_parse(struct options *o, int argc, char **argv);
void options_done(struct options *o);

bool option_bool(const struct options *o, enum option id);
const char *option_text(const struct options *o, enum option id); /* the default, or NULL */
uint64_t option_u64(const struct options *o, enum option id);
struct option_list option_list(const struct options *o, enum option id);
bool option_given(const struct options *o, enum option id);

/* ---- the table ---- */
const char *option_name(enum option id);     /* without aliases and dashes; static */
int option_find(const char *name, size_t n); /* aliases too; -1: there is none such */
bool option_is_of_one_call(enum option id);  /* --help and the like: in no file or variable */
void option_nearest(struct nearest *x);      /* tries all that are shown */

/* One row for help, man page and completions: `title` begins a section (the rest is NULL). */
struct option_row {
    const char *title, *names, *argument, *fallback, *help;
    enum option id;
};

bool option_row_at(size_t i, struct option_row *ret); /* shown rows in order; false: no more */
void options_help(FILE *to);
/* Every option with its value and where that is from: a file that --config reads. `hidden`: those
 * for tests too, where they are given. */
void options_print(const struct options *o, bool hidden, FILE *to);
/* One value instead of what was given; NULL: as if nothing had been. */
void options_override(struct options *o, enum option id, const char *text);

#endif
