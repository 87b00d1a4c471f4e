#include "commands.h"
#include "options.h"
#include "settings.h"
#include "version.h"

#include <base/mem.h>
#include <crypto/random.h>
#include <eth/schema.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* `c`: a command without flags of its own; NULL: none was given. */
static int help(const struct command_line *c)
{
    size_t n;
    const struct command_line *l = command_lines(&n);

    if (c != NULL) {
        command_usage(c->name, stdout);
        options_help(stdout);
        return 0;
    }
    printf("beacon-p2pd: a peer-to-peer daemon of Ethereum's consensus layer\n\n"
           "Usage: beacon-p2pd [COMMAND] [OPTIONS]\n\nCommands\n");
    for (size_t i = 0; i < n; i++) {
        if (l[i].kind == LINE_COMMAND) {
            printf("  %-30s%s\n", l[i].name, l[i].help);
        }
    }
    options_help(stdout);
    return 0;
}

static int version(void)
{
    printf("beacon-p2pd %s\ncommit %s\nbuilt with %s\n", version_number(), version_commit(),
           version_libraries());
    return 0;
}

/* A command with flags of its own: the environment and the file of --config have them too. */
static int run_own(const struct command_line *c, int argc, char **argv)
{
    struct settings s = {0};
    char **words = settings_arguments(&s, c->name, &argc, argv);
    int code = words == NULL || !command_knows(c, argc, words) ? 2 : c->run(argc, words);

    mem_free(words);
    settings_done(&s);
    return code;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    mem_start();
    if (crypto_start() != E_OK) {
        fprintf(stderr, "beacon-p2pd: the machine gives no randomness\n");
        return 1;
    }
    schema_start();
    const struct command_line *c = argc > 1 ? command_find(argv[1]) : NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return c != NULL && c->own ? command_usage(c->name, stdout) : help(c);
        }
        if (strcmp(argv[i], "--version") == 0) {
            return version();
        }
    }
    if (c != NULL) {
        return c->own ? run_own(c, argc - 1, argv + 1) : c->run(argc - 1, argv + 1);
    }
    if (argc > 1 && argv[1][0] != '-') {
        command_nearest(argv[1]);
        return 2;
    }
    return cmd_run(argc, argv);
}
