/* The subcommands. Each returns the exit code: 0 done, 1 failed, 2 wrong usage. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

int cmd_run(int argc, char **argv);
int cmd_bootnode(int argc, char **argv);
int cmd_connect(int argc, char **argv);
int cmd_crawl(int argc, char **argv);
int cmd_devnet(int argc, char **argv);
int cmd_enr(int argc, char **argv);
int cmd_metadata(int argc, char **argv);
int cmd_ping(int argc, char **argv);
int cmd_request(int argc, char **argv);
int cmd_sim(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_ssz(int argc, char **argv);

#endif
