/* What a request reads of the store: brought and decompressed by a worker, so that the loop never
 * waits for the disk. */
#include "later.h"

#include <base/mem.h>
#include <eth/network.h>
#include <node/node.h>
#include <proto/reqresp.h>

struct object { /* that a handler asked for */
    enum store_kind kind;
    uint8_t root[32];
    uint64_t index;
    struct store_read *read; /* of a worker; NULL: it was in memory */
    struct blob *packed;
    struct blob *ssz; /* NULL after the worker: it cannot be read */
};

struct reads {
    struct later later; /* first */
    struct store *store;
    size_t max; /* bytes of an object */
    struct object *all;
    size_t n, cap;
    size_t n_here; /* those before it have been looked for */
};

static void run(struct later *self)
{
    struct reads *r = (struct reads *)self;

    for (size_t i = r->n_here; i < r->n; i++) {
        struct object *o = &r->all[i];

        if (o->read != NULL) {
            o->read->job.run(&o->read->job);
            o->packed = o->read->result == E_OK ? o->read->data : NULL;
        }
        if (o->packed != NULL && reqresp_open(blob_view(o->packed), r->max, &o->ssz) != E_OK) {
            o->ssz = NULL;
        }
    }
}

/* The worker has ended, or has not begun. */
void reads_settle(struct reads *r)
{
    for (; r->n_here < r->n; r->n_here++) {
        struct object *o = &r->all[r->n_here];

        if (o->read != NULL) {
            store_read_done(r->store, o->read);
            mem_free(o->read);
        }
        blob_unref(o->packed);
    }
}

bool reads_at_once(struct reads *r)
{
    size_t bytes = 0;

    for (size_t i = r->n_here; i < r->n; i++) {
        bytes += r->all[i].read != NULL ? LATER_BYTES : 0;
        bytes += r->all[i].packed != NULL ? r->all[i].packed->n : 0;
    }
    if (bytes >= LATER_BYTES) {
        return false;
    }
    run(&r->later);
    reads_settle(r);
    return true;
}

static void done(struct later *self)
{
    struct reads *r = (struct reads *)self;

    reads_settle(r);
    for (size_t i = 0; i < r->n; i++) {
        blob_unref(r->all[i].ssz);
    }
    mem_free(r->all);
    mem_free(r);
}

void reads_free(struct reads *r)
{
    if (r != NULL) {
        done(&r->later);
    }
}

static const struct object *find(const struct reads *r, enum store_kind kind,
                                 const uint8_t root[static 32], uint64_t index)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct object *o = &r->all[i];

        if (o->kind == kind && o->index == index && memcmp(o->root, root, 32) == 0) {
            return o;
        }
    }
    return NULL;
}

static void want(struct reads *r, enum store_kind kind, const uint8_t root[static 32],
                 uint64_t index)
{
    struct object *o;

    if (r->n == r->cap) {
        r->cap = r->cap == 0 ? 8 : 2 * r->cap;
        r->all = mem_realloc(r->all, r->cap * sizeof *r->all);
    }
    o = &r->all[r->n++];
    *o = (struct object){.kind = kind, .index = index};
    memcpy(o->root, root, 32);
    IGNORE(store_read_begin(r->store, kind, root, index, &o->packed, &o->read),
           "what cannot be read is not here");
}

struct blob *request_object(const struct request *q, enum store_kind kind,
                            const uint8_t root[static 32], uint64_t index)
{
    struct reads **all = q->reads, *r = *all;

    if (r == NULL) {
        r = *all = mem_zalloc(sizeof *r);
        r->later = (struct later){.run = run, .free = done};
        r->store = node_store(q->node);
        r->max = node_network(q->node)->config.MAX_PAYLOAD_SIZE;
    }
    const struct object *o = find(r, kind, root, index);
    if (o == NULL) {
        want(r, kind, root, index);
        return NULL;
    }
    return o->ssz == NULL ? NULL : blob_ref(o->ssz);
}

bool request_waits(const struct request *q)
{
    return *q->reads != NULL && (*q->reads)->n_here < (*q->reads)->n;
}

struct later *reads_later(struct reads *r)
{
    return &r->later;
}
