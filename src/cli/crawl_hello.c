#include "crawl_hello.h"

#include <base/mem.h>
#include <base/ratelim.h>
#include <net/host.h>
#include <stdio.h>

#define ACTIVE_MAX 32u         /* dials and connections at once */
#define HELLO_NS   SECONDS(10) /* from the dial to what identify says */

struct talk {
    conn_id conn; /* 0: free */
    char *agent;
    uint64_t until_ns;
};

struct hello {
    struct hello_config cfg;
    struct host *host;
    struct talk talks[ACTIVE_MAX];
    unsigned active;
    struct ratelim rate;
    uint64_t ready_ns;
};

struct hello *hello_new(const struct hello_config *cfg, struct port *port, struct rng *rng,
                        struct now now)
{
    struct hello *h = mem_zalloc(sizeof *h);
    struct host_config host;

    h->cfg = *cfg;
    h->ready_ns = NEVER;
    if (cfg->per_s != 0) {
        ratelim_init(&h->rate, 1, SECONDS(1) / cfg->per_s);
    }
    host_config_default(&host);
    host.ident = cfg->ident;
    host.conns_max = 2 * ACTIVE_MAX; /* those that are closing, too */
    host.idle_ping_ns = NEVER;
    h->host = host_new(&host, port, rng, NULL, NULL, now);
    return h;
}

void hello_free(struct hello *h)
{
    if (h != NULL) {
        host_free(h->host);
        mem_free(h);
    }
}

bool hello_may(struct hello *h, struct now now)
{
    h->ready_ns = NEVER;
    if (h->active == ACTIVE_MAX) {
        return false;
    }
    if (h->cfg.per_s == 0 || ratelim_take(&h->rate, 1, now.mono_ns)) {
        return true;
    }
    h->ready_ns = ratelim_ready_ns(&h->rate, 1, now.mono_ns);
    return false;
}

static size_t addresses(const struct hello *h, const struct enr *e,
                        struct host_addr ret[static HOST_RECORD_ADDRS])
{
    struct host_addr all[HOST_RECORD_ADDRS];
    size_t n = host_addrs_of_record(e, all), kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (h->cfg.allow_private || addr_is_public(&all[i].addr)) {
            ret[kept++] = all[i];
        }
    }
    return kept;
}

bool hello_begin(struct hello *h, const struct enr *e, char agent[static HELLO_TEXT_MAX],
                 struct now now)
{
    struct host_addr to[HOST_RECORD_ADDRS];
    size_t n = addresses(h, e, to), i = 0;
    struct peer_id id;
    conn_id conn;

    while (i < ACTIVE_MAX && h->talks[i].conn != 0) {
        i++;
    }
    peer_id_from_secp(e->public, &id);
    if (n == 0 || i == ACTIVE_MAX || host_dial_any(h->host, to, n, &id, now, &conn) != E_OK) {
        return false;
    }
    h->talks[i] = (struct talk){conn, agent, now.mono_ns + HELLO_NS};
    h->active++;
    return true;
}

static struct talk *talk_of(struct hello *h, conn_id conn)
{
    for (size_t i = 0; i < ACTIVE_MAX; i++) {
        if (h->talks[i].conn == conn) {
            return &h->talks[i];
        }
    }
    return NULL;
}

/* What a stranger says of itself goes into JSON and CSV: letters that mean something there do not.
 */
static void take_agent(struct talk *t, const char *agent)
{
    size_t n = 0;

    for (; agent[n] != '\0' && n + 1 < HELLO_TEXT_MAX; n++) {
        char c = agent[n];

        t->agent[n] = c <= ' ' || c > '~' || c == '"' || c == '\\' || c == ',' ? '_' : c;
    }
    t->agent[n] = '\0';
}

static void on_event(struct hello *h, const struct host_event *ev, struct now now)
{
    struct talk *t = ev->conn == 0 ? NULL : talk_of(h, ev->conn);

    if (t == NULL) {
        return;
    }
    if (ev->kind == HOST_IDENTIFIED) {
        take_agent(t, ev->identify->agent);
        host_close(h->host, ev->conn, E_SHUTDOWN, now);
    } else if (ev->kind == HOST_DISCONNECTED || ev->kind == HOST_DIAL_FAILED) {
        *t = (struct talk){.conn = 0};
        h->active--;
    }
}

void hello_on_port(struct hello *h, const struct port_event *ev, struct now now)
{
    if (ev->kind == PORT_TICK) {
        host_tick(h->host, now);
        for (size_t i = 0; i < ACTIVE_MAX; i++) {
            struct talk *t = &h->talks[i];

            if (t->conn != 0 && now.mono_ns >= t->until_ns) {
                t->until_ns = NEVER;
                host_close(h->host, t->conn, E_TIMEOUT, now);
            }
        }
        return;
    }
    host_on_port(h->host, ev, now);
}

void hello_turn(struct hello *h, struct now now)
{
    struct host_event ev;

    while (host_next(h->host, &ev)) {
        on_event(h, &ev, now);
    }
    host_flush(h->host, now);
}

uint64_t hello_deadline(const struct hello *h)
{
    uint64_t at = earlier(host_deadline(h->host), h->ready_ns);

    for (size_t i = 0; i < ACTIVE_MAX; i++) {
        at = h->talks[i].conn == 0 ? at : earlier(at, h->talks[i].until_ns);
    }
    return at;
}

unsigned hello_active(const struct hello *h)
{
    return h->active;
}
