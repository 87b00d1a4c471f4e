#define _GNU_SOURCE
#include "checkpoint.h"

#include "http_get.h"

#include <base/mem.h>
#include <codec/base.h>
#include <errno.h>
#include <eth/schema.h>
#include <fcntl.h>
#include <ssz/ssz.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#define BLOCK_MAX     (32 * MIB) /* as JSON; the largest block has 10 MiB */
#define ANSWER_MAX    (64 * KIB) /* of the small questions */
#define STATE_MAX     ((off_t)4 * 1024 * 1024 * 1024)
#define SLOT_AT       100u /* in a SignedBeaconBlock: its message is behind offset and signature */
#define STATE_SLOT_AT 40u  /* in a BeaconState: behind genesis time and validators root */

PRINTF_LIKE(2, 3) static bool fail(char *fault, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(fault, CHECKPOINT_FAULT_MAX, format, args);
    va_end(args);
    return false;
}

/* ---- files ---- */

struct file {
    void *at;
    size_t n;
};

static bool file_open(const char *option, const char *path, struct file *ret, char *fault)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return fail(fault, "%s %.200s: %s", option, path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > STATE_MAX) {
        (void)close(fd);
        return fail(fault, "%s %.200s: no file, an empty one, or one over 4 GiB", option, path);
    }
    ret->n = (size_t)st.st_size;
    ret->at = mmap(NULL, ret->n, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    return ret->at != MAP_FAILED || fail(fault, "%s %.200s: %s", option, path, strerror(errno));
}

/* ---- the block ---- */

/* The bytes are checked by the type of the fork that their slot says. */
static bool take_block(const struct network *net, struct view ssz, const char *from,
                       struct node_checkpoint *ret, char *fault)
{
    struct ssz_value message;
    struct ssz_fault why;

    if (ssz.n < SLOT_AT + 8) {
        return fail(fault, "%s: too short for a SignedBeaconBlock", from);
    }
    ret->slot = load_le64(ssz.p + SLOT_AT);
    enum fork fork = network_fork_at_slot(net, ret->slot);
    const struct ssz_type *t = schema_type(net->preset, fork, "SignedBeaconBlock");
    if (ssz_check(t, ssz, &why) != E_OK || ssz_get(t, ssz, "message", &message) != E_OK) {
        return fail(fault,
                    "%s: not a SignedBeaconBlock of %s, the fork of slot %llu on this network (%s "
                    "at byte %zu)",
                    from, fork_name(fork), (unsigned long long)ret->slot, err_text(why.code),
                    why.offset);
    }
    ssz_root(message.type, message.bytes, ret->root);
    ret->block = blob_copy(ssz);
    return true;
}

static int append(const char *bytes, size_t n, void *self)
{
    return buf_append(self, bytes, n) == E_OK ? 0 : -1;
}

/* {"data": SignedBeaconBlock, ...} as the Beacon API gives it. */
static bool take_json(const struct network *net, struct view json, const char *from,
                      struct node_checkpoint *ret, char *fault)
{
    json_error_t error;
    json_t *whole = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, &error);
    const json_t *data = json_object_get(whole, "data");
    const char *slot = json_string_value(json_object_get(json_object_get(data, "message"), "slot"));
    char why[128] = "no block in it";
    struct buf text, ssz;
    bool ok = false;

    buf_init(&text, BLOCK_MAX);
    buf_init(&ssz, BLOCK_MAX);
    if (slot != NULL && json_dump_callback(data, append, &text, JSON_COMPACT) == 0) {
        const struct ssz_type *t = schema_type(
            net->preset, network_fork_at_slot(net, strtoull(slot, NULL, 10)), "SignedBeaconBlock");

        ok = ssz_from_json(t, buf_view(&text), &ssz, why) == E_OK;
    }
    ok = ok ? take_block(net, buf_view(&ssz), from, ret, fault) : fail(fault, "%s: %s", from, why);
    buf_done(&ssz);
    buf_done(&text);
    json_decref(whole);
    return ok;
}

static bool block_from_file(const struct network *net, const char *path,
                            struct node_checkpoint *ret, char *fault)
{
    struct file f;

    if (!file_open("--checkpoint-block", path, &f, fault)) {
        return false;
    }
    bool ok = take_block(net, view_of(f.at, f.n), "--checkpoint-block", ret, fault);
    (void)munmap(f.at, f.n);
    return ok;
}

/* ---- a Beacon API ---- */

