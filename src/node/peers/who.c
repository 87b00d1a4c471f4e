/* A peer as a user names it: every form that clients print. */
#include "../node_internal.h"

#include <codec/base.h>
#include <stdio.h>

#define ENODE_KEY_BYTES \
    64u               /* x and y. Spec: devp2p "Node Identification" as go-ethereum prints it */
#define TEXT_MAX 640u /* the longest form, a multiaddr */

static bool begins(struct view v, const char *with)
{
    size_t n = strlen(with);

    return v.n >= n && memcmp(v.p, with, n) == 0;
}

static enum err read_enr(struct view text, struct node_who *w)
{
    TRY(enr_parse(text, &w->enr));
    w->has_enr = w->has_peer = true;
    peer_id_from_secp(w->enr.public, &w->peer);
    w->n_addrs = host_addrs_of_record(&w->enr, w->addrs);
    return E_OK;
}

static enum err read_multiaddr(struct view text, struct node_who *w)
{
    struct multiaddr_parts parts;
    struct multiaddr a;

    TRY(multiaddr_parse(text, &a));
    TRY(multiaddr_split(&a, &parts));
    w->has_peer = parts.has_peer;
    w->peer = parts.peer;
    if (parts.relayed) {
        return E_MULTIADDR;
    }
    if (host_addr_of(&parts, &w->addrs[0])) {
        w->n_addrs = 1;
        return parts.has_peer ? E_OK : E_MULTIADDR;
    }
    if (parts.name[0] == '\0') { /* "/p2p/ID": a name of the peer without a place */
        return parts.has_peer && parts.transport == TRANSPORT_NONE ? E_OK : E_MULTIADDR;
    }
    w->addr = a;
    return parts.has_peer || parts.name_family == 255 ? E_OK : E_MULTIADDR;
}

/* "enode://128 hex digits@IP:PORT?discport=N": an uncompressed key; libp2p listens at PORT. */
static enum err read_enode(struct view text, struct node_who *w)
{
    uint8_t key[ENODE_KEY_BYTES], public[SECP_PUBLIC];
    char at[ADDR_TEXT_MAX];
    struct node_id id;
    struct rd r = rd_of(text);
    size_t got;

    rd_take(&r, sizeof "enode://" - 1);
    struct view hex = rd_take(&r, 2 * sizeof key);
    uint8_t sign = rd_u8(&r);
    struct view rest = rd_rest(&r);
    const uint8_t *query = rest.n == 0 ? NULL : memchr(rest.p, '?', rest.n);
    size_t n = query == NULL ? rest.n : (size_t)(query - rest.p);
    if (r.bad || sign != '@' || n >= sizeof at || hex_get(hex, key, sizeof key, &got) != E_OK ||
        got != sizeof key) {
        return E_INVALID;
    }
    memcpy(at, rest.p, n);
    at[n] = '\0';
    public[0] = (uint8_t)(2 + (key[sizeof key - 1] & 1));
    memcpy(public + 1, key, sizeof key / 2);
    if (node_id_from_public(public, &id) != E_OK || addr_parse(at, &w->addrs[0].addr) != E_OK ||
        w->addrs[0].addr.port == 0) {
        return E_INVALID;
    }
    w->addrs[0].transport = HOST_TCP;
    w->n_addrs = 1;
    w->has_peer = true;
    peer_id_from_secp(public, &w->peer);
    return E_OK;
}

static bool read_node_id(struct view text, struct node_who *w)
{
    size_t got;

    w->has_node = hex_get(text, w->node.b, sizeof w->node.b, &got) == E_OK &&
                  got == sizeof w->node.b; /* with or without 0x */
    return w->has_node;
}

static enum err read_any(struct view text, struct node_who *w)
{
    char copy[TEXT_MAX];

    if (begins(text, "enr:")) {
        return read_enr(text, w);
    }
    if (begins(text, "/")) {
        return read_multiaddr(text, w);
    }
    if (begins(text, "enode://")) {
        return read_enode(text, w);
    }
    if (read_node_id(text, w)) {
        return E_OK;
    }
    if (peer_id_parse(text, &w->peer) == E_OK) {
        w->has_peer = true;
        return E_OK;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    w->has_range = addr_range_parse(copy, &w->range) == E_OK;
    return w->has_range ? E_OK : E_INVALID;
}

enum err node_who_read(struct view text, struct node_who *ret)
{
    struct node_who w = {.has_peer = false};

    if (text.n == 0 || text.n >= TEXT_MAX || memchr(text.p, 0, text.n) != NULL) {
        return E_INVALID;
    }
    TRY(read_any(text, &w));
    *ret = w;
    return E_OK;
}

static bool is_node(const struct peer *p, const struct node_id *id)
{
    uint8_t public[SECP_PUBLIC];
    struct node_id of;

    if (p->enr != NULL) {
        return node_id_eq(&p->enr->id, id);
    }
    return peer_id_secp(&p->id, public) == E_OK && node_id_from_public(public, &of) == E_OK &&
           node_id_eq(&of, id);
}

enum err node_who_peer(const struct node *n, const struct node_who *w, struct peer_id *ret)
{
    if (w->has_peer) {
        *ret = w->peer;
        return E_OK;
    }
    MAP_EACH(&n->peers.by_id, struct peer *, p) {
        if (w->has_node && is_node(*p, &w->node)) {
            *ret = (*p)->id;
            return E_OK;
        }
    }
    return E_NOT_FOUND;
}
