/*
 * The control socket: a unix socket of mode 0600 that carries the frames of node/control.h. Only
 * programs of our own user (or root) are let in. Nothing here waits: what a program does not take
 * stays in its queue, which is bounded.
 */
#ifndef API_CONTROL_H
#define API_CONTROL_H

#include <io/io.h>
#include <node/node.h>

#define CONTROL_PATH_MAX  108u /* sun_path's, its end included */
#define CONTROL_ERROR_MAX 256u

struct control_socket;

/* NULL: error names the path and what to do. A socket file that nobody listens on is replaced.
 * Before io_free(), after node_new(); freed before both. */
struct control_socket *control_socket_new(const char *path, struct node *node, struct io *io,
                                          struct log *log, char error[static CONTROL_ERROR_MAX]);
void control_socket_free(struct control_socket *s); /* removes the file; accepts NULL */

#endif
