/* What the dashboard and `beacon-p2pd top` are fed with: JSON documents of a running node. Private
 * to src/api. Shapes: docs/api.md "Views". */
#ifndef API_VIEWS_H
#define API_VIEWS_H

#include "api_internal.h"

#include <node/view.h>

/* The client that an agent string names, of a fixed list; "other", "unknown" for an empty one. */
const char *client_of_agent(const char *agent);

typedef json_t *view_maker(const struct request *q);

view_maker view_overview, view_peers, view_topics, view_coverage, view_blocks;

/* Label of a gossip_cause in JSON and metrics. */
const char *cause_name(enum gossip_cause c);

#endif
