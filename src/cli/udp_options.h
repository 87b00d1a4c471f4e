/* The options that `bootnode` and `crawl` share. */
#ifndef CLI_UDP_OPTIONS_H
#define CLI_UDP_OPTIONS_H

#include "udp_node.h"

#define UDP_BOOTS_MAX 64u

struct udp_options {
    struct udp_node_config node;
    struct enr boots[UDP_BOOTS_MAX];
    size_t boots_n;
};

void udp_options_init(struct udp_options *o, const char *command);
/* Take option argv[*i], and its value, when it is one of these: *i moves to its last word. 0:
 * taken; 1: not one of these; 2: wrong, a line on stderr says why. */
int udp_options_take(struct udp_options *o, int argc, char **argv, int *i);
/* After the last: a default to listen on. */
void udp_options_done(struct udp_options *o, uint16_t port);

#endif
