/* beacon-p2pd ssz: look at, make and judge SSZ values without a network. */
#include "commands.h"
#include "ssz_common.h"

#include <codec/snappy.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_FAULT_MAX 128u /* ssz_from_json() */

struct request {
    const char *verb;
    enum fork fork;
    enum preset preset;
    const char *type;
    const char *file;
    const char *path; /* --path: a part of the value */
    bool snappy;
    unsigned runs;
};

static int wrong(const char *option, const char *value)
{
    fprintf(stderr, "beacon-p2pd ssz: %s %s: not known; see beacon-p2pd ssz --help\n", option,
            value);
    return 2;
}

bool ssz_read_file(const char *path, struct buf *ret)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    size_t n = 1;

    if (f == NULL) {
        fprintf(stderr, "beacon-p2pd ssz: %s: %s\n", path, strerror(errno));
        return false;
    }
    while (n != 0) {
        uint8_t *at;

        if (buf_reserve(ret, 64 * KIB, &at) != E_OK) {
            fprintf(stderr, "beacon-p2pd ssz: %s: over %zu MiB\n", path, SSZ_FILE_MAX / MIB);
            break;
        }
        n = fread(at, 1, 64 * KIB, f);
        buf_commit(ret, n);
    }
    bool ok = n == 0 && ferror(f) == 0;

    if (f != stdin) {
        (void)fclose(f);
    }
    return ok;
}

/* The option at argv[i], whose value (if it takes one) is argv[i + 1]; *ret_used: how many. */
static int take_option(struct request *r, char **argv, int left, int *ret_used)
{
    const char *name = argv[0], *value = left > 1 ? argv[1] : "";

    *ret_used = 2;
    if (strcmp(name, "--snappy") == 0) {
        r->snappy = true;
        *ret_used = 1;
        return 0;
    }
    if (strcmp(name, "--type") == 0 && left > 1) {
        r->type = value;
        return 0;
    }
    if (strcmp(name, "--path") == 0 && left > 1) {
        r->path = value;
        return 0;
    }
    if (strcmp(name, "--fork") == 0) {
        return fork_by_name(view_str(value), &r->fork) ? 0 : wrong(name, value);
    }
    if (strcmp(name, "--preset") == 0) {
        return preset_by_name(view_str(value), &r->preset) ? 0 : wrong(name, value);
    }
    if (strcmp(name, "--runs") == 0) {
        char *end;
        unsigned long x = strtoul(value, &end, 10);

        r->runs = (unsigned)x;
        return *value != 0 && *end == 0 && x > 0 && x < 100000 ? 0 : wrong(name, value);
    }
    return wrong("option", name);
}

static int parse(struct request *r, int argc, char **argv)
{
    int used;

    *r = (struct request){
        .fork = FULU, .preset = PRESET_MAINNET, .file = "-", .path = "", .runs = 9};
    r->verb = argv[1];
    for (int i = 2; i < argc; i += used) {
        used = 1;
        if (strncmp(argv[i], "--", 2) != 0) {
            r->file = argv[i];
            continue;
        }
        int code = take_option(r, argv + i, argc - i, &used);

        if (code != 0) {
            return code;
        }
    }
    return 0;
}

static int list_types(const struct request *r)
{
    const char *name;

    for (size_t i = 0; (name = schema_name(i)) != NULL; i++) {
        const struct ssz_type *t = schema_type(r->preset, r->fork, name);

        if (t != NULL && ssz_size_max(t) == SIZE_MAX) {
            printf("%-42s %10zu ..\n", name, ssz_size_min(t));
        } else if (t != NULL) {
            printf("%-42s %10zu .. %zu\n", name, ssz_size_min(t), ssz_size_max(t));
        }
    }
    return 0;
}

/* An expression over the fork's names. */
static const struct ssz_type *parse_type(const struct request *r, struct ssz_set **set)
{
    const struct ssz_type *t;
    const char *name;

    if (ssz_set_new(NULL, 0, NULL, set, NULL) != E_OK) {
        return NULL;
    }
    for (size_t i = 0; (name = schema_name(i)) != NULL; i++) {
        t = schema_type(r->preset, r->fork, name);
        if (t != NULL) {
            ssz_set_borrow(*set, t);
        }
    }
    return ssz_set_parse(*set, view_str(r->type), &t) == E_OK ? t : NULL;
}

/* A name of the schema, else an expression, which lives in *set. */
static const struct ssz_type *type_of(const struct request *r, struct ssz_set **set)
{
    const struct ssz_type *t;

    if (r->type == NULL) {
        fprintf(stderr, "beacon-p2pd ssz: --type is missing\n");
        return NULL;
    }
    t = schema_type(r->preset, r->fork, r->type);
    if (t == NULL) {
        t = parse_type(r, set);
    }
    if (t == NULL) {
        fprintf(stderr, "beacon-p2pd ssz: %s is no type of %s, nor an expression of types\n",
                r->type, fork_name(r->fork));
    }
    return t;
}

