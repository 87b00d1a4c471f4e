/* Looking into what a node keeps of the chain: for the API. */
#include "node_internal.h"

#include <codec/base.h>

/* Walked in search of a block's children: a gap of so many blocks of branches is no chain. */
#define CHILD_HEADERS_MAX 1024u
#define HEADERS_AT_ONCE   64u

static enum err slot_of_id(const char *id, uint64_t *ret)
{
    uint64_t slot = 0;

    if (*id == '\0') {
        return E_INVALID;
    }
    for (const char *c = id; *c != '\0'; c++) {
        if (*c < '0' || *c > '9' || slot > (UINT64_MAX - (uint64_t)(*c - '0')) / 10) {
            return E_INVALID;
        }
        slot = slot * 10 + (uint64_t)(*c - '0');
    }
    *ret = slot;
    return E_OK;
}

/* The root that an id of the Beacon API names. */
static enum err block_root(const struct node *n, const char *id, uint8_t ret[static 32])
{
    size_t got;
    uint64_t slot;

    if (strcmp(id, "head") == 0) {
        memcpy(ret, n->chain.head_root, 32);
        return n->chain.anchored ? E_OK : E_NOT_FOUND;
    }
    if (strcmp(id, "genesis") == 0) {
        return chain_root_at(n, 0, ret) ? E_OK : E_NOT_FOUND;
    }
    if (strcmp(id, "finalized") == 0 || strcmp(id, "justified") == 0) {
        /* nothing here proves finality but the user's word */
        memcpy(ret, n->chain.checkpoint_root, 32);
        return n->chain.has_checkpoint ? E_OK : E_NOT_FOUND;
    }
    if (strncmp(id, "0x", 2) == 0) {
        return hex_get(view_str(id), ret, 32, &got) == E_OK && got == 32 ? E_OK : E_INVALID;
    }
    TRY(slot_of_id(id, &slot));
    return chain_root_at(n, slot, ret) ? E_OK : E_NOT_FOUND;
}

enum err node_find_block(const struct node *n, const char *id, struct node_block *ret)
{
    const struct chain *c = &n->chain;
    struct node_block b = {.slot = 0};
    struct chain_block known;

    TRY(block_root(n, id, b.root));
    if (!chain_block(n, b.root, &known)) {
        return E_NOT_FOUND;
    }
    b.slot = known.slot;
    b.fork = network_fork_at_slot(n->cfg.network, b.slot);
    b.canonical = chain_is_canonical(n, b.root);
    b.finalized = b.canonical && c->has_checkpoint && c->checkpoint_slot != UINT64_MAX &&
                  b.slot <= c->checkpoint_slot;
    if (!store_has(n->store, STORE_BLOCK, b.root, 0)) {
        return E_NOT_FOUND;
    }
    *ret = b;
    return E_OK;
}

size_t node_find_blocks(const struct node *n, const uint64_t *slot, const uint8_t *parent,
                        uint8_t (*ret)[32], size_t max)
{
    struct store_header all[HEADERS_AT_ONCE];
    struct chain_block at = {.slot = 0};
    size_t found = 0, walked = 0, got = HEADERS_AT_ONCE;

    if (slot == NULL && (parent == NULL || !chain_block(n, parent, &at))) {
        return 0;
    }
    uint64_t from = slot != NULL ? *slot : at.slot;
    uint64_t end = slot != NULL && *slot != UINT64_MAX ? *slot + 1 : UINT64_MAX;
    while (got == HEADERS_AT_ONCE && walked < CHILD_HEADERS_MAX) {
        if (store_headers(n->store, from, end, HEADERS_AT_ONCE, all, &got) != E_OK) {
            break;
        }
        for (size_t i = 0; i < got && found < max; i++) {
            if (parent == NULL || memcmp(all[i].parent, parent, 32) == 0) {
                memcpy(ret[found++], all[i].root, 32);
            }
        }
        walked += got;
        from = got == 0 ? end : all[got - 1].slot + 1;
    }
    return found;
}

bool node_next_tip(const struct node *n, uint32_t *at, uint8_t ret_root[static 32],
                   uint64_t *ret_slot)
{
    const uint64_t *slot = map_next(&n->chain.tips, at);

    if (slot == NULL) {
        return false;
    }
    memcpy(ret_root, map_key_of(&n->chain.tips, slot), 32);
    *ret_slot = *slot;
    return true;
}

struct store *node_store(const struct node *n)
{
    return n->store;
}

struct blob *node_get_light_update(const struct node *n, bool finality, uint64_t *ret_slot)
{
    const struct kept_update *u = finality ? &n->kept.finality : &n->kept.optimistic;
    struct blob *ssz = NULL;

    if (u->packed == NULL ||
        reqresp_open(blob_view(u->packed), n->cfg.network->config.MAX_PAYLOAD_SIZE, &ssz) != E_OK) {
        return NULL;
    }
    *ret_slot = u->slot;
    return ssz;
}
