#include <base/mem.h>
#include <net/names.h>
#include <stdio.h>

#define DNSADDR_FAMILY 255u /* multiaddr_parts.name_family of dnsaddr */

static const char txt_prefix[] = "dnsaddr=";

enum lookup_state { LOOKUP_WAITS, LOOKUP_ASKED, LOOKUP_DONE };

struct lookup {
    enum lookup_state state;
    unsigned depth; /* levels of dnsaddr above it */
    uint64_t request;
    struct multiaddr_parts of;
};

struct task {
    struct task *next; /* oldest first */
    uint64_t number;
    bool has_peer; /* the first dnsaddr ended with it */
    struct peer_id peer;
    struct lookup lookups[NAMES_LOOKUPS_MAX];
    size_t n_lookups, n_done;
    struct multiaddr_parts found[NAMES_FOUND_MAX];
    size_t n_found;
    enum err error; /* of the first lookup that failed */
    char text[NAMES_ERROR_MAX];
};

struct names {
    struct port *port;
    struct task *tasks, *told; /* told: handed out, freed by the next call */
    uint64_t last_task;
    unsigned asked;
};

struct names *names_new(struct port *port)
{
    struct names *n = mem_zalloc(sizeof *n);

    n->port = port;
    return n;
}

void names_free(struct names *n)
{
    if (n == NULL) {
        return;
    }
    for (struct task *t = n->tasks; t != NULL;) {
        struct task *next = t->next;

        mem_free(t);
        t = next;
    }
    mem_free(n->told);
    mem_free(n);
}

static void lookup_done(struct task *t, struct lookup *l, enum err e, const char *why)
{
    l->state = LOOKUP_DONE;
    t->n_done++;
    if (e != E_OK && t->error == E_OK) {
        t->error = e;
        snprintf(t->text, sizeof t->text, "%s: %s", l->of.name, why[0] != '\0' ? why : err_text(e));
    }
}

static void ask(struct names *n, struct task *t, struct lookup *l)
{
    char name[sizeof l->of.name + sizeof "_dnsaddr."];
    bool txt = l->of.name_family == DNSADDR_FAMILY;
    enum port_names kind = txt                      ? NAMES_TEXT
                           : l->of.name_family == 4 ? NAMES_IP4
                           : l->of.name_family == 6 ? NAMES_IP6
                                                    : NAMES_IP;

    snprintf(name, sizeof name, "%s%s", txt ? "_dnsaddr." : "", l->of.name);
    enum err e = n->port->ops->resolve(n->port, name, kind, &l->request);
    if (e != E_OK) {
        lookup_done(t, l, e, "");
        return;
    }
    l->state = LOOKUP_ASKED;
    n->asked++;
}

static void ask_some(struct names *n)
{
    for (struct task *t = n->tasks; t != NULL; t = t->next) {
        for (size_t i = 0; i < t->n_lookups && n->asked < NAMES_AT_ONCE; i++) {
            if (t->lookups[i].state == LOOKUP_WAITS) {
                ask(n, t, &t->lookups[i]);
            }
        }
    }
}

/* ---- what a task has ---- */

static void add_found(struct task *t, const struct multiaddr_parts *parts)
{
    if (t->n_found < NAMES_FOUND_MAX) {
        t->found[t->n_found++] = *parts;
    }
}

static void add_lookup(struct task *t, const struct multiaddr_parts *of, unsigned depth)
{
    if (t->n_lookups < NAMES_LOOKUPS_MAX) {
        t->lookups[t->n_lookups++] = (struct lookup){.of = *of, .depth = depth};
    }
}

enum err names_start(struct names *n, const struct multiaddr_parts *of, uint64_t *ret_task)
{
    struct task **end = &n->tasks;

    if (of->addr.family == 0 && of->name[0] == '\0') {
        return E_ADDRESS;
    }
    struct task *t = mem_zalloc(sizeof *t);
    t->number = *ret_task = ++n->last_task;
    t->has_peer = of->has_peer;
    t->peer = of->peer;
    if (of->addr.family != 0) {
        add_found(t, of);
    } else {
        add_lookup(t, of, 0);
    }
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = t;
    ask_some(n);
    return E_OK;
}

