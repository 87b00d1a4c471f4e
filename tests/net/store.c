/*
 * A store filled by hand, for tests and benchmarks whose daemon is to hold what it has not fetched.
 *
 * usage: net_store DIR NETWORK_DIR    lines in:
 *   put KIND SLOT ROOT INDEX PARENT FILE OFFSET SIZE   bytes of a file; KIND is block, blob,
 * column, envelope, bootstrap or update make KIND TYPE SLOT INDEX FILE     a default object of the
 * slot's fork with its slot set; its bytes go to FILE too chain FIRST COUNT BYTES ROOT       COUNT
 * linked blocks of about BYTES from slot FIRST on the parent ROOT; half of their transactions'
 * bytes are random
 */
#include <base/mem.h>
#include <crypto/random.h>
#include <crypto/sha256.h>
#include <eth/chain_maker.h>
#include <eth/network.h>
#include <eth/schema.h>
#include <eth/slot_clock.h>
#include <proto/reqresp.h>
#include <ssz/ssz.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/store.h>

#define OBJECT_MAX  (16 * MIB)
#define TRANSACTION 1024u
#define FLUSH_BYTES (16 * MIB)

static const char *const kinds[STORE_KIND_COUNT] = {"block",    "blob",      "column",
                                                    "envelope", "bootstrap", "update"};

static struct store *store;
static struct network *net;

__attribute__((noreturn)) static void die(const char *what, const char *why)
{
    fprintf(stderr, "net_store: %s: %s\n", what, why);
    exit(1);
}

static void must(enum err e, const char *what)
{
    if (e != E_OK) {
        die(what, err_text(e));
    }
}

static enum store_kind kind_of(const char *name)
{
    for (unsigned k = 0; k < STORE_KIND_COUNT; k++) {
        if (strcmp(kinds[k], name) == 0) {
            return (enum store_kind)k;
        }
    }
    die(name, "no kind of object");
}

static void hex32(const char *text, uint8_t ret[static 32])
{
    unsigned x;

    text += strncmp(text, "0x", 2) == 0 ? 2 : 0;
    for (size_t i = 0; i < 32; i++) {
        if (sscanf(text + 2 * i, "%2x", &x) != 1) {
            die(text, "no root");
        }
        ret[i] = (uint8_t)x;
    }
}

static void put(struct store_object *o, struct view ssz)
{
    o->data = reqresp_pack(ssz);
    if (store_pending(store) > FLUSH_BYTES) {
        must(store_flush(store), "flush");
    }
    must(store_put(store, o), "put");
    blob_unref(o->data);
}

static void line_put(const char *line)
{
    char kind[16], root[80], parent[80], file[512];
    unsigned long slot, index, offset, size;

    if (sscanf(line, "put %15s %lu %79s %lu %79s %511s %lu %lu", kind, &slot, root, &index, parent,
               file, &offset, &size) != 8) {
        die(line, "put KIND SLOT ROOT INDEX PARENT FILE OFFSET SIZE");
    }
    struct store_object o = {.kind = kind_of(kind), .slot = slot, .index = index};
    uint8_t *bytes = mem_alloc(size + 1);
    FILE *f = fopen(file, "rb");

    hex32(root, o.root);
    hex32(parent, o.parent);
    if (f == NULL || fseek(f, (long)offset, SEEK_SET) != 0 || fread(bytes, 1, size, f) != size) {
        die(file, "cannot be read");
    }
    fclose(f);
    put(&o, view_of(bytes, size));
    mem_free(bytes);
}

