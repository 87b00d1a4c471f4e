/* Work of a request that may hold the loop: done on a thread of the pool. Private to src/api. */
#ifndef API_LATER_H
#define API_LATER_H

#include "api_internal.h"

/* Below so many bytes of SSZ or JSON it is done at once: a millisecond. */
#define LATER_BYTES (64 * KIB)

struct later {                       /* first in what it is about */
    void (*run)(struct later *self); /* on any thread; touches only self */
    void (*finish)(struct later *self, const struct request *q,
                   struct answer *a); /* on the loop's; NULL: the handler is called again */
    void (*free)(struct later *self); /* on the loop's; `finish` may not have been called */
    /* http.c's */
    struct exchange *exchange; /* NULL: given up */
    bool started;
};

/* Takes `l`. `cost`: bytes that are worked on. */
void request_later(const struct request *q, struct answer *a, struct later *l, size_t cost);

/* reads.c: for exchange.c */
struct later *reads_later(struct reads *r); /* for all that is not here yet */
bool reads_at_once(struct reads *r);        /* little, and in memory: it has been done */
void reads_settle(struct reads *r);         /* it is here */
void reads_free(struct reads *r);           /* accepts NULL */

#endif
