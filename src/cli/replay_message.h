/* A file of --save-invalid: what its message was rejected for, and what the checks say now. */
#ifndef CLI_REPLAY_MESSAGE_H
#define CLI_REPLAY_MESSAGE_H

/* `network` and `testnet_dir` may be NULL. The exit code: 0 when both are the same. */
int replay_message(const char *path, const char *network, const char *testnet_dir);

#endif
