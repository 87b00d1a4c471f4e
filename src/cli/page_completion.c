/* beacon-p2pd completion SHELL: completions from the tables of commands and options. */
#include "commands.h"
#include "options.h"

#include <base/bytes.h>

/* What a flag's argument is, as far as a shell can help. */
enum hint { HINT_NONE, HINT_WORD, HINT_FILE, HINT_DIR };

static enum hint hint_of(const char *argument)
{
    return argument == NULL                    ? HINT_NONE
           : strncmp(argument, "FILE", 4) == 0 ? HINT_FILE
           : strcmp(argument, "PATH") == 0     ? HINT_FILE
           : strcmp(argument, "SCENARIO") == 0 ? HINT_FILE
           : strcmp(argument, "DIR") == 0      ? HINT_DIR
                                               : HINT_WORD;
}

/* One flag of a command; of a TABLE command's with c NULL. */
struct flag {
    const char *name, *argument, *help;
};

/* All flags of `c`, whose own they are or of the options table: start with *at = 0. */
static bool next_flag(const struct command_line *c, size_t *at, struct flag *ret)
{
    struct option_row r;

    if (!c->own) {
        while (option_row_at((*at)++, &r)) {
            if (r.title == NULL) {
                *ret = (struct flag){option_name(r.id), r.argument, r.help};
                return true;
            }
        }
        return false;
    }
    const struct command_line *l = c;
    for (size_t i = 0; i <= *at && l != NULL; i++) {
        l = command_next(l, LINE_FLAG);
    }
    if (l != NULL) {
        *ret = (struct flag){l->name, l->usage, l->help};
    }
    (*at)++;
    return l != NULL;
}

static const struct command_line *next_command(size_t *at)
{
    size_t n;
    const struct command_line *l = command_lines(&n);

    while (*at < n && l[*at].kind != LINE_COMMAND) {
        (*at)++;
    }
    return *at < n ? &l[(*at)++] : NULL;
}

/* A verb's name is one; an example of a request is none. */
static const struct command_line *next_verb(const struct command_line *at)
{
    at = command_next(at, LINE_VERB);
    return at != NULL && at->help != NULL ? at : NULL;
}

/* For shells' quotes: what could end them, or means something to the shell's own tables, is left
 * out. */
static void put_clean(const char *text, const char *without)
{
    for (; *text != '\0'; text++) {
        if (strchr(without, *text) == NULL) {
            fputc(*text, stdout);
        }
    }
}

/* ---- bash ---- */

static void bash_words(const struct command_line *c)
{
    struct flag f;

    fputs("words='", stdout);
    for (const struct command_line *v = next_verb(c); v != NULL; v = next_verb(v)) {
        printf("%s ", v->name);
    }
    for (size_t at = 0; next_flag(c, &at, &f);) {
        printf("--%s ", f.name);
    }
    fputs("--help'", stdout);
}

static void bash_hints(enum hint hint, const char *action)
{
    const struct command_line *c;
    const char *before = "";

    fputs("    ", stdout);
    for (size_t at = 0; (c = next_command(&at)) != NULL;) {
        struct flag f;

        for (size_t k = 0; next_flag(c, &k, &f);) {
            if (hint_of(f.argument) == hint) {
                printf("%s%s/--%s", before, c->name, f.name);
                before = "|";
            }
        }
    }
    printf(") %s ;;\n", action);
}

static void bash(void)
{
    const struct command_line *c;

    puts("# bash completion of beacon-p2pd, made by beacon-p2pd completion bash\n"
         "_beacon_p2pd() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words "
         "command=run\n"
         "    local commands=''");
    fputs("    commands='", stdout);
    for (size_t at = 0; (c = next_command(&at)) != NULL;) {
        printf("%s ", c->name);
    }
    puts("'\n"
         "    COMPREPLY=()\n"
         "    case \" $commands\" in *\" ${COMP_WORDS[1]} \"*) command=${COMP_WORDS[1]} ;; esac\n"
         "    case $command/$prev in");
    bash_hints(HINT_FILE, "mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return");
    bash_hints(HINT_DIR, "mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); return");
    bash_hints(HINT_WORD, "return");
    puts("    esac\n"
         "    case $command in");
    for (size_t at = 0; (c = next_command(&at)) != NULL;) {
        printf("    %s) ", c->name);
        bash_words(c);
        puts(" ;;");
    }
    puts("    esac\n"
         "    [ \"$COMP_CWORD\" -gt 1 ] || words=\"$commands $words\"\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
         "    [ \"${#COMPREPLY[@]}\" -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
         "}\n"
         "complete -o filenames -F _beacon_p2pd beacon-p2pd");
}

