/* What the dashboard and `beacon-p2pd top` are fed with: JSON documents of a running node. Private
 * to src/api. Shapes: docs/api.md "Views". */
#ifndef API_VIEWS_H
#define API_VIEWS_H

#include "api_internal.h"

#include <node/view.h>

/* The client that an agent string names, of a fixed list; "other", "unknown" for an empty one. */
const char *client_of_agent(const char *agent);

typedef json_t *view_maker(const struct request *q);

enum view_kind { VIEW_OVERVIEW, VIEW_PEERS, VIEW_TOPICS, VIEW_COVERAGE, VIEW_BLOCKS, VIEWS };

extern const struct view_row {
    const char *name;
    view_maker *make; /* of q: api, node and now */
} view_rows[VIEWS];

/* The log's lines behind number `after`; *ret_last: the number of the last one, or `after`. */
json_t *log_json(const struct api *a, uint64_t after, uint64_t *ret_last);

/* Label of a gossip_cause in JSON and metrics. */
const char *cause_name(enum gossip_cause c);

#endif
