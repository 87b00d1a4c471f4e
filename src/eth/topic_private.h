/* Rows of topic.def, for topic.c and check/. */
#ifndef ETH_TOPIC_PRIVATE_H
#define ETH_TOPIC_PRIVATE_H

#include <eth/topic.h>

struct topic_row {
    enum topic_kind kind;
    const char *name;
    enum fork since, until;
    const char *type;
    size_t count_at; /* of the subnet count in struct network_config; SIZE_MAX: a single topic */
    size_t cap;
    enum topic_class klass;
    double weight, first_cap;
    const char *seen; /* NULL: the check's own */
};

extern const struct topic_row topic_rows[];
extern const size_t topic_rows_count;

#endif
