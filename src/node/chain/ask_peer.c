/*
 * What is known of those we ask: how much they give, how fast, and how often they were of no use.
 *
 * A limiter shows itself by a refusal, or by silence. What came in the window before it is then
 * taken for the peer's limit, and asked for no faster; a window used up without a refusal raises it
 * by a quarter, so that one bad moment does not last.
 */
#include "../node_internal.h"

#define WINDOW_NS       SECONDS(10) /* what clients' quotas are counted in */
#define RATE_UNKNOWN    1000u       /* chunks a second, until measured: the new ones are tried */
#define CODE_RATE_LIMIT 139u        /* Lighthouse's "rate limited" */

struct ask_quota *ask_quotas(const struct node *n, conn_id c)
{
    struct ask_quota **q = map_get(&n->asks.peers, &c);

    return q == NULL ? NULL : *q;
}

struct ask_quota *ask_quotas_make(struct node *n, conn_id c)
{
    struct ask_quota **q = map_put(&n->asks.peers, &c, NULL);

    if (q != NULL && *q == NULL) {
        *q = mem_zalloc_array(METHOD_COUNT, sizeof **q);
    }
    return q == NULL ? NULL : *q;
}

uint32_t ask_quota(const struct node *n, conn_id c, enum method m)
{
    const struct ask_quota *q = ask_quotas(n, c);

    return q == NULL ? UINT32_MAX : q[m].lacks ? 0 : q[m].burst == 0 ? UINT32_MAX : q[m].burst;
}

static void set_burst(struct ask_quota *q, uint32_t burst, uint64_t full_at_ns)
{
    q->burst = burst;
    ratelim_init(&q->limit, burst, WINDOW_NS / burst);
    q->limit.full_at_ns = full_at_ns;
}

void ask_quota_spend(struct ask_quota *q, uint32_t chunks, struct now now)
{
    if (q->burst != 0) {
        IGNORE(!ratelim_take(&q->limit, chunks < q->burst ? chunks : q->burst, now.mono_ns),
               "it was looked at by ask_quota_ready()");
    }
}

uint64_t ask_quota_ready(const struct ask_quota *q, uint32_t chunks, struct now now)
{
    return q->burst == 0
               ? now.mono_ns
               : ratelim_ready_ns(&q->limit, chunks < q->burst ? chunks : q->burst, now.mono_ns);
}

void ask_quota_got(struct ask_quota *q, uint32_t chunks, struct now now)
{
    if (now.mono_ns - q->window_ns >= WINDOW_NS) {
        if (q->burst != 0 && q->window_got >= q->burst) {
            set_burst(q, q->burst + q->burst / 4 + 1, q->limit.full_at_ns);
        }
        q->window_ns = now.mono_ns;
        q->window_got = 0;
    }
    q->window_got += chunks;
}

void ask_quota_measure(struct ask_quota *q, uint32_t chunks, uint64_t took_ns)
{
    uint64_t rate = (uint64_t)chunks * SECONDS(1) / (took_ns + 1);
    uint32_t now_rate = rate > UINT32_MAX / 8 ? UINT32_MAX / 8 : (uint32_t)rate + 1;

    q->rate = q->rate == 0 ? now_rate : (q->rate * 3 + now_rate) / 4;
}

/* It had nothing, or failed: others are asked before it, and it is not forgotten. */
void ask_quota_useless(struct ask_quota *q)
{
    q->rate = q->rate / 4 + 1;
}

/* A request of `chunks` was refused or not answered: what this peer gave of late is its limit. */
void ask_quota_refused(struct ask_quota *q, uint32_t chunks, struct now now)
{
    uint32_t burst = q->window_got != 0 ? q->window_got : chunks / 2;

    if (q->burst != 0 && burst > q->burst / 2) {
        burst = q->burst / 2;
    }
    set_burst(q, burst == 0 ? 1 : burst, now.mono_ns + WINDOW_NS); /* empty: a window to refill */
    q->window_ns = now.mono_ns;
    q->window_got = 0;
}

bool ask_is_limiter(const struct rpc_event *ev)
{
    static const char words[] = "rate";

    if (ev->error != E_REQRESP_CODE) {
        return ev->error == E_TIMEOUT;
    }
    for (size_t i = 0; i + 4 <= ev->data.n; i++) {
        if (memcmp(ev->data.p + i, words, 4) == 0) {
            return true;
        }
    }
    return ev->code == CODE_RATE_LIMIT;
}

/* When this peer would have answered `chunks` more, in milliseconds from now: the least is asked.
 */
uint64_t ask_quota_cost(const struct ask_quota *q, uint32_t chunks)
{
    uint64_t rate = q == NULL || q->rate == 0 ? RATE_UNKNOWN : q->rate;
    uint64_t ahead = q == NULL ? 0 : q->under_way;

    return (ahead + 1) * chunks * 1000 / rate;
}
