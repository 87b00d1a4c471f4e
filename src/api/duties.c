/*
 * What validators say of their duties ahead: the subnets of those that aggregate are joined until
 * then, and how many committees an epoch has is remembered for the attestations that follow.
 */
#include "later.h"

#include <base/mem.h>
#include <eth/network.h>
#include <eth/slot_clock.h>
#include <eth/subnet.h>
#include <eth/topic.h>
#include <node/node.h>
#include <stdio.h>

#define DUTIES_MAX  16384u /* of one request */
#define FAULT_MAX   96u
#define AHEAD_MAX   3u /* epochs: duties are known for the current and the next one */
#define PERIODS_MAX 2u /* sync committees: the current and the next one */

struct duty {
    uint64_t slot, committee, committees; /* or until_epoch, subnet */
    bool aggregates;
};

struct duties {
    struct later later; /* first */
    struct buf body;
    bool sync;
    struct duty *all;
    size_t n;
    char fault[FAULT_MAX];
};

void duties_note(struct duty_memory *m, uint64_t epoch, uint64_t committees)
{
    unsigned at = (unsigned)(epoch % DUTY_EPOCHS);

    m->epoch[at] = epoch;
    m->committees[at] = committees;
}

uint64_t duties_committees(const struct duty_memory *m, uint64_t epoch)
{
    unsigned at = (unsigned)(epoch % DUTY_EPOCHS);

    return m->epoch[at] == epoch ? m->committees[at] : 0;
}

/* ---- reading ---- */

static bool read_u64(const json_t *object, const char *name, uint64_t *ret)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL && u64_parse(view_str(text), ret);
}

static bool read_attester(struct duties *d, const json_t *j)
{
    const json_t *aggregates = json_object_get(j, "is_aggregator");
    struct duty *one = &d->all[d->n];
    uint64_t validator;

    if (!read_u64(j, "validator_index", &validator) || !read_u64(j, "slot", &one->slot) ||
        !read_u64(j, "committee_index", &one->committee) ||
        !read_u64(j, "committees_at_slot", &one->committees) || !json_is_boolean(aggregates) ||
        one->committee >= one->committees) {
        return false;
    }
    one->aggregates = json_is_true(aggregates);
    d->n++;
    return true;
}

/* One for each place in the committee. */
static bool read_sync(struct duties *d, const json_t *j)
{
    const json_t *places = json_object_get(j, "sync_committee_indices");
    uint64_t validator, until;

    if (!read_u64(j, "validator_index", &validator) || !read_u64(j, "until_epoch", &until) ||
        !json_is_array(places) || json_array_size(places) > DUTIES_MAX - d->n) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(places); i++) {
        const char *text = json_string_value(json_array_get(places, i));
        struct duty *one = &d->all[d->n++];

        one->slot = until;
        if (text == NULL || !u64_parse(view_str(text), &one->committee)) {
            return false;
        }
    }
    return true;
}

static void run(struct later *self)
{
    struct duties *d = (struct duties *)self;
    json_error_t error;
    json_t *list = json_loadb((const char *)d->body.p, d->body.n, JSON_REJECT_DUPLICATES, &error);

    if (!json_is_array(list)) {
        snprintf(d->fault, sizeof d->fault, "want a JSON array of objects");
    }
    for (size_t i = 0; i < json_array_size(list) && d->fault[0] == '\0'; i++) {
        const json_t *j = json_array_get(list, i);

        if (d->n == DUTIES_MAX || !(d->sync ? read_sync : read_attester)(d, j)) {
            snprintf(d->fault, sizeof d->fault, "object %zu: a member is missing or wrong", i);
        }
    }
    json_decref(list);
}

static void done(struct later *self)
{
    struct duties *d = (struct duties *)self;

    buf_done(&d->body);
    mem_free(d->all);
    mem_free(d);
}

/* ---- joining ---- */

static bool take_attester(const struct request *q, const struct duty *one)
{
    const struct network *n = node_network(q->node);
    uint64_t epoch = epoch_of_slot(n, one->slot), now = epoch_now(n, q->now.wall_ns);
    uint64_t most = preset_number(n->preset, PRESET_NUMBER_MAX_COMMITTEES_PER_SLOT);

    if (one->committees > most || epoch + 1 < now || epoch > now + AHEAD_MAX) {
        return false;
    }
    duties_note(api_duties(q->api), epoch, one->committees);
    uint64_t subnet = subnet_for_attestation(n, one->committees, one->slot, one->committee);
    return !one->aggregates || node_join(q->node, TOPIC_beacon_attestation, (uint32_t)subnet,
                                         one->slot + 1, q->now) == E_OK;
}

static bool take_sync(const struct request *q, const struct duty *one)
{
    const struct network *n = node_network(q->node);
    uint64_t size = preset_number(n->preset, PRESET_NUMBER_SYNC_COMMITTEE_SIZE);
    uint64_t period = n->preset == PRESET_MINIMAL ? 8 : 256;
    uint64_t now = epoch_now(n, q->now.wall_ns);

    return one->committee < size && one->slot <= now + PERIODS_MAX * period &&
           node_join(q->node, TOPIC_sync_committee,
                     (uint32_t)(one->committee / (size / SYNC_SUBNETS)),
                     epoch_start_slot(n, one->slot), q->now) == E_OK;
}

static void finish(struct later *self, const struct request *q, struct answer *a)
{
    struct duties *d = (struct duties *)self;

    for (size_t i = 0; i < d->n && d->fault[0] == '\0'; i++) {
        if (!(d->sync ? take_sync : take_attester)(q, &d->all[i])) {
            snprintf(d->fault, sizeof d->fault, "%zu: a committee, slot or epoch is out of range",
                     i);
        }
    }
    if (d->fault[0] != '\0') {
        answer_error(a, MHD_HTTP_BAD_REQUEST, d->fault);
    }
}

static void subscribe(const struct request *q, struct answer *a, bool sync)
{
    struct duties *d = mem_zalloc(sizeof *d);

    d->later = (struct later){.run = run, .finish = finish, .free = done};
    d->sync = sync;
    d->all = mem_zalloc_array(DUTIES_MAX, sizeof *d->all);
    buf_init(&d->body, q->body.n);
    if (buf_append_view(&d->body, q->body) != E_OK) {
        snprintf(d->fault, sizeof d->fault, "no memory for the body");
    }
    request_later(q, a, &d->later, q->body.n);
}

void api_attester_subscriptions(const struct request *q, struct answer *a)
{
    subscribe(q, a, false);
}

void api_sync_subscriptions(const struct request *q, struct answer *a)
{
    subscribe(q, a, true);
}
