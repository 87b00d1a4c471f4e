/* Lists of nodes in DNS (EIP-1459): another way to the first peers. */
#include "../node_internal.h"

void lists_init(struct node *n, struct now now)
{
    struct enrtree_config cfg;

    if (n->cfg.n_lists == 0) {
        return;
    }
    enrtree_config_default(&cfg);
    n->lists.engine = enrtree_new(&cfg, n->rng);
    for (size_t i = 0; i < n->cfg.n_lists; i++) {
        IGNORE(enrtree_add(n->lists.engine, &n->cfg.lists[i], now), "the option has that maximum");
    }
}

void lists_done(struct node *n)
{
    enrtree_free(n->lists.engine);
}

/* A candidate for us when it is of our fork; for discv5 a hint where to ask. */
static void on_record(struct node *n, struct view text, struct now now)
{
    struct enr e;
    enum err bad = enr_parse(text, &e);

    if (bad != E_OK) {
        metric_add(n->metrics, M_FAULTS, bad, 1);
        return;
    }
    peers_found(n, &e, SOURCE_DNS, now);
    if (n->discovery.engine != NULL && peers_of_our_fork(n, &e, now)) {
        discv5_add_node(n->discovery.engine, &e, now);
    }
}

static void on_event(struct node *n, const struct enrtree_event *ev, const char *why,
                     struct now now)
{
    switch (ev->kind) {
    case ENRTREE_ROOT:
        LOG(n->log, LOG_INFO, "discovery", "list of nodes in DNS: reading it",
            L_STR("domain", ev->domain), L_U64("seq", ev->seq));
        break;
    case ENRTREE_RECORD:
        on_record(n, ev->text, now);
        break;
    case ENRTREE_FAULT:
        metric_add(n->metrics, M_FAULTS, ev->error, 1);
        LOG(n->log, LOG_WARN, "discovery", "list of nodes in DNS: no good answer, tried again",
            L_STR("domain", ev->domain), L_STR("reason", err_table[ev->error].name),
            L_STR("text", why[0] != '\0' ? why : err_text(ev->error)));
        break;
    case ENRTREE_NOTHING:
        break;
    }
    if (ev->done) {
        LOG(n->log, LOG_INFO, "discovery", "list of nodes in DNS: read",
            L_STR("domain", ev->domain), L_U64("records", ev->count));
    }
}

bool lists_on_port(struct node *n, const struct port_event *ev, struct now now)
{
    struct enrtree_event e;

    if (n->lists.request == 0 || ev->request != n->lists.request) {
        return false;
    }
    n->lists.request = 0;
    enrtree_answer(n->lists.engine, view_of(ev->bytes, ev->n), ev->error, now, &e);
    on_event(n, &e, ev->error_text, now);
    return true;
}

void lists_tick(struct node *n, struct now now)
{
    char name[ENRTREE_NAME_MAX];
    struct enrtree_event ev;

    if (n->lists.engine == NULL || !n->started || n->stopping ||
        !enrtree_next_query(n->lists.engine, now, name)) {
        return;
    }
    enum err e = n->port->ops->resolve(n->port, name, NAMES_TEXT, &n->lists.request);
    if (e != E_OK) {
        enrtree_answer(n->lists.engine, view_of(NULL, 0), e, now, &ev);
        on_event(n, &ev, "", now);
    }
}

uint64_t lists_deadline(const struct node *n)
{
    return n->lists.engine == NULL || n->stopping ? NEVER : enrtree_deadline(n->lists.engine);
}
