/*
 * The responder of libp2p's perf protocol: the first 8 bytes say how many it is to send once the
 * remote has ended.
 */
#ifndef TESTS_NET_PERF_H
#define TESTS_NET_PERF_H

#include "script.h"

struct perf {
    struct host *host;
    struct stream_protocol protocol;
    struct blob *zeros;
};

void perf_register(struct perf *p, struct host *h);
void perf_free(struct perf *p);

#endif
