/* What a peer answers: a line an object, its JSON, its file. */
#include "request_out.h"

#include <inttypes.h>
#include <ssz/ssz.h>
#include <stdio.h>

#define JSON_OUT_MAX (1024 * MIB)
#define PATH_BYTES   1024u

static void print_hex(struct view v)
{
    fputs("0x", stdout);
    for (size_t i = 0; i < v.n; i++) {
        printf("%02x", v.p[i]);
    }
}

static void print_json(const struct ssz_type *t, struct view ssz)
{
    struct buf out;

    buf_init(&out, JSON_OUT_MAX);
    if (ssz_to_json(t, ssz, &out) == E_OK) {
        fwrite(out.p, 1, out.n, stdout);
        putchar('\n');
    }
    buf_done(&out);
}

/* An object's own root: a block's is that of its message. */
static void root_of(const struct ssz_type *t, struct view ssz, uint8_t ret[static 32])
{
    struct ssz_value message = {t, ssz};

    if (ssz_has_field(t, "signature")) {
        IGNORE(ssz_get(t, ssz, "message", &message), "then the whole it is");
    }
    ssz_root(message.type, message.bytes, ret);
}

void request_print(const struct method_info *m, const struct rpc_event *ev, unsigned number,
                   bool json)
{
    const struct ssz_type *t = method_chunk_type(m, m->has_context ? ev->context : NULL);
    uint8_t root[32];
    uint64_t slot;

    if (!m->has_context) {
        print_json(t, ev->data);
        return;
    }
    root_of(t, ev->data, root);
    printf("%s %u  fork %s  digest ", ssz_type_name(t), number,
           fork_name(network_span_of(m->network, ev->context)->fork));
    print_hex(view_of(ev->context, 4));
    if (method_object_slot(m->method, t, ev->data, &slot)) {
        printf("  slot %" PRIu64, slot);
    }
    fputs("  root ", stdout);
    print_hex(view_of(root, sizeof root));
    printf("  %zu bytes\n", ev->data.n);
    if (json) {
        print_json(t, ev->data);
    }
    fflush(stdout);
}

bool request_save(const char *dir, const struct method_info *m, struct view ssz, unsigned number)
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s/%s-%u.ssz", dir, m->name, number);
    FILE *f = n > 0 && (size_t)n < sizeof path ? fopen(path, "wb") : NULL;
    bool good = f != NULL && fwrite(ssz.p, 1, ssz.n, f) == ssz.n;

    return (f == NULL || fclose(f) == 0) && good;
}
