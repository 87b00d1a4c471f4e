/*
 * Req/resp methods of all forks: ids, types, bounds. Rows: eth/method.def.
 *
 * Spec     consensus-specs specs/phase0/p2p-interface.md "The Req/Resp domain"
 */
#ifndef ETH_METHOD_H
#define ETH_METHOD_H

#include <eth/network.h>
#include <eth/schema.h>

enum method {

#define METHOD(name, version, ...) METHOD_##name##_##version,
#include <eth/method.def>
#undef METHOD
    METHOD_COUNT
};

/* One method on one network, resolved once; const then. */
struct method_info {
    const struct network *network;
    enum method method;
    const char *name; /* "status" */
    unsigned version;
    const char *id; /* "/eth2/beacon_chain/req/status/1/ssz_snappy"; static */
    bool has_context, empty_request;
    enum fork since;
    const struct ssz_type *request_type; /* NULL: empty */
    size_t request_min, request_max;     /* SSZ bytes; the widest of all forks */
    const struct ssz_type *chunk_type;   /* without context bytes; NULL with */
    size_t chunk_min, chunk_max;         /* without context bytes */
    uint32_t chunks_max;                 /* the widest of all forks */
};

/* E_UNSUPPORTED: the schema has no type of this method. */
CHECKED enum err method_describe(const struct network *n, enum method m, struct method_info *ret);
/* "/eth2/beacon_chain/req/..." */
bool method_by_id(struct view id, enum method *ret);
bool method_by_name(struct view name, unsigned version, enum method *ret);
/* We speak it in this fork (asking; answering is allowed longer). */
bool method_in_fork(enum method m, enum fork f);
enum fork method_until(enum method m); /* the last fork that has it */
/* The first of all methods of m's name: METHOD_metadata_3 -> METHOD_metadata_1. */
enum method method_first(enum method m);
/* The newest version of `m`'s name that a fork has: METHOD_status_1 -> METHOD_status_2 in fulu. */
enum method method_newest(enum method m, enum fork f);

/* The type of a chunk; context NULL for methods without. NULL: unknown digest, or a fork in which
 * the method has no objects. */
const struct ssz_type *method_chunk_type(const struct method_info *mi, const uint8_t *context);
/* The slot that an object of this method names itself. The bytes have been checked by `t`. */
bool method_object_slot(enum method m, const struct ssz_type *t, struct view ssz, uint64_t *ret);
/* A chunk of an answer by its type, and its context bytes by the object's own slot: an ssz error,
 * or E_REQRESP_CONTEXT. */
CHECKED enum err method_check_chunk(const struct method_info *mi, const uint8_t context[static 4],
                                    struct view ssz);
/* Shaped as reqresp_bounds of proto/reqresp.h: self is a `const struct method_info *`. */
bool method_bounds(void *self, const uint8_t context[static 4], size_t *ret_min, size_t *ret_max);
/* Most chunks that a request may ask for or an answer may have, in this fork. */
uint32_t method_chunks_max(const struct method_info *mi, enum fork f);

#endif
