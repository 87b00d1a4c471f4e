/*
 * The HTTP API on the loop: the Beacon API as far as a node without states has it, events, and
 * /metrics.
 *
 * Spec     ethereum/beacon-APIs beacon-node-oapi.yaml; see docs/api.md for what is there
 * Memory   at most API_CONNECTIONS_MAX connections, each with fixed buffers of libmicrohttpd
 */
#ifndef API_HTTP_H
#define API_HTTP_H

#include <base/log_ring.h>
#include <base/metric.h>
#include <io/io.h>
#include <node/node.h>

#define API_CONNECTIONS_MAX 128u
#define API_ERROR_MAX       160u

struct api;
struct events;

struct api_config {
    struct addr listen; /* port 0: any */
    struct metrics *metrics;
    struct events *events;    /* NULL: no streams of them; freed after the API */
    const char *version;      /* "beacon-p2pd/0.1.0" */
    const char *commit;       /* as git describes it */
    const char *allow_origin; /* pages that may call: "https://example.org,..." or "*"; or NULL */
    struct log *log;
    struct log_ring *log_ring; /* what `log` wrote last */
};

/* NULL: error names the address and the machine's words. Before io_free(), after node_new(). */
struct api *api_new(const struct api_config *cfg, struct node *node, struct io *io,
                    char error[static API_ERROR_MAX]);
void api_free(struct api *a); /* accepts NULL */
uint16_t api_port(const struct api *a);

#endif
