/* The subcommands, as rows of commands.def. Each returns the exit code: 0 done, 1 failed, 2 wrong
 * usage. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define C(name, kind, usage, help) int cmd_##name(int argc, char **argv);
#define P(text)
#define V(verb, usage, help)
#define F(flag, argument, help)
#include "commands.def"
#undef C
#undef P
#undef V
#undef F

enum command_line_kind { LINE_COMMAND, LINE_TEXT, LINE_VERB, LINE_FLAG };

/* One row; of LINE_COMMAND `run` and `own` count too. */
struct command_line {
    enum command_line_kind kind;
    const char *name, *usage, *help; /* of LINE_TEXT: only help */
    int (*run)(int argc, char **argv);
    bool own; /* its flags are the rows that follow, not those of options.def */
};

/* All rows in order; the rows of a command follow it up to the next LINE_COMMAND. */
const struct command_line *command_lines(size_t *ret_n);
const struct command_line *command_find(const char *name); /* NULL: there is none */
void command_nearest(const char *name); /* says that it is none, and which is meant perhaps */
/* Each of the words behind the command that begins with dashes is a flag of it, with its value.
 * False after a message. */
bool command_knows(const struct command_line *c, int argc, char **argv);
/* From `at`, the command or its last row given: its next row of a kind; NULL: no more. */
const struct command_line *command_next(const struct command_line *at, enum command_line_kind kind);

/* "Usage: ...", all of the command's rows. Returns what the command then exits with: 0 on stdout,
 * 2 on stderr. */
int command_usage(const char *name, FILE *to);
/* `text` behind what stands on the line up to column `at`, broken into lines of 100 columns. */
void print_wrapped(FILE *to, unsigned at, unsigned indent, const char *text);

#endif
