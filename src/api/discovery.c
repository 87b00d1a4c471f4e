/* /p2pd/v1/discovery: our addresses, three kinds of them, and how the finding of nodes goes. */
#include "api_internal.h"

static json_t *address(const struct addr *a)
{
    char text[ADDR_TEXT_MAX];

    return a->family == 0 ? json_null() : json_string(addr_text(a, text));
}

static json_t *endpoint(const struct node_endpoint *e)
{
    struct addr tcp = e->advertised;

    tcp.port = e->advertised_tcp;
    return json_pack("{s:{s:o, s:o}, s:{s:o, s:i}, s:{s:o, s:o, s:s?}}", "bound", "tcp",
                     address(&e->bound_tcp), "udp", address(&e->bound_udp), "observed", "udp",
                     address(&e->observed), "networks", (int)e->votes, "advertised", "tcp",
                     address(&tcp), "udp", address(&e->advertised), "by", e->by);
}

static json_t *numbers(const uint64_t *bits, size_t words)
{
    json_t *list = json_array();

    for (size_t i = 0; i < 64 * words; i++) {
        if ((bits[i / 64] >> i % 64 & 1) != 0) {
            json_array_append_new(list, json_u64(i));
        }
    }
    return list;
}

void api_discovery(const struct request *q, struct answer *a)
{
    char enr[ENR_TEXT_MAX];
    struct node_discovery d;
    uint64_t sync;

    node_discovery(q->node, &d);
    sync = d.lacks_sync;
    answer_json(a,
                json_pack("{s:{s:b, s:s, s:o, s:o, s:o, s:{s:o, s:o, s:o, s:o, s:o, s:o}, s:o, "
                          "s:{s:o, s:o, s:o}}}",
                          "data", "enabled", d.enabled, "enr", enr_text(node_record(q->node), enr),
                          "seq", json_u64(node_record(q->node)->seq), "ip4", endpoint(&d.v4), "ip6",
                          endpoint(&d.v6), "discv5", "table", json_u64(d.table), "live",
                          json_u64(d.live), "sessions", json_u64(d.sessions), "timeout_ms",
                          json_u64(d.timeout_ns / MILLIS(1)), "packets_sent", json_u64(d.sent),
                          "answers", json_u64(d.answered), "kept_nodes", json_u64(d.kept),
                          "lacking", "attestation", numbers(&d.lacks_attestation, 1), "sync",
                          numbers(&sync, 1), "columns", numbers(d.lacks_columns, 2)));
}