static bool same_network(const struct network *net, const char *url, char *fault)
{
    struct http_answer a = {.octets = false};
    char why[HTTP_FAULT_MAX];
    uint8_t root[32];
    size_t got = 0;

    buf_init(&a.body, ANSWER_MAX);
    if (!http_get(url, "/eth/v1/beacon/genesis", &a, why)) {
        buf_done(&a.body);
        return fail(fault, "--checkpoint-sync-url: %s", why);
    }
    json_t *whole = json_loadb((const char *)a.body.p, a.body.n, 0, NULL);
    const char *text = json_string_value(
        json_object_get(json_object_get(whole, "data"), "genesis_validators_root"));
    bool told = text != NULL && hex_get(view_str(text), root, sizeof root, &got) == E_OK &&
                got == sizeof root;
    bool same = told && memcmp(root, net->genesis_validators_root, 32) == 0;
    json_decref(whole);
    buf_done(&a.body);
    return same || fail(fault,
                        told ? "--checkpoint-sync-url: it is of another network than %s"
                             : "--checkpoint-sync-url: no Beacon API of network %s there",
                        net->name);
}

static bool block_from_url(const struct network *net, const struct checkpoint_options *o,
                           struct node_checkpoint *ret, char *fault)
{
    struct http_answer a = {.octets = false};
    char path[128], why[HTTP_FAULT_MAX];

    if (!same_network(net, o->url, fault)) {
        return false;
    }
    (void)snprintf(path, sizeof path, "/eth/v2/beacon/blocks/%.66s",
                   o->root == NULL ? "finalized" : o->root);
    buf_init(&a.body, BLOCK_MAX);
    bool ok = http_get(o->url, path, &a, why) || fail(fault, "--checkpoint-sync-url: %s", why);
    if (ok) {
        ok = a.octets ? take_block(net, buf_view(&a.body), "--checkpoint-sync-url", ret, fault)
                      : take_json(net, buf_view(&a.body), "--checkpoint-sync-url", ret, fault);
    }
    buf_done(&a.body);
    return ok;
}

/* ---- what must agree ---- */

static bool root_agrees(const char *text, const struct node_checkpoint *c, char *fault)
{
    uint8_t root[32];
    size_t got = 0;
    char hex[67];

    if (hex_get(view_str(text), root, sizeof root, &got) != E_OK || got != sizeof root) {
        return fail(fault, "--checkpoint-root %.80s: 32 bytes in hex with 0x are wanted", text);
    }
    if (c->block == NULL || memcmp(root, c->root, 32) == 0) {
        return true;
    }
    for (size_t i = 0; i < 32; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", c->root[i]);
    }
    return fail(fault, "--checkpoint-root %.66s: the block given has root 0x%s", text, hex);
}

/* The block names its state by root. Nothing of the state is kept. */
static bool state_agrees(const struct network *net, const char *path,
                         const struct node_checkpoint *c, char *fault)
{
    enum fork fork = network_fork_at_slot(net, c->slot);
    const struct ssz_type *t = schema_type(net->preset, fork, "BeaconState");
    const struct ssz_type *block = schema_type(net->preset, fork, "SignedBeaconBlock");
    uint8_t root[32];
    struct file f;

    if (c->block == NULL) {
        return fail(fault, "--checkpoint-state: a block is wanted that names it: give "
                           "--checkpoint-block or --checkpoint-sync-url");
    }
    if (!file_open("--checkpoint-state", path, &f, fault)) {
        return false;
    }
    struct view ssz = view_of(f.at, f.n);
    bool ok = ssz.n > STATE_SLOT_AT + 8 && load_le64(ssz.p + STATE_SLOT_AT) == c->slot;
    if (!ok) {
        fail(fault, "--checkpoint-state: not the state of the block's slot %llu",
             (unsigned long long)c->slot);
    } else if (ssz_check(t, ssz, NULL) != E_OK) {
        ok = fail(fault, "--checkpoint-state: not a BeaconState of %s", fork_name(fork));
    } else {
        ssz_root(t, ssz, root);
        struct view wanted = ssz_bytes(block, blob_view(c->block), "message.state_root");
        ok = memcmp(wanted.p, root, 32) == 0 ||
             fail(fault, "--checkpoint-state: it is not the state that the block names");
    }
    (void)munmap(f.at, f.n);
    return ok;
}

bool checkpoint_read(const struct network *net, const struct checkpoint_options *o,
                     struct node_checkpoint *ret, char fault[static CHECKPOINT_FAULT_MAX])
{
    size_t got;

    *ret = (struct node_checkpoint){.block = NULL};
    if (o->block_file != NULL && o->url != NULL) {
        return fail(fault, "--checkpoint-block and --checkpoint-sync-url exclude each other");
    }
    bool ok = (o->root == NULL || root_agrees(o->root, ret, fault)) &&
              (o->block_file == NULL || block_from_file(net, o->block_file, ret, fault)) &&
              (o->url == NULL || block_from_url(net, o, ret, fault)) &&
              (o->root == NULL || root_agrees(o->root, ret, fault)) &&
              (o->state_file == NULL || state_agrees(net, o->state_file, ret, fault));
    if (ok && ret->block == NULL) {
        IGNORE(hex_get(view_str(o->root), ret->root, 32, &got), "it was read before");
    }
    if (!ok) {
        blob_unref(ret->block);
        ret->block = NULL;
    }
    return ok;
}