/* ---- answers ---- */

static void take_addrs(struct task *t, const struct lookup *l, const struct port_event *ev)
{
    for (size_t i = 0; i < ev->n_addrs; i++) {
        struct multiaddr_parts parts = l->of;

        parts.addr = ev->addrs[i];
        parts.addr.port = l->of.addr.port;
        parts.name[0] = '\0';
        parts.name_family = 0;
        add_found(t, &parts);
    }
}

/* One TXT record; what is not meant for us, or is damaged, is as good as absent. */
static void take_text(struct task *t, unsigned depth, struct view text)
{
    struct view prefix = view_str(txt_prefix);
    struct multiaddr m;
    struct multiaddr_parts parts;

    if (text.n <= prefix.n || memcmp(text.p, prefix.p, prefix.n) != 0 ||
        multiaddr_parse(view_skip(text, prefix.n), &m) != E_OK ||
        multiaddr_split(&m, &parts) != E_OK || parts.relayed) {
        return;
    }
    if (t->has_peer && !(parts.has_peer && peer_id_eq(&parts.peer, &t->peer))) {
        return;
    }
    if (parts.name_family == DNSADDR_FAMILY) {
        if (depth < NAMES_DEPTH_MAX) {
            add_lookup(t, &parts, depth);
        }
    } else if (parts.transport != TRANSPORT_NONE && parts.addr.family != 0) {
        add_found(t, &parts);
    } else if (parts.transport != TRANSPORT_NONE) {
        add_lookup(t, &parts, depth);
    }
}

static void take_texts(struct task *t, const struct lookup *l, const struct port_event *ev)
{
    struct rd in = rd_of(view_of(ev->bytes, ev->n));
    unsigned depth = l->depth + 1;

    while (rd_left(&in) != 0) {
        uint16_t text_n = rd_be16(&in);
        struct view text = rd_take(&in, text_n);

        if (in.bad) {
            return;
        }
        take_text(t, depth, text);
    }
}

static struct lookup *find(struct names *n, uint64_t request, struct task **ret_task)
{
    for (struct task *t = n->tasks; t != NULL; t = t->next) {
        for (size_t i = 0; i < t->n_lookups; i++) {
            if (t->lookups[i].state == LOOKUP_ASKED && t->lookups[i].request == request) {
                *ret_task = t;
                return &t->lookups[i];
            }
        }
    }
    return NULL;
}

bool names_on_port(struct names *n, const struct port_event *ev)
{
    struct task *t = NULL;
    struct lookup *l = ev->kind == PORT_NAMES ? find(n, ev->request, &t) : NULL;

    if (l == NULL) {
        return false;
    }
    n->asked--;
    if (ev->error == E_OK && l->of.name_family == DNSADDR_FAMILY) {
        take_texts(t, l, ev);
    } else if (ev->error == E_OK) {
        take_addrs(t, l, ev);
    }
    lookup_done(t, l, ev->error, ev->error_text);
    ask_some(n);
    return true;
}

bool names_next(struct names *n, struct names_event *ret)
{
    struct task **at = &n->tasks;

    mem_free(n->told);
    n->told = NULL;
    while (*at != NULL && (*at)->n_done < (*at)->n_lookups) {
        at = &(*at)->next;
    }
    struct task *t = *at;
    if (t == NULL) {
        return false;
    }
    *at = t->next;
    n->told = t;
    *ret = (struct names_event){.task = t->number, .found = t->found, .n_found = t->n_found};
    if (t->n_found == 0) {
        ret->error = t->error != E_OK ? t->error : E_NOT_FOUND;
        snprintf(ret->text, sizeof ret->text, "%s",
                 t->text[0] != '\0' ? t->text : "no address that can be dialled");
    }
    return true;
}