static bool unpack(struct buf *b)
{
    struct blob *plain;
    enum err e = snappy_block_open(buf_view(b), SSZ_FILE_MAX, &plain);

    if (e == E_OK) {
        buf_clear(b);
        e = buf_append_view(b, blob_view(plain));
        blob_unref(plain);
    }
    if (e != E_OK) {
        fprintf(stderr, "beacon-p2pd ssz: %s\n", err_text(e));
    }
    return e == E_OK;
}

static int encode(const struct request *r, const struct ssz_type *t, struct view json)
{
    char fault[JSON_FAULT_MAX];
    struct buf out;
    int code = 1;

    buf_init(&out, SSZ_FILE_MAX);
    if (ssz_from_json(t, json, &out, fault) != E_OK) {
        fprintf(stderr, "beacon-p2pd ssz: %s\n", fault);
    } else if (r->snappy) {
        struct blob *packed = snappy_block_pack(buf_view(&out));

        code = fwrite(packed->b, 1, packed->n, stdout) == packed->n ? 0 : 1;
        blob_unref(packed);
    } else {
        code = fwrite(out.p, 1, out.n, stdout) == out.n ? 0 : 1;
    }
    buf_done(&out);
    return code;
}

static int print_json(const struct ssz_value *v)
{
    struct buf out;
    enum err e;

    buf_init(&out, 4 * SSZ_FILE_MAX);
    e = ssz_to_json(v->type, v->bytes, &out);
    if (e == E_OK) {
        e = buf_append(&out, "\n", 1);
    }
    if (e == E_OK && fwrite(out.p, 1, out.n, stdout) != out.n) {
        e = E_IO;
    }
    if (e != E_OK) {
        fprintf(stderr, "beacon-p2pd ssz: %s\n", err_text(e));
    }
    buf_done(&out);
    return e == E_OK ? 0 : 1;
}

static int print_root(const struct ssz_value *v)
{
    uint8_t root[32];

    ssz_root(v->type, v->bytes, root);
    printf("0x");
    for (size_t i = 0; i < 32; i++) {
        printf("%02x", root[i]);
    }
    printf("\n");
    return 0;
}

/* root, decode and bench: all begin with checked bytes. */
static int look(const struct request *r, const struct ssz_type *t, struct view bytes)
{
    struct ssz_fault fault;
    struct ssz_value v;

    if (ssz_check(t, bytes, &fault) != E_OK) {
        fprintf(stderr, "beacon-p2pd ssz: byte %zu%s%s: %s (got %llu, allowed %llu)\n",
                fault.offset, fault.field == NULL ? "" : ", field ",
                fault.field == NULL ? "" : fault.field, err_text(fault.code),
                (unsigned long long)fault.got, (unsigned long long)fault.allowed);
        return 1;
    }
    if (ssz_get(t, bytes, r->path, &v) != E_OK) {
        fprintf(stderr, "beacon-p2pd ssz: %s: no such field or element\n", r->path);
        return 1;
    }
    if (strcmp(r->verb, "root") == 0) {
        return print_root(&v);
    }
    return strcmp(r->verb, "decode") == 0 ? print_json(&v) : ssz_bench(v.type, v.bytes, r->runs);
}

static int one_value(const struct request *r)
{
    struct ssz_set *set = NULL;
    struct buf in;
    int code = 1;

    buf_init(&in, SSZ_FILE_MAX);
    const struct ssz_type *t = type_of(r, &set);
    bool json = strcmp(r->verb, "encode") == 0;

    if (t == NULL) {
        code = 2;
    } else if (ssz_read_file(r->file, &in) && (json || !r->snappy || unpack(&in))) {
        code = json ? encode(r, t, buf_view(&in)) : look(r, t, buf_view(&in));
    }
    buf_done(&in);
    ssz_set_free(set);
    return code;
}

int cmd_ssz(int argc, char **argv)
{
    static const char *const verbs[] = {"root", "decode", "encode", "bench"};
    struct request r;

    if (argc < 2) {
        return command_usage("ssz", stderr);
    }
    schema_start();
    if (strcmp(argv[1], "verify") == 0) {
        return argc < 3 ? command_usage("ssz", stderr) : ssz_verify(argv + 2, argc - 2);
    }
    int code = parse(&r, argc, argv);

    if (code != 0) {
        return code;
    }
    if (strcmp(r.verb, "types") == 0) {
        return list_types(&r);
    }
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (strcmp(r.verb, verbs[i]) == 0) {
            return one_value(&r);
        }
    }
    return command_usage("ssz", stderr);
}
