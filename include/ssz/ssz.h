/*
 * SSZ and merkleization, driven by type descriptors. Values stay serialized: checked once, then
 * read by path, hashed, proved and printed in place.
 *
 * Spec     consensus-specs ssz/simple-serialize.md, ssz/merkle-proofs.md
 * All functions but ssz_check() take bytes that ssz_check() has accepted for the same type.
 */
#ifndef SSZ_SSZ_H
#define SSZ_SSZ_H

#include <base/buf.h>
#include <base/bytes.h>
#include <base/err.h>
#include <base/rng.h>

struct json_t;
struct ssz_type; /* sealed: const, shared; see ssz/type.h for how one is made */

struct ssz_fault {
    enum err code;
    size_t offset;     /* byte at which the value is wrong */
    const char *field; /* innermost field's name or NULL */
    uint64_t got, allowed;
};

/* Validate without allocation. fault may be NULL; written on failure. */
CHECKED enum err ssz_check(const struct ssz_type *t, struct view v, struct ssz_fault *fault);

struct ssz_value {
    const struct ssz_type *type;
    struct view bytes;
};

/* "message.body.attestations[3].data.slot"; O(1) a level. "" is the value itself. E_SSZ_PATH. */
CHECKED enum err ssz_get(const struct ssz_type *t, struct view v, const char *path,
                         struct ssz_value *ret);
/* The same for a uint64 (or shorter) or a boolean; asserts that the path exists in the type. */
uint64_t ssz_u64(const struct ssz_type *t, struct view v, const char *path);
/* Bytes of a field; asserts that the path exists. */
struct view ssz_bytes(const struct ssz_type *t, struct view v, const char *path);
uint64_t ssz_count(const struct ssz_value *v); /* elements or bits */
CHECKED enum err ssz_element(const struct ssz_value *v, uint64_t i, struct ssz_value *ret);
bool ssz_bit(const struct ssz_value *v, uint64_t i);

void ssz_root(const struct ssz_type *t, struct view v, uint8_t ret[static 32]);

/*
 * Threads that the caller has. run() calls job(arg, i) for each i below n, in any order and on any
 * threads, and returns when all have returned. Jobs share nothing that is written.
 */
struct ssz_workers {
    void (*run)(struct ssz_workers *self, void (*job)(void *arg, size_t i), void *arg, size_t n);
};

/* The same root; the subtrees of lists and vectors over 256 KiB are shared among the workers. */
void ssz_root_parallel(const struct ssz_type *t, struct view v, struct ssz_workers *workers,
                       uint8_t ret[static 32]);
size_t ssz_size_min(const struct ssz_type *t);
size_t ssz_size_max(const struct ssz_type *t); /* SIZE_MAX when it does not fit */
const char *ssz_type_name(const struct ssz_type *t);
bool ssz_has_field(const struct ssz_type *t, const char *path);

/*
 * JSON in the Beacon API's form, appended to `out`: numbers are decimal strings, bytes and bits hex
 * of their serialization. Reading is strict: no field missing, unknown or twice; `fault` says where
 * and what is wrong and `out` is as before.
 */
CHECKED enum err ssz_to_json(const struct ssz_type *t, struct view v, struct buf *out);
CHECKED enum err ssz_from_json(const struct ssz_type *t, struct view json, struct buf *out,
                               char fault[static 128]);
/* The same of a value that jansson has parsed. */
CHECKED enum err ssz_from_json_value(const struct ssz_type *t, const struct json_t *json,
                                     struct buf *out, char fault[static 128]);
/* A random value for tests, appended: lists are short. E_FULL when `out` is. */
CHECKED enum err ssz_random(const struct ssz_type *t, struct rng *rng, struct buf *out);

/*
 * Generalized indices and proofs. Spec: ssz/merkle-proofs.md
 *
 * A path may end in "__len__" (lists), "__active_fields__" (progressive containers) or
 * "__selector__" (unions). E_SSZ_PATH; E_RANGE: the index has more than 64 bits.
 */
#define SSZ_BRANCH_MAX 63u /* siblings of a node whose index fits 64 bits */

CHECKED enum err ssz_gindex(const struct ssz_type *t, const char *path, uint64_t *ret);
/* The node at `gindex` and its siblings from the leaf up; ret_branch holds SSZ_BRANCH_MAX. */
CHECKED enum err ssz_prove(const struct ssz_type *t, struct view v, uint64_t gindex,
                           uint8_t ret_leaf[static 32], uint8_t (*ret_branch)[32], size_t *ret_n);
/* E_SSZ_PROOF: it does not verify, or has another length than the index asks for. */
CHECKED enum err ssz_verify_proof(const uint8_t leaf[static 32], const uint8_t (*branch)[32],
                                  size_t n, uint64_t gindex, const uint8_t root[static 32]);

/*
 * Building: start from the type's default value, then set fields by path, in any order; lists are
 * appended to; a union is set whole. What is set whole replaces what was there, and cannot be set
 * in parts afterwards. The path "" is the value itself. All input is checked: the errors are those
 * of ssz_check(), E_SSZ_PATH, E_SSZ_TYPE and E_RANGE. ssz_build_end() appends the bytes to `out`.
 */
struct ssz_builder;

struct ssz_builder *ssz_build(const struct ssz_type *t);
void ssz_build_free(struct ssz_builder *b);
CHECKED enum err ssz_set(struct ssz_builder *b, const char *path, struct view bytes);
CHECKED enum err ssz_set_u64(struct ssz_builder *b, const char *path, uint64_t x);
CHECKED enum err ssz_append(struct ssz_builder *b, const char *list_path, struct view element);
CHECKED enum err ssz_build_end(struct ssz_builder *b, struct buf *out);

#endif
