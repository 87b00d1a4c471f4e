/*
 * What a node is told beside its port: by programs on the control socket, by the API, by files read
 * at run time. Whoever records a node's port records these too; node_command() does them again.
 */
#ifndef NODE_WITNESS_H
#define NODE_WITNESS_H

#include <node/node.h>

/* In recordings: never renumber. */
enum node_command {
    COMMAND_OPEN = 1,   /* control_open() */
    COMMAND_CLOSE,      /* a: client */
    COMMAND_FEED,       /* a: client; bytes */
    COMMAND_SENT,       /* a: client, b: how many bytes */
    COMMAND_PUBLISH,    /* a: topic kind, b: subnet; bytes: SSZ */
    COMMAND_ORDER,      /* a: kind | by << 8, b: seconds; bytes: who, 0, reason */
    COMMAND_PEERS_FILE, /* bytes: its text */
    COMMAND_SUBMIT,     /* bytes: the topic's text, 0, SSZ */
    COMMAND_JOIN,       /* a: topic kind | subnet << 16, b: up to that slot */
};

struct node_witness {
    /* Before the node does it. */
    void (*command)(struct node_witness *self, enum node_command kind, uint64_t a, uint64_t b,
                    struct view bytes, struct now now);
};

/* False: there is no such command, or it is about something that is not there. */
bool node_command(struct node *n, uint8_t kind, uint64_t a, uint64_t b, struct view bytes,
                  struct now now);

#endif
