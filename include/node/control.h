/*
 * Programs beside the node: what the frames of proto/control.h do. Bytes in, bytes out; whoever has
 * the socket carries them. See docs/control.md.
 *
 * Memory   CONTROL_CLIENTS_MAX programs, each with one gathered frame and CONTROL_QUEUE_MAX unsent
 * Blocks   never: what does not fit a program's queue is dropped and counted, and told by LOST
 */
#ifndef NODE_CONTROL_H
#define NODE_CONTROL_H

#include <base/buf.h>
#include <node/node.h>
#include <proto/control.h>

#define CONTROL_CLIENTS_MAX 8u
/* Unsent messages of one program: the largest gossip message fits, and a second of mainnet's. */
#define CONTROL_QUEUE_MAX (16 * MIB)
#define CONTROL_NONE      UINT32_MAX

/* Told at the end of a turn in which a program's output grew, or it is over. */
struct control_sink {
    void (*output)(struct control_sink *self, uint32_t client);
};

void control_set_sink(struct node *n, struct control_sink *sink); /* NULL: none any more */
/* A program has connected. CONTROL_NONE: CONTROL_CLIENTS_MAX are there. */
uint32_t control_open(struct node *n);
/* It is gone: what waits for its verdict falls back, what it joined is left. */
void control_close(struct node *n, uint32_t client, struct now now);
/* Its bytes, in any cut. */
void control_feed(struct node *n, uint32_t client, struct view bytes, struct now now);
/* What it is to get; take it with control_sent(). Good until the next call. */
struct view control_output(const struct node *n, uint32_t client);
void control_sent(struct node *n, uint32_t client, size_t bytes);
/* How many whole frames it has sent; *ret_owes: and its HELLO, or the rest of a frame, is wanting.
 */
uint64_t control_frames(const struct node *n, uint32_t client, bool *ret_owes);
/* BYE was said: write what the socket takes of its output, and close. */
bool control_over(const struct node *n, uint32_t client);

#endif
