/* The HTTP server and one request of it. Private to http.c and exchange.c. */
#ifndef API_SERVER_H
#define API_SERVER_H

#include "later.h"

struct client { /* a connection */
    struct client *prev, *next;
    struct MHD_Connection *connection;
    uint64_t due_ns; /* monotonic */
};

struct exchange {              /* a request, from its head to its answer's end */
    const struct route *route; /* NULL: refused, and the answer says why */
    char id[ROUTE_ID_MAX];
    struct request q;
    struct answer a;
    struct buf body;
    struct reads *reads;          /* NULL: none */
    size_t charged;               /* bytes of it, to api.bodies */
    struct exchange *prev, *next; /* of api.working: answered when a worker is done */
};

struct api {
    struct node *node;
    struct io *io;
    struct metrics *metrics;
    const char *version, *commit;
    struct log *log;
    struct log_ring *log_ring;
    uint64_t begun_ns;
    struct guard guard;
    struct MHD_Daemon *daemon;
    struct io_watch *watch, *tick;
    int timer;
    uint16_t port;
    struct client *clients;
    size_t bodies;            /* bytes of bodies under way */
    struct exchange *working; /* suspended */
    unsigned on_threads;      /* of them; the others wait for a thread */
    struct duty_memory duties;
    struct events *events;
    struct stream *streams;
    struct live *lives;
    unsigned seconds; /* since streams were kept alive */
    uint64_t second_ns;
    bool soon; /* the timer is set to go off at once */
    bool stopping;
};

/* http.c: so much time from now on; NEVER: no limit. */
void api_give_time(const struct api *a, struct MHD_Connection *c, uint64_t ns);

/* exchange.c: what libmicrohttpd calls for each request; the server is stopping */
enum MHD_Result exchange_on_request(void *self, struct MHD_Connection *c, const char *url,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_size, void **state);
void exchange_on_end(void *self, struct MHD_Connection *c, void **state,
                     enum MHD_RequestTerminationCode code);
void exchange_give_up(struct api *a);

#define REQUEST_TIME_NS SECONDS(30)

#endif
