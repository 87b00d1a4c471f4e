/* How messages spread: which honest nodes wanted each, and after how long they had it. */
#include "lab.h"

#include <base/mem.h>
#include <eth/msgid.h>

#define WITHIN_DEFAULT_NS SECONDS(4) /* where no expectation gives a time */

void spread_init(struct lab *l)
{
    map_init(&l->messages, GOSSIP_ID_MAX, sizeof(struct message_seen), MESSAGES_MAX,
             (struct hash_key){7, 8});
    for (size_t t = 0; t < LAB_TOPICS; t++) {
        l->spreads[t].by_ms = mem_zalloc_array(DELAY_MS_MAX + 1, sizeof(uint64_t));
        l->spreads[t].within_ns = WITHIN_DEFAULT_NS;
    }
    for (size_t i = 0; i < l->sc.n_expects; i++) {
        const struct scenario_expect *ex = &l->sc.expects[i];
        struct spread *s = &l->spreads[ex->topic];

        if (ex->kind == EXPECT_DELIVERED && ex->value2 > s->within_ns) {
            s->within_ns = ex->value2;
        }
    }
}

void spread_done(struct lab *l)
{
    map_done(&l->messages);
    for (size_t t = 0; t < LAB_TOPICS; t++) {
        mem_free(l->spreads[t].by_ms);
    }
}

static uint32_t count_wanting(struct lab *l, enum lab_topic t, struct view name, uint32_t publisher)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < l->sc.nodes; i++) {
        if (i == publisher || l->nodes[i].node == NULL) {
            continue;
        }
        const struct gossipsub *g = pubsub_engine(node_pubsub(l->nodes[i].node));
        uint32_t topic = gossipsub_find_topic(g, name);

        if (topic != UINT32_MAX && gossipsub_joined(g, topic)) {
            l->nodes[i].wanted[t]++;
            n++;
        }
    }
    return n;
}

void spread_publish(struct lab *l, enum lab_topic t, const struct topic *topic, uint32_t publisher,
                    struct view ssz)
{
    uint64_t now_ns = sim_now(l->sim).mono_ns;
    struct spread *s = &l->spreads[t];
    uint8_t id[GOSSIP_ID_MAX];
    char text[TOPIC_TEXT_MAX];
    struct view name = view_str(topic_text(topic, text));

    if (now_ns + s->within_ns > SIM_EPOCH_NS + l->sc.run_ns) {
        return; /* the run ends before its time is up */
    }
    msgid_compute(topic->span->fork, name, ssz, true, id);
    struct message_seen *m = map_put(&l->messages, id, NULL);

    if (m == NULL) {
        return; /* beyond MESSAGES_MAX nothing more is followed */
    }
    *m = (struct message_seen){.published_ns = now_ns,
                               .topic = t,
                               .publisher = publisher,
                               .wanted = count_wanting(l, t, name, publisher)};
    s->messages++;
    s->wanted += m->wanted;
    s->bytes += ssz.n;
}

bool spread_of_target(const struct lab *l, const uint8_t id[static GOSSIP_ID_MAX])
{
    const struct message_seen *m = map_get(&l->messages, id);

    return m != NULL && m->publisher >= l->sc.target_first && m->publisher <= l->sc.target_last;
}

void spread_arrive(struct lab_node *n, const uint8_t id[static GOSSIP_ID_MAX])
{
    struct lab *l = n->lab;
    struct message_seen *m = map_get(&l->messages, id);

    /* A node that began after the message was published may get it too: nobody waited for that. */
    if (m == NULL || m->reached == m->wanted) {
        return;
    }
    uint64_t ms = (sim_now(l->sim).mono_ns - m->published_ns) / MILLIS(1);
    struct spread *s = &l->spreads[m->topic];

    n->got[m->topic]++;
    m->reached++;
    s->reached++;
    s->by_ms[ms < DELAY_MS_MAX ? ms : DELAY_MS_MAX]++;
}

const struct lab_node *spread_worst(const struct lab *l, enum lab_topic t)
{
    const struct lab_node *worst = NULL;

    for (uint32_t i = 0; i < l->sc.nodes; i++) {
        const struct lab_node *n = &l->nodes[i];

        if (n->wanted[t] != 0 &&
            (worst == NULL || n->got[t] * worst->wanted[t] < worst->got[t] * n->wanted[t])) {
            worst = n;
        }
    }
    return worst;
}

uint64_t spread_share_ms(const struct spread *s, uint64_t percent)
{
    uint64_t below = 0;

    for (uint64_t ms = 0; ms < DELAY_MS_MAX; ms++) {
        below += s->by_ms[ms];
        if (below * 100 >= s->reached * percent) {
            return ms;
        }
    }
    return DELAY_MS_MAX;
}

uint64_t spread_within(const struct spread *s, uint64_t within_ns)
{
    uint64_t n = 0;

    for (uint64_t ms = 0; ms < DELAY_MS_MAX && ms * MILLIS(1) < within_ns; ms++) {
        n += s->by_ms[ms];
    }
    return n;
}
