/*
 * One object, checked and hashed by this project: bench KIND FILE MILLISECONDS.
 *
 * Prints the root, then nanoseconds: CHECK+ROOT ROOT CHECK, the hash function's time for one node
 * of a Merkle tree measured in the same run, and how many nodes the root took. Linked with
 * --wrap=sha256_pairs, which is how nodes are counted.
 */
#include <crypto/sha256.h>
#include <eth/schema.h>
#include <ssz/type.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static size_t n_nodes;

void __real_sha256_pairs(uint8_t *out, const uint8_t *in, size_t n);
void __wrap_sha256_pairs(uint8_t *out, const uint8_t *in, size_t n);

void __wrap_sha256_pairs(uint8_t *out, const uint8_t *in, size_t n)
{
    n_nodes += n;
    __real_sha256_pairs(out, in, n);
}

struct work {
    const struct ssz_type *type;
    struct view bytes;
    uint8_t root[32];
};

static void check(struct work *w)
{
    if (ssz_check(w->type, w->bytes, NULL) != E_OK) {
        abort();
    }
}

static void root(struct work *w)
{
    ssz_root(w->type, w->bytes, w->root);
}

static void both(struct work *w)
{
    check(w);
    root(w);
}

static void nodes(struct work *w)
{
    static uint8_t buf[64 * 1024]; /* stays in the cache */

    (void)w;
    __real_sha256_pairs(buf, buf, 1024);
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double per_run(struct work *w, void (*fn)(struct work *w), double ms)
{
    double start = cpu_ns(), passed, n = 0;

    do {
        fn(w);
        n++;
        passed = cpu_ns() - start;
    } while (passed < ms * 1e6);
    return passed / n;
}

static const struct kind {
    const char *name, *type;
    enum fork fork;
} kinds[] = {
    {"block", "SignedBeaconBlock", ELECTRA},
    {"column", "DataColumnSidecar", FULU},
    {"attestations", "List[Attestation,16384]", ELECTRA},
    {"state", "BeaconState", ELECTRA},
};

static const struct ssz_type *type_of(const char *kind, struct ssz_set *set)
{
    const struct ssz_type *t = NULL;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].name, kind) == 0) {
            ssz_set_borrow(set, schema_type(PRESET_MAINNET, kinds[i].fork, "Attestation"));
            t = schema_type(PRESET_MAINNET, kinds[i].fork, kinds[i].type);
            if (t == NULL && ssz_set_parse(set, view_str(kinds[i].type), &t) != E_OK) {
                abort();
            }
        }
    }
    return t;
}

int main(int argc, char **argv)
{
    FILE *f = argc == 4 ? fopen(argv[2], "rb") : NULL;
    struct ssz_set *set;
    struct work w = {0};

    if (f == NULL || ssz_set_new(NULL, 0, NULL, &set, NULL) != E_OK) {
        return 2;
    }
    schema_start();
    w.type = type_of(argv[1], set);
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(n);
    if (bytes == NULL || fread(bytes, 1, n, f) != n) {
        return 2;
    }
    w.bytes = view_of(bytes, n);
    root(&w);
    for (size_t i = 0; i < 32; i++) {
        printf("%02x", w.root[i]);
    }
    size_t nodes_of_root = n_nodes;
    double ms = atof(argv[3]);
    double both_ns = per_run(&w, both, ms), root_ns = per_run(&w, root, ms);

    printf(" %.0f %.0f %.0f %.2f %zu\n", both_ns, root_ns, per_run(&w, check, ms / 4),
           per_run(&w, nodes, ms / 4) / 1024, nodes_of_root);
    return 0;
}
