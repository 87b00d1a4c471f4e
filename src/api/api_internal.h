/* One request of the API and its answer. Private to src/api. */
#ifndef API_INTERNAL_H
#define API_INTERNAL_H

#include <api/http.h>
#include <eth/fork.h>
#include <store/store.h>

#include <jansson.h>
#include <microhttpd.h>

/* ---- requests and answers ---- */

enum form { /* of a body; a bit each */
            FORM_NONE = 0,
            FORM_JSON = 1,
            FORM_SSZ = 2,
            FORM_OTHER = 4,
};

struct later;
struct reads;

struct request {
    struct api *api;
    struct node *node;
    struct MHD_Connection *connection;
    const char *id;   /* what stands for {id} in the route; "": none */
    bool wants_ssz;   /* what Accept chose */
    struct view body; /* of a POST */
    bool body_is_ssz;
    struct reads **reads; /* request_object()'s */
    struct now now;
};

struct answer { /* filled by a handler */
    unsigned status;
    const char *type; /* of the body; NULL: there is none */
    struct buf body;
    const char *version;         /* Eth-Consensus-Version; NULL: none */
    const char *allow;           /* with 405: the methods that the path takes */
    const char *origin;          /* of another site that may read it; NULL: none */
    struct MHD_Response *stream; /* sent instead of a body, for as long as it lasts */
    struct later *later;         /* the answer comes from its finish(): see later.h */
};

/* A handler fills the answer; it cannot fail: errors are answers. */
typedef void api_handler(const struct request *q, struct answer *a);

#define ROUTE(method, path, gives, takes, handler) api_handler handler;
#define ABSENT(method, path, why)
#include "routes.def"
#undef ROUTE
#undef ABSENT

#define JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(12))

/* answer.c */
/* {"data": ...} with further members of `root`; takes the reference. */
void answer_json(struct answer *a, json_t *root);
void answer_error(struct answer *a, unsigned status, const char *message);
void answer_errorf(struct answer *a, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
json_t *json_u64(uint64_t x);         /* decimal string */
json_t *json_plain(const char *text); /* other than ASCII as question marks */
json_t *json_hex(struct view v);      /* "0x..." */
const char *request_query(const struct request *q, const char *name); /* NULL: absent */
const char *request_header(const struct request *q, const char *name);
/* A decimal number of the query. True with ret as it was: absent. False after a 400. */
bool request_u64(const struct request *q, struct answer *a, const char *name, uint64_t *ret);
/* Each value of a query that takes several, by commas or repetition; stops when `each` says false,
 * and is false then. */
typedef bool query_each(void *self, struct view value);
bool request_each(const struct request *q, const char *name, query_each *each, void *self);
bool u64_parse(struct view text, uint64_t *ret); /* decimal digits, nothing else */

/* reads.c: an object's SSZ, a new reference. NULL: it cannot be read; or a worker reads it first,
 * and request_waits(): this answer is thrown away, the handler is called again when all that it
 * asked for is here. */
struct blob *request_object(const struct request *q, enum store_kind kind,
                            const uint8_t root[static 32], uint64_t index);
bool request_waits(const struct request *q);

/* peers.c */
json_t *peer_json(const struct node_peer *p, struct now now);
json_t *json_rating(const struct rating *r, struct now now);
json_t *json_address(enum transport_kind kind, const struct addr *at); /* "": family 0 */

struct metrics *api_metrics_of(const struct api *a);
const char *api_version_of(const struct api *a);
struct log *api_log_of(const struct api *a);
const struct log_ring *api_ring_of(const struct api *a);
struct io *api_io_of(const struct api *a);
uint64_t api_begun_of(const struct api *a); /* monotonic, ns */
const char *api_commit_of(const struct api *a);

struct events;
struct stream;

struct events *api_events_of(const struct api *a); /* NULL: none */
struct stream **api_streams(struct api *a);        /* the first one */
void api_run_soon(struct api *a);                  /* in this turn of the loop */
void api_cut(struct MHD_Connection *c);            /* its socket, at once */

/* ---- duties.c: how many committees an epoch has, as validators said ---- */

#define DUTY_EPOCHS 4u /* the last, the current and the next one, and one to spare */

struct duty_memory {
    uint64_t epoch[DUTY_EPOCHS], committees[DUTY_EPOCHS];
};

struct duty_memory *api_duties(struct api *a);
void duties_note(struct duty_memory *m, uint64_t epoch, uint64_t committees);
uint64_t duties_committees(const struct duty_memory *m, uint64_t epoch); /* 0: not told */

struct live;
struct live **api_lives(struct api *a); /* the first one */

/* live.c */
void lives_tick(struct api *a, struct node *n, struct now now); /* once a second */
void lives_end(struct api *a);

/* stream.c */
void streams_keep_alive(struct api *a);
void streams_end(struct api *a);

/* ---- route.c: which handler, in which form ---- */

#define ROUTE_ID_MAX 160u

struct route {
    const char *method, *path;
    uint8_t gives, takes; /* forms */
    api_handler *handle;  /* NULL: absent */
    const char *why;      /* it is absent */
};

/* NULL after an error answer: 404, 405, 501. `id` gets the {id} of the path. */
const struct route *route_find(const char *method, const char *path, char id[static ROUTE_ID_MAX],
                               struct answer *a);
/* What Accept and Content-Type say; false after 406 or 415. */
bool route_negotiate(const struct route *r, struct request *io, struct answer *a);

/* ---- guard.c: whose pages may call ---- */

#define ORIGINS_MAX     8u
#define ORIGIN_TEXT_MAX 256u

struct guard {
    char origins[ORIGINS_MAX][ORIGIN_TEXT_MAX]; /* "https://example.org"; "*": all */
    size_t n;
    bool any, loopback; /* listening on this machine only */
};

/* "ORIGIN,ORIGIN" or "*"; NULL: none. False: too many, or not an origin. */
bool guard_init(struct guard *g, const char *origins, bool loopback);
/* NULL: it may; *ret_origin is what the answer must name, or NULL. Else why not. */
const char *guard_check(const struct guard *g, struct MHD_Connection *c, const char **ret_origin);

#endif
