/*
 * SSZ types. A type is written down as an expression (struct ssz_expr) in which limits may be
 * preset constants and other containers are named; ssz_set_new() resolves the rows of one fork and
 * preset into sealed types, which are const from then on and shared.
 *
 * Spec     consensus-specs ssz/simple-serialize.md "Typing"
 * Memory   a set owns its types; they end with it
 */
#ifndef SSZ_TYPE_H
#define SSZ_TYPE_H

#include <base/bytes.h>
#include <base/err.h>

enum ssz_kind {
    SSZ_UINT,    /* n: bytes, 1 to 32 */
    SSZ_BYTE,    /* a uint8 that JSON prints as part of a hex string */
    SSZ_BOOLEAN, /* 00 or 01 */
    SSZ_BITVECTOR,
    SSZ_BITLIST,
    SSZ_PROGRESSIVE_BITLIST,
    SSZ_VECTOR,
    SSZ_LIST,
    SSZ_PROGRESSIVE_LIST,
    SSZ_CONTAINER,
    SSZ_PROGRESSIVE_CONTAINER,
    SSZ_UNION, /* compatible union: a selector byte, then the value */
    SSZ_REF,   /* in expressions only: the type of that name in the same set */
    SSZ_KIND_COUNT
};

/* A number in an expression may be an index into the constants that ssz_set_new() is given. */
#define SSZ_CONSTANT (UINT64_C(1) << 63)

struct ssz_expr {
    enum ssz_kind kind;
    uint64_t n;                   /* bytes of a uint; length or limit */
    const struct ssz_expr *inner; /* vectors and lists */
    const char *ref;              /* SSZ_REF */
};

struct ssz_member {
    const char *name; /* NULL ends the array */
    const struct ssz_expr *type;
    unsigned tag; /* SSZ_UNION: selector; else unused */
};

/* One row: a container, a union, or another name for a type (alias set, members NULL). */
struct ssz_def {
    const char *name;
    enum ssz_kind kind;
    const struct ssz_member *members;
    const struct ssz_expr *alias;
    const char *active; /* SSZ_PROGRESSIVE_CONTAINER: "1011", NULL: all */
};

/* Limits of ours on what a definition may have: they size fixed arrays. The largest container of
 * the specifications is gloas' BeaconState with 46 fields. */
#define SSZ_FIELDS_MAX 128u
#define SSZ_DEPTH_MAX  32u /* nesting of types; recursion over a type goes no deeper */

struct ssz_field {
    const char *name;
    size_t name_n;
    const struct ssz_type *type;
    size_t at;         /* where its value or its offset lies in the fixed part */
    unsigned variable; /* which variable-size field it is, counted from 0; fixed fields: unused */
    unsigned leaf;     /* position among the leaves: of active fields for progressive containers */
    unsigned tag;      /* unions: the selector */
};

struct ssz_type {
    enum ssz_kind kind;
    bool fixed;    /* serializes to `size` bytes always */
    bool trivial;  /* fixed, and any bytes are valid */
    bool packed;   /* vector or list of basic values: its bytes are its chunks */
    bool is_bytes; /* vector or list of SSZ_BYTE */
    const char *name;
    const struct ssz_type *inner;
    uint64_t n;      /* uint: bytes; vector: length; bitvector: bits; list, bitlist: limit */
    size_t size;     /* bytes; of the fixed part where the size varies */
    size_t min, max; /* of the serialization; max SIZE_MAX when it does not fit */
    unsigned depth;  /* of the Merkle tree below the length mix-in; 0 for progressive types */
    const struct ssz_field *fields;
    unsigned n_fields;
    unsigned n_variable;
    unsigned n_active; /* progressive containers: bits in `active` */
    uint8_t active[32];
};

static inline bool ssz_is_basic(const struct ssz_type *t)
{
    return t->kind == SSZ_UINT || t->kind == SSZ_BYTE || t->kind == SSZ_BOOLEAN;
}

struct ssz_set;

/*
 * Resolve `n` rows; `constants` are what SSZ_CONSTANT numbers index. Later rows of the same name
 * win. Wrong rows are our own mistake: E_SSZ_TYPE with the row's name in ret_bad (may be NULL).
 */
CHECKED enum err ssz_set_new(const struct ssz_def *const *defs, size_t n, const uint64_t *constants,
                             struct ssz_set **ret, const char **ret_bad);
void ssz_set_free(struct ssz_set *s);
/* NULL: no row of that name. */
const struct ssz_type *ssz_set_type(const struct ssz_set *s, const char *name);
/* A type of another set, which must outlive this one, under its own name. */
void ssz_set_borrow(struct ssz_set *s, const struct ssz_type *t);
/*
 * The type of a written expression: "List[uint16,128]", "ByteVector[48]", or a name of the set.
 * Not for shared sets: it adds to the set. E_SSZ_TYPE.
 */
CHECKED enum err ssz_set_parse(struct ssz_set *s, struct view text, const struct ssz_type **ret);
/*
 * Rows in text: one container in the notation of ssz_set_parse, "A:uint8 B:List[uint16,4]"; for
 * unions the names are selectors. Added to the set. E_SSZ_TYPE.
 */
CHECKED enum err ssz_set_define(struct ssz_set *s, const char *name, enum ssz_kind kind,
                                const char *active, struct view members);

#endif