/* ---- zsh ---- */

#define ZSH_WITHOUT "'\\[]:"

static void zsh_flags(const struct command_line *c)
{
    struct flag f;

    for (size_t at = 0; next_flag(c, &at, &f);) {
        enum hint hint = hint_of(f.argument);

        printf("            '%s--%s[", hint == HINT_NONE ? "" : "*", f.name);
        put_clean(f.help, ZSH_WITHOUT);
        fputs("]", stdout);
        if (hint != HINT_NONE) {
            fputs(":", stdout);
            put_clean(f.argument, ZSH_WITHOUT);
            fputs(hint == HINT_FILE ? ":_files" : hint == HINT_DIR ? ":_files -/" : ": ", stdout);
        }
        puts("' \\");
    }
}

static void zsh(void)
{
    const struct command_line *c;

    puts("#compdef beacon-p2pd\n"
         "# zsh completion of beacon-p2pd, made by beacon-p2pd completion zsh\n"
         "_beacon_p2pd() {\n"
         "    local -a commands=(");
    for (size_t at = 0; (c = next_command(&at)) != NULL;) {
        printf("        '%s:", c->name);
        put_clean(c->help, ZSH_WITHOUT);
        puts("'");
    }
    puts("    )\n"
         "    local command=run\n"
         "    if (( CURRENT == 2 )) && [[ ${words[2]} != -* ]]; then\n"
         "        _describe command commands\n"
         "        return\n"
         "    fi\n"
         "    (( ${commands[(I)${words[2]}:*]} )) && command=${words[2]}\n"
         "    case $command in");
    for (size_t at = 0; (c = next_command(&at)) != NULL;) {
        printf("    %s)\n        _arguments \\\n", c->name);
        zsh_flags(c);
        fputs("            '--help[usage]' '1: :' '*: :_files' ;;\n", stdout);
    }
    puts("    esac\n"
         "}\n"
         "_beacon_p2pd \"$@\"");
}

/* ---- fish ---- */

static void fish_flags(const struct command_line *c)
{
    struct flag f;

    for (size_t at = 0; next_flag(c, &at, &f);) {
        enum hint hint = hint_of(f.argument);

        /* Without a command it is `run`. */
        printf("complete -c beacon-p2pd -n '__beacon_p2pd_is %s' -l %s%s -d '", c->name, f.name,
               hint == HINT_NONE   ? ""
               : hint == HINT_FILE ? " -r -F"
               : hint == HINT_DIR  ? " -x -a '(__fish_complete_directories)'"
                                   : " -x");
        put_clean(f.help, "'\\");
        puts("'");
    }
}

static void fish(void)
{
    const struct command_line *c;

    puts("# fish completion of beacon-p2pd, made by beacon-p2pd completion fish");
    fputs("set -g __beacon_p2pd_commands", stdout);
    for (size_t at = 0; (c = next_command(&at)) != NULL;) {
        printf(" %s", c->name);
    }
    puts("\n"
         "function __beacon_p2pd_is\n"
         "    set -l words (commandline -opc)\n"
         "    set -l command run\n"
         "    if set -q words[2]; and contains -- $words[2] $__beacon_p2pd_commands\n"
         "        set command $words[2]\n"
         "    end\n"
         "    test $command = $argv[1]\n"
         "end");
    for (size_t at = 0; (c = next_command(&at)) != NULL;) {
        printf("complete -c beacon-p2pd -n 'test (count (commandline -opc)) -eq 1' -f -a %s -d '",
               c->name);
        put_clean(c->help, "'\\");
        puts("'");
        for (const struct command_line *v = next_verb(c); v != NULL; v = next_verb(v)) {
            printf("complete -c beacon-p2pd -n '__beacon_p2pd_is %s' -f -a %s -d '", c->name,
                   v->name);
            put_clean(v->help, "'\\");
            puts("'");
        }
        fish_flags(c);
    }
}

int cmd_completion(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

    for (size_t i = 0; argc == 2 && i < ARRAY_LEN(shells); i++) {
        if (strcmp(argv[1], shells[i].name) == 0) {
            shells[i].print();
            return ferror(stdout) || fflush(stdout) != 0 ? 1 : 0;
        }
    }
    return command_usage("completion", stderr);
}
