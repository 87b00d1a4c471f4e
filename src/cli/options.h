/* The options of one command line, by the rows of options.def. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
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
    bool set[OPTION_COUNT]; /* given on the command line */
    struct option_list values[OPTION_COUNT];
};

/* Parse argv[1..argc). False after one line on stderr that names the flag and the remedy. */
bool options_parse(struct options *o, int argc, char **argv);
void options_done(struct options *o);

bool option_bool(const struct options *o, enum option id);
const char *option_text(const struct options *o, enum option id); /* the default, or NULL */
uint64_t option_u64(const struct options *o, enum option id);
struct option_list option_list(const struct options *o, enum option id);
bool option_given(const struct options *o, enum option id);
const char *option_name(enum option id); /* without aliases and dashes; static */

void options_help(FILE *to);

#endif
