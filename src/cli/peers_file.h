/* The file of --peers-file: read at the start and at each SIGHUP. */
#ifndef CLI_PEERS_FILE_H
#define CLI_PEERS_FILE_H

#include <node/node.h>

#define PEERS_FILE_FAULT_MAX 512u

/* False, with the file and the line in `fault`: nothing has changed. */
bool peers_file_follow(const char *path, struct node *n, struct now now,
                       char fault[static PEERS_FILE_FAULT_MAX]);

#endif
