/* Why there are no peers: how dials and connections ended, told in one line. */
#include "../node_internal.h"

#define NO_PEERS_AGAIN_NS \
    SECONDS(300) /* the line comes after NO_PEERS_AFTER_NS, then doubled up to this */

static const char *const end_names[ENDS] = {
    [END_REFUSED] = "nodes refuse connections: are their addresses stale?",
    [END_TIMED_OUT] = "nodes do not answer: are their addresses stale, is outgoing TCP blocked?",
    [END_WRONG_FORK] = "nodes are of another fork or network: is --network right, is the clock?",
    [END_FULL] = "nodes are full: this passes",
    [END_OTHER] = "nodes end the connection: see the log at level debug",
};

const char *node_end_name(unsigned kind)
{
    static const char *const names[ENDS] = {
        [END_REFUSED] = "refused", [END_TIMED_OUT] = "timed_out", [END_WRONG_FORK] = "wrong_fork",
        [END_FULL] = "full",       [END_OTHER] = "other",
    };

    return kind < ENDS ? names[kind] : NULL;
}

void watch_end(struct node *n, enum end_kind kind)
{
    metric_add(n->metrics, M_ENDS, kind, 1);
    n->discovery.ends[kind]++;
}

enum end_kind watch_kind(enum err e, const char *text)
{
    if (strstr(text, "refused") != NULL) {
        return END_REFUSED;
    }
    if (e == E_TIMEOUT || e == E_UPGRADE_TIMEOUT || e == E_NEGOTIATION_TIMEOUT ||
        e == E_UNRESPONSIVE || strstr(text, "timed out") != NULL) {
        return END_TIMED_OUT;
    }
    return e == E_STATUS_FORK ? END_WRONG_FORK : END_OTHER;
}

static const char *reason(const struct node *n)
{
    const struct discovery *d = &n->discovery;
    enum end_kind most = END_OTHER;

    if (n->cfg.n_boot == 0 && n->peers.by_id.n == 0) {
        return "no boot node is known: give --boot-nodes";
    }
    if (d->engine != NULL && discv5_live_count(d->engine) == 0 && n->peers.by_id.n == 0) {
        return "no boot node answers: is there a way to the Internet, and is UDP open?";
    }
    for (unsigned k = 0; k < ENDS; k++) {
        most = d->ends[k] > d->ends[most] ? (enum end_kind)k : most;
    }
    return d->ends[most] == 0 ? "nodes answer, but none that can be dialled is known yet"
                              : end_names[most];
}

void watch_tick(struct node *n, struct now now)
{
    struct discovery *d = &n->discovery;

    if (n->peers.n_connected != 0) {
        d->watch_ns = now.mono_ns + NO_PEERS_AFTER_NS;
        d->watch_wait_ns = NO_PEERS_AFTER_NS;
        return;
    }
    if (now.mono_ns < d->watch_ns) {
        return;
    }
    LOG(n->log, LOG_WARN, "discovery", "no peers", L_STR("why", reason(n)),
        L_U64("refused", d->ends[END_REFUSED]), L_U64("timed_out", d->ends[END_TIMED_OUT]),
        L_U64("wrong_fork", d->ends[END_WRONG_FORK]), L_U64("full", d->ends[END_FULL]),
        L_U64("other", d->ends[END_OTHER]), L_U64("packets_sent", d->sent),
        L_U64("nodes_live", d->engine == NULL ? 0 : discv5_live_count(d->engine)),
        L_U64("peers_known", n->peers.by_id.n));
    memset(d->ends, 0, sizeof d->ends);
    d->watch_wait_ns = earlier(2 * d->watch_wait_ns, NO_PEERS_AGAIN_NS);
    d->watch_ns = now.mono_ns + d->watch_wait_ns;
}