static void line_make(const char *line)
{
    static const char *const slots[] = {
        "header.beacon.slot", "attested_header.beacon.slot",      "message.payload.slot_number",
        "message.slot",       "signed_block_header.message.slot", "slot"};
    char kind[16], type[64], file[512];
    unsigned long slot, index;

    if (sscanf(line, "make %15s %63s %lu %lu %511s", kind, type, &slot, &index, file) != 5) {
        die(line, "make KIND TYPE SLOT INDEX FILE");
    }
    struct store_object o = {.kind = kind_of(kind), .slot = slot, .index = index};
    const struct ssz_type *t = schema_type(net->preset, network_fork_at_slot(net, slot), type);
    struct ssz_value header;
    struct buf out;

    if (t == NULL) {
        die(type, "no type of that slot's fork");
    }
    struct ssz_builder *b = ssz_build(t);
    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        if (ssz_has_field(t, slots[i])) {
            must(ssz_set_u64(b, slots[i], slot), slots[i]);
        }
    }
    buf_init(&out, OBJECT_MAX);
    must(ssz_build_end(b, &out), "build");
    ssz_build_free(b);
    if (ssz_get(t, buf_view(&out), "header.beacon", &header) == E_OK) {
        ssz_root(header.type, header.bytes, o.root);
    }
    FILE *f = fopen(file, "wb");
    if (f == NULL || fwrite(out.p, 1, out.n, f) != out.n || fclose(f) != 0) {
        die(file, "cannot be written");
    }
    put(&o, buf_view(&out));
    for (size_t i = 0; i < 32; i++) {
        printf("%02x", o.root[i]);
    }
    putchar('\n');
    buf_done(&out);
}

static void fill_block(struct ssz_builder *b, uint64_t slot, const uint8_t parent[static 32],
                       size_t bytes)
{
    uint8_t transaction[TRANSACTION] = {0};

    must(ssz_set_u64(b, "message.slot", slot), "slot");
    must(ssz_set(b, "message.parent_root", view_of(parent, 32)), "parent");
    must(ssz_set_u64(b, "message.body.execution_payload.timestamp",
                     slot_start_ns(net, slot) / SECONDS(1)),
         "timestamp");
    for (size_t at = 0; at < bytes; at += TRANSACTION) {
        rng_fill(random_system(), transaction, TRANSACTION / 2);
        must(ssz_append(b, "message.body.execution_payload.transactions",
                        view_of(transaction, sizeof transaction)),
             "transaction");
    }
}

static void line_chain(const char *line)
{
    unsigned long first, count, bytes;
    char root[80];
    uint8_t parent[32];
    struct buf out;

    if (sscanf(line, "chain %lu %lu %lu %79s", &first, &count, &bytes, root) != 4) {
        die(line, "chain FIRST COUNT BYTES ROOT");
    }
    if (strcmp(root, "genesis") == 0) {
        chain_maker_genesis_root(net, parent);
    } else {
        hex32(root, parent);
    }
    buf_init(&out, OBJECT_MAX);
    for (uint64_t slot = first; slot < first + count; slot++) {
        struct store_object o = {.kind = STORE_BLOCK, .slot = slot};
        const struct ssz_type *t =
            schema_type(net->preset, network_fork_at_slot(net, slot), "SignedBeaconBlock");
        struct ssz_builder *b = ssz_build(t);
        struct ssz_value message;

        buf_clear(&out);
        fill_block(b, slot, parent, bytes);
        must(ssz_build_end(b, &out), "build");
        ssz_build_free(b);
        must(ssz_get(t, buf_view(&out), "message", &message), "message");
        ssz_root(message.type, message.bytes, o.root);
        memcpy(o.parent, parent, 32);
        put(&o, buf_view(&out));
        memcpy(parent, o.root, 32);
    }
    printf("%zu\n", out.n);
    buf_done(&out);
}

int main(int argc, char **argv)
{
    char line[2048], fault[NETWORK_FAULT_MAX], store_fault[STORE_FAULT_MAX];
    struct store_config cfg = {.dir = argc == 3 ? argv[1] : NULL};

    if (argc != 3) {
        die("usage", "net_store DIR NETWORK_DIR");
    }
    must(crypto_start(), "crypto");
    schema_start();
    if (network_load_dir(argv[2], &net, fault) != E_OK) {
        die(argv[2], fault);
    }
    if (store_open(&cfg, &store, store_fault) != E_OK) {
        die(argv[1], store_fault);
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (strncmp(line, "put ", 4) == 0) {
            line_put(line);
        } else if (strncmp(line, "make ", 5) == 0) {
            line_make(line);
        } else if (strncmp(line, "chain ", 6) == 0) {
            line_chain(line);
        } else {
            die(line, "put, make or chain");
        }
    }
    must(store_close(store), "close");
    network_free(net);
    return 0;
}
