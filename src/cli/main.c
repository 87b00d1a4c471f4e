#include "commands.h"
#include "options.h"

#include <base/mem.h>
#include <crypto/random.h>
#include <eth/schema.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#ifndef P2PD_VERSION
#define P2PD_VERSION "0"
#endif

static const struct command {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", "join a network (the default)", cmd_run},
    {"devnet", "a local network of child processes on 127.0.0.1", cmd_devnet},
    {"bootnode", "answer discovery, for others to begin at", cmd_bootnode},
    {"connect", "meet one peer: each step with its time, what it says", cmd_connect},
    {"ping", "round trips to one peer through the whole stack", cmd_ping},
    {"status", "what one peer says of its chain", cmd_status},
    {"metadata", "what one peer says of its subnets and custody", cmd_metadata},
    {"request", "ask one peer by any req/resp protocol, print or save the answer", cmd_request},
    {"crawl", "find every node of a network", cmd_crawl},
    {"enr", "view, make, sign and verify node records", cmd_enr},
    {"sim", "whole nodes on virtual time", cmd_sim},
    {"ssz", "roots, JSON and checks of SSZ files", cmd_ssz},
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

static int help(void)
{
    printf("beacon-p2pd: a peer-to-peer daemon of Ethereum's consensus layer\n\n"
           "Usage: beacon-p2pd [COMMAND] [OPTIONS]\n\nCommands\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        printf("  %-30s %s\n", commands[i].name, commands[i].help);
    }
    options_help(stdout);
    return 0;
}

static bool has_own_help(const char *command)
{
    static const char *const names[] = {"bootnode", "connect", "crawl", "enr",   "metadata",
                                        "ping",     "request", "ssz",   "status"};
    bool found = false;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        found = found || strcmp(command, names[i]) == 0;
    }
    return found;
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
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 && (i == 1 || !has_own_help(argv[1]))) {
            return help();
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("beacon-p2pd %s\n", P2PD_VERSION);
            return 0;
        }
    }
    for (size_t i = 0; argc > 1 && i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    if (argc > 1 && argv[1][0] != '-') {
        fprintf(stderr, "beacon-p2pd: unknown command %s; see beacon-p2pd --help\n", argv[1]);
        return 2;
    }
    return cmd_run(argc, argv);
}
