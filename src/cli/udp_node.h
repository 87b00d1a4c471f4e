/* A discv5 engine on UDP sockets and nothing else: what `bootnode` and `crawl` are made of. */
#ifndef CLI_UDP_NODE_H
#define CLI_UDP_NODE_H

#include <io/io.h>
#include <proto/discv5.h>

struct udp_node;

struct udp_node_config {
    const char *name;       /* of the command, for messages */
    struct addr udp4, udp6; /* listen; family 0: not there */
    struct addr own4, own6; /* advertise; family 0: not known; port 0: the one listened on */
    const char *key_file;   /* NULL: a new key that is not kept */
    struct discv5_config engine;
    /* Each event of the engine; after all of them and after each tick, turn(). Either may be NULL.
     * turn() gives the time at which it wants to be called next. */
    void (*event)(void *self, const struct discv5_event *ev, struct now now);
    uint64_t (*turn)(void *self, struct now now);
    /* What the port tells beside datagrams, ticks included: for those who also dial. May be NULL.
     */
    void (*other)(void *self, const struct port_event *ev, struct now now);
};

/* NULL after a line on stderr that says what is wrong. */
struct udp_node *udp_node_new(const struct udp_node_config *cfg);
void udp_node_free(struct udp_node *n);                 /* accepts NULL */
void udp_node_set_self(struct udp_node *n, void *self); /* of event() and turn(); before the run */
struct port *udp_node_port(const struct udp_node *n);
const struct ident *udp_node_ident(const struct udp_node *n);
struct discv5 *udp_node_engine(const struct udp_node *n);
struct now udp_node_now(const struct udp_node *n);
/* Sign the record again, with this address of ours. */
void udp_node_set_address(struct udp_node *n, const struct addr *a);
/* Until udp_node_stop() or a signal; false: ended by a second signal. */
bool udp_node_run(struct udp_node *n);
void udp_node_stop(struct udp_node *n);

#endif
