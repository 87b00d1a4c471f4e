/*
 * Nodes found stay known over a restart: the target is reached again without a boot node, and
 * without a burst of dials to addresses that are stale.
 *
 * Written once a minute and at the end, those that changed. A node that failed HISTORY_FAILURES
 * times in a row, or that the table of peers forgot, is removed.
 */
#include "history.h"

#include "../node_internal.h"

#include <stdlib.h>

#define HISTORY_VERSION     1u
#define HISTORY_MAX         1024u /* ten times the usual target; 340 KiB */
#define HISTORY_FAILURES    6u    /* in a row: some hours of trying */
#define HISTORY_INTERVAL_NS SECONDS(60)
#define HISTORY_OLD_S       (14u * 86400u) /* failed since, and not met for so long: it goes */
#define HISTORY_HINTS       64u            /* the best are told to discv5, whose pace they keep */

size_t history_encode(const struct history *k, uint8_t out[static HISTORY_SIZE_MAX])
{
    struct wr w = wr_of(out, HISTORY_SIZE_MAX);

    wr_u8(&w, HISTORY_VERSION);
    wr_le64(&w, k->last_s);
    wr_le32(&w, k->successes);
    wr_le32(&w, k->failures);
    wr_bytes(&w, k->enr.raw, k->enr.n);
    return wr_view(&w).n;
}

enum err history_decode(struct view v, struct history *ret)
{
    struct rd r = rd_of(v);
    uint8_t version = rd_u8(&r);
    uint64_t last_s = rd_le64(&r);
    uint32_t successes = rd_le32(&r);
    uint32_t failures = rd_le32(&r);
    struct enr e;

    if (r.bad || version != HISTORY_VERSION) {
        return E_INVALID;
    }
    TRY(enr_decode(rd_take(&r, rd_left(&r)), &e));
    *ret = (struct history){last_s, successes, failures, e};
    return E_OK;
}

/* ---- reading ---- */

static void put(struct node *n, const struct peer_id *id, struct view value)
{
    IGNORE(store_put_peer(n->store, view_of(id->b, id->n), value),
           "the store is full or failed, and says so; a node is found again");
}

/* The better one last: what is forgotten first comes first. */
static int by_worth(const void *a, const void *b)
{
    const struct history *x = a, *y = b;

    if (x->last_s != y->last_s) {
        return x->last_s < y->last_s ? -1 : 1;
    }
    return x->failures != y->failures ? (x->failures > y->failures ? -1 : 1) : 0;
}

static bool is_stale(const struct history *k, struct now now)
{
    uint64_t now_s = now.wall_ns / SECONDS(1);

    return k->failures >= HISTORY_FAILURES ||
           (k->failures > 0 && now_s > k->last_s && now_s - k->last_s > HISTORY_OLD_S);
}

/* False: it is of another fork, or not to be dialled any more, and leaves the disk, where it would
 * take the place of others for ever. If it has a newer record, it is found again. */
static bool remember(struct node *n, const struct history *k, struct now now)
{
    struct peer *p = peers_found(n, &k->enr, SOURCE_KEPT, now);
    struct peer_id id;

    if (p == NULL) {
        peer_id_from_secp(k->enr.public, &id);
        put(n, &id, view_of(NULL, 0));
        return false;
    }
    p->last_s = k->last_s;
    p->successes = k->successes;
    p->failures = k->failures;
    p->on_disk = true;
    n->discovery.kept_n++;
    return true;
}

/* The good ones into all[]; those that are damaged or stale are removed from the disk. */
static size_t read_good(struct node *n, struct history *all, size_t *ret_bad, struct now now)
{
    struct peer_id *bad = mem_zalloc_array(HISTORY_MAX, sizeof *bad);
    size_t at = 0, count = 0, n_bad = 0;
    struct view id, value;

    while (count < HISTORY_MAX && n_bad < HISTORY_MAX &&
           store_next_peer(n->store, &at, &id, &value)) {
        if (id.n != 0 && (id.p[0] == RULE_BAN || id.p[0] == RULE_RANGE || id.p[0] == RULE_WISH)) {
            continue; /* rules.c reads them */
        }
        if (history_decode(value, &all[count]) == E_OK && !is_stale(&all[count], now)) {
            count++;
        } else if (id.n <= sizeof bad->b) {
            bad[n_bad].n = (uint8_t)id.n;
            memcpy(bad[n_bad++].b, id.p, id.n);
        }
    }
    for (size_t i = 0; i < n_bad; i++) { /* not while walking */
        put(n, &bad[i], view_of(NULL, 0));
    }
    mem_free(bad);
    *ret_bad = n_bad;
    return count;
}

void history_load(struct node *n, struct now now)
{
    struct history *all = mem_zalloc_array(HISTORY_MAX, sizeof *all);
    size_t bad, kept = 0, count = read_good(n, all, &bad, now);

    qsort(all, count, sizeof *all, by_worth);
    for (size_t i = 0; i < count; i++) {
        kept += remember(n, &all[i], now);
        if (n->discovery.engine != NULL && count - i <= HISTORY_HINTS) {
            discv5_add_node(n->discovery.engine, &all[i].enr, now);
        }
    }
    if (count + bad != 0) {
        LOG(n->log, LOG_INFO, "peers", "nodes known from before", L_U64("good", kept),
            L_U64("of_no_use", bad + count - kept), L_U64("candidates", n->peers.by_id.n));
    }
    mem_free(all);
}

/* ---- writing ---- */

void history_forget(struct node *n, struct peer *p)
{
    if (p->on_disk) {
        put(n, &p->id, view_of(NULL, 0));
        p->on_disk = false;
        n->discovery.kept_n--;
    }
    p->changed = false;
}

static void keep(struct node *n, struct peer *p)
{
    struct history k = {.last_s = p->last_s, .successes = p->successes, .failures = p->failures};
    uint8_t bytes[HISTORY_SIZE_MAX];

    p->changed = false;
    if (p->failures >= HISTORY_FAILURES) {
        history_forget(n, p);
        return;
    }
    if (!p->on_disk && n->discovery.kept_n >= HISTORY_MAX) {
        return;
    }
    n->discovery.kept_n += !p->on_disk;
    p->on_disk = true;
    k.enr = *p->enr;
    put(n, &p->id, view_of(bytes, history_encode(&k, bytes)));
}

void history_write(struct node *n)
{
    MAP_EACH(&n->peers.by_id, struct peer *, slot) {
        if ((*slot)->changed && (*slot)->enr != NULL) {
            keep(n, *slot);
        }
    }
}

void history_tick(struct node *n, struct now now)
{
    if (now.mono_ns >= n->discovery.kept_ns) {
        n->discovery.kept_ns = now.mono_ns + HISTORY_INTERVAL_NS;
        history_write(n);
    }
}
