/* The ring of what happened to peers. */
#include <base/mem.h>
#include <node/peer_events.h>
#include <string.h>

struct peer_events {
    uint64_t count;
    uint32_t max;
    struct peer_event ring[];
};

const struct peer_reason_row peer_reasons[PEER_REASONS] = {
#define R(id, act, name, text) [id] = {act, name, text},
#include <node/peer_reason.def>
#undef R
};

const char *peer_act_name(enum peer_act a)
{
    static const char *const names[PEER_ACTS] = {
        [ACT_FOUND] = "found",     [ACT_DIALLED] = "dialled", [ACT_CONNECTED] = "connected",
        [ACT_REFUSED] = "refused", [ACT_PRUNED] = "pruned",   [ACT_DROPPED] = "dropped",
        [ACT_GONE] = "gone",       [ACT_BANNED] = "banned",   [ACT_UNBANNED] = "unbanned",
        [ACT_RATED] = "rated",     [ACT_GOODBYE] = "goodbye", [ACT_AGREED] = "agreed",
        [ACT_NAMED] = "named",
    };

    return names[a];
}

struct peer_events *peer_events_new(uint32_t max)
{
    struct peer_events *es = mem_zalloc(sizeof *es + max * sizeof es->ring[0]);

    es->max = max;
    return es;
}

void peer_events_free(struct peer_events *es)
{
    mem_free(es);
}

/* A stranger has no name, and as many addresses as he likes. */
#define STRANGERS_BACK 32u
#define STRANGERS_NS   SECONDS(10)

static bool repeats(enum peer_reason r)
{
    enum peer_act act = peer_reasons[r].act;

    return act == ACT_DIALLED || act == ACT_REFUSED || act == ACT_RATED || r == WHY_GONE_DIAL;
}

static bool same(const struct peer_event *a, const struct peer_event *b)
{
    return a->reason == b->reason && a->error == b->error && a->part == b->part &&
           a->code == b->code && strcmp(a->text, b->text) == 0;
}

/* The one that `e` repeats: since the peer's last event of another kind. Looking back costs a
 * microsecond or two. */
static struct peer_event *repeated(struct peer_events *es, const struct peer_event *e,
                                   struct now now)
{
    uint64_t kept = es->count < es->max ? es->count : es->max;
    uint64_t back = e->peer.n != 0 ? kept : kept < STRANGERS_BACK ? kept : STRANGERS_BACK;

    for (uint64_t i = 1; i <= back; i++) {
        struct peer_event *old = &es->ring[(es->count - i) % es->max];

        if (!peer_id_eq(&old->peer, &e->peer)) {
            continue;
        }
        if (e->peer.n != 0 && !repeats(old->reason)) {
            return NULL;
        }
        if (same(old, e) && (e->peer.n != 0 || addr_same_ip(&old->addr, &e->addr) ||
                             now.wall_ns - old->last_wall_ns < STRANGERS_NS)) {
            return old;
        }
    }
    return NULL;
}

void peer_events_note(struct peer_events *es, const struct peer_event *e, struct now now)
{
    struct peer_event *to = repeats(e->reason) ? repeated(es, e, now) : NULL;

    if (to != NULL) {
        to->times++;
        to->last_wall_ns = now.wall_ns;
        to->change += e->change;
        to->rating = e->rating;
        to->addr = e->addr;
        return;
    }
    to = &es->ring[es->count % es->max];
    *to = *e;
    to->number = es->count++;
    to->times = 1;
    to->mono_ns = now.mono_ns;
    to->wall_ns = to->last_wall_ns = now.wall_ns;
}

const struct peer_event *peer_events_at(const struct peer_events *es, uint64_t number)
{
    uint64_t first = es->count > es->max ? es->count - es->max : 0;

    number = number < first ? first : number;
    return number < es->count ? &es->ring[number % es->max] : NULL;
}

uint64_t peer_events_count(const struct peer_events *es)
{
    return es->count;
}
