#include "commands.h"

#include "nearest.h"

#include <base/bytes.h>

#define COLUMNS     100u
#define FLAG_COLUMN 32u /* where a flag's or verb's text begins */

static const struct command_line lines[] = {
#define TABLE                      false
#define OWN                        true
#define C(name, kind, usage, help) {LINE_COMMAND, #name, usage, help, cmd_##name, kind},
#define P(text)                    {LINE_TEXT, NULL, NULL, text, NULL, false},
#define V(verb, usage, help)       {LINE_VERB, verb, usage, help, NULL, false},
#define F(flag, argument, help)    {LINE_FLAG, flag, argument, help, NULL, false},
#include "commands.def"
#undef C
#undef P
#undef V
#undef F
};

const struct command_line *command_lines(size_t *ret_n)
{
    *ret_n = ARRAY_LEN(lines);
    return lines;
}

const struct command_line *command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (lines[i].kind == LINE_COMMAND && strcmp(lines[i].name, name) == 0) {
            return &lines[i];
        }
    }
    return NULL;
}

void command_nearest(const char *name)
{
    struct nearest near = nearest_to(name, strlen(name));

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (lines[i].kind == LINE_COMMAND) {
            nearest_try(&near, lines[i].name);
        }
    }
    fprintf(stderr, "beacon-p2pd: unknown command %s; %s%s%s\n", name,
            near.found == NULL ? "see beacon-p2pd --help" : "did you mean ",
            near.found == NULL ? "" : near.found, near.found == NULL ? "" : "?");
}

/* What the row says about its argument; NULL, after a message: the command has no such flag. */
static const struct command_line *find_flag(const struct command_line *c, const char *name)
{
    struct nearest near = nearest_to(name, strlen(name));

    for (const struct command_line *l = command_next(c, LINE_FLAG); l != NULL;
         l = command_next(l, LINE_FLAG)) {
        if (strcmp(l->name, name) == 0) {
            return l;
        }
        nearest_try(&near, l->name);
    }
    fprintf(stderr, "beacon-p2pd %s: --%s is not known; ", c->name, name);
    if (near.found != NULL) {
        fprintf(stderr, "did you mean --%s?\n", near.found);
    } else {
        fprintf(stderr, "see beacon-p2pd %s --help\n", c->name);
    }
    return NULL;
}

bool command_knows(const struct command_line *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0 || argv[i][2] == '\0') {
            continue;
        }
        const struct command_line *flag = find_flag(c, argv[i] + 2);
        if (flag == NULL) {
            return false;
        }
        if (flag->usage != NULL && ++i == argc) {
            fprintf(stderr, "beacon-p2pd %s: --%s wants a value: %s\n", c->name, flag->name,
                    flag->usage);
            return false;
        }
    }
    return true;
}

const struct command_line *command_next(const struct command_line *at, enum command_line_kind kind)
{
    for (at++; at < lines + ARRAY_LEN(lines) && at->kind != LINE_COMMAND; at++) {
        if (at->kind == kind) {
            return at;
        }
    }
    return NULL;
}

void print_wrapped(FILE *to, unsigned at, unsigned indent, const char *text)
{
    bool first = true;

    for (size_t n; *text != '\0'; text += n + (text[n] == ' ' ? 1 : 0)) {
        n = strcspn(text, " ");
        if (!first && at + 1 + n > COLUMNS) {
            fprintf(to, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first) {
            fputc(' ', to);
            at++;
        }
        fprintf(to, "%.*s", (int)n, text);
        at += (unsigned)n;
        first = false;
    }
    fputc('\n', to);
}

static void print_row(FILE *to, const struct command_line *l)
{
    int n = fprintf(to, "  %s%s%s%s", l->kind == LINE_FLAG ? "--" : "", l->name,
                    l->usage == NULL || l->usage[0] == '\0' ? "" : " ",
                    l->usage == NULL ? "" : l->usage);

    if (l->help == NULL) {
        fputc('\n', to);
        return;
    }
    /* The text begins in its column, or two blanks behind a longer name. */
    unsigned at = n < 0 ? 0 : (unsigned)n;
    unsigned gap = at + 2 > FLAG_COLUMN ? 2 : FLAG_COLUMN - at;

    fprintf(to, "%*s", (int)gap, "");
    print_wrapped(to, at + gap, FLAG_COLUMN, l->help);
}

int command_usage(const char *name, FILE *to)
{
    const struct command_line *c = command_find(name), *l;

    fprintf(to, "Usage: beacon-p2pd %s%s%s\n\n%s%s\n", c->name, c->usage[0] == '\0' ? "" : " ",
            c->usage, c->help, c->help[strlen(c->help) - 1] == '?' ? "" : ".");
    for (l = c + 1; l < lines + ARRAY_LEN(lines) && l->kind != LINE_COMMAND; l++) {
        if (l->kind == LINE_TEXT) {
            fputc('\n', to);
            print_wrapped(to, 0, 0, l->help);
        } else if (l->kind == LINE_VERB || l->kind == LINE_FLAG) {
            if (l[-1].kind != l->kind) {
                fputs(l->kind == LINE_FLAG ? "\nOptions\n" : "\n", to);
            }
            print_row(to, l);
        }
    }
    return to == stderr ? 2 : 0;
}
