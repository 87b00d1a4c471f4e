/* The ring of what happened to peers. */
#include <base/mem.h>
#include <node/peer_events.h>

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
        [ACT_RATED] = "rated",
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

void peer_events_note(struct peer_events *es, const struct peer_event *e, struct now now)
{
    struct peer_event *to = &es->ring[es->count % es->max];

    *to = *e;
    to->number = es->count++;
    to->mono_ns = now.mono_ns;
    to->wall_ns = now.wall_ns;
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
