/*
 * From gloas on a block's payload comes apart from it, in an envelope. Gossip brings most; what is
 * missing is asked for by root. A builder may keep its payload back: nobody has that envelope, so
 * after some tries it is given up, and no slot of ours depends on it.
 *
 * Spec: consensus-specs specs/gloas/p2p-interface.md "ExecutionPayloadEnvelopesByRoot v1"
 */
#include "../node_internal.h"

#define GOSSIP_NS SECONDS(12) /* a slot: the payload may come until its end */
#define AGAIN_NS  SECONDS(4)  /* after a try that did not bring it; doubled each time */
#define TRIES     5u          /* then it was kept back: two minutes have passed */
#define WANTED    4096u       /* blocks; above it the oldest is given up */

void envelopes_init(struct node *n)
{
    map_init(&n->envelopes.wanted, 32, sizeof(struct envelope_want), WANTED, node_hash_key(n));
}

void envelopes_done(struct node *n)
{
    map_done(&n->envelopes.wanted);
}

void envelopes_want(struct node *n, const uint8_t root[static 32], uint64_t slot, struct now now)
{
    struct envelopes *s = &n->envelopes;
    bool recent = n->slot != UINT64_MAX && slot + 1 >= n->slot;
    bool is_new;

    if (n->cfg.serve == SERVE_NONE || network_fork_at_slot(n->cfg.network, slot) < GLOAS ||
        slot < keep_floor(n, STORE_ENVELOPE)) {
        return;
    }
    if (s->wanted.n >= WANTED && map_get(&s->wanted, root) == NULL) {
        uint8_t oldest[32];

        memcpy(oldest, map_key_of(&s->wanted, map_oldest(&s->wanted)), 32);
        map_remove(&s->wanted, oldest);
    }
    struct envelope_want *w = map_put(&s->wanted, root, &is_new);
    if (w != NULL && is_new) {
        *w = (struct envelope_want){.slot = slot,
                                    .again_ns = now.mono_ns + (recent ? GOSSIP_NS : 0)};
    }
}

/* ---- answers ---- */

static enum err take(struct node *n, const struct ask_event *ev, struct now now)
{
    const struct ssz_type *t = method_chunk_type(&n->methods[ev->method], ev->context);
    struct envelopes *s = &n->envelopes;
    struct store_object o = {.kind = STORE_ENVELOPE};
    bool asked = false;

    kept_identify(t, ev->data, &o);
    for (size_t i = 0; i < s->n_asked; i++) {
        asked |= memcmp(s->asked[i], o.root, 32) == 0;
    }
    if (!asked) {
        return E_BLOCK_UNASKED;
    }
    const struct envelope_want *w = map_get(&s->wanted, o.root);
    if (w == NULL || store_has(n->store, STORE_ENVELOPE, o.root, 0)) {
        return E_OK; /* gossip was faster */
    }
    TRY(check_envelope_of(n->cfg.network, t, ev->data, chain_bid(n, o.root, w->slot)));
    o.data = ev->packed.n != 0 ? blob_copy(ev->packed) : reqresp_pack(ev->data);
    if (keep_put(n, &o, now) == E_OK) {
        metric_add(n->metrics, M_ENVELOPES_FETCHED, 0, 1);
        map_remove(&s->wanted, o.root);
    }
    blob_unref(o.data);
    return E_OK;
}

/* What this request did not bring is asked for again later, or given up. */
static void end(struct node *n, struct now now)
{
    struct envelopes *s = &n->envelopes;

    for (size_t i = 0; i < s->n_asked; i++) {
        struct envelope_want *w = map_get(&s->wanted, s->asked[i]);

        if (w != NULL && ++w->tries >= TRIES) {
            map_remove(&s->wanted, s->asked[i]);
        } else if (w != NULL) {
            w->again_ns = now.mono_ns + (AGAIN_NS << w->tries);
        }
    }
    s->ask = 0;
    s->n_asked = 0;
}

static void told(struct node *n, const struct ask_event *ev, struct now now)
{
    if (ev->id != n->envelopes.ask) {
        return;
    }
    if (ev->kind != ASK_CHUNK) {
        end(n, now);
        return;
    }
    enum err e = take(n, ev, now);
    if (e != E_OK) {
        ask_blame(n, ev->conn, ev->method, e, now);
        ask_cancel(n, ev->id, now);
        end(n, now);
    }
}

/* ---- asking ---- */

static bool fits(const struct node *n, const struct peer *p, const void *user)
{
    (void)user;
    return sync_head_of(n, p) >= n->envelopes.lowest_slot &&
           p->status.earliest_available_slot <= n->envelopes.lowest_slot;
}

/* The oldest that are due and not here by now. */
static void pick(struct node *n, struct now now)
{
    struct envelopes *s = &n->envelopes;
    uint8_t root[32];

    s->lowest_slot = UINT64_MAX;
    MAP_EACH(&s->wanted, struct envelope_want, w) {
        if (w->again_ns > now.mono_ns) {
            continue;
        }
        memcpy(root, map_key_of(&s->wanted, w), 32);
        if (store_has(n->store, STORE_ENVELOPE, root, 0) ||
            w->slot < keep_floor(n, STORE_ENVELOPE)) {
            map_remove(&s->wanted, root);
            continue;
        }
        s->lowest_slot = w->slot < s->lowest_slot ? w->slot : s->lowest_slot;
        memcpy(s->asked[s->n_asked++], root, 32);
        if (s->n_asked == ENVELOPES_AT_ONCE) {
            return;
        }
    }
}

void envelopes_tick(struct node *n, struct now now)
{
    struct envelopes *s = &n->envelopes;

    if (s->ask != 0 || s->wanted.n == 0 || n->chain.stopped || n->slot == UINT64_MAX) {
        return;
    }
    pick(n, now);
    if (s->n_asked == 0) {
        return;
    }
    struct ask_want w = {.method = METHOD_execution_payload_envelopes_by_root_1,
                         .ssz = view_of(s->asked[0], 32 * s->n_asked),
                         .chunks_max = (uint32_t)s->n_asked,
                         .told = told,
                         .fits = fits,
                         .must_have = true,
                         .no_blame = true};
    if (ask_begin(n, &w, now, &s->ask) != E_OK) {
        end(n, now);
    }
}
