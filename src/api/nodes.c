/* The API's /eth/v1/node: identity, peers, version, health, syncing. */
#include "api_internal.h"

#include <codec/base.h>
#include <eth/topic.h>
#include <stdio.h>

#define ADDRS_MAX 8u

static json_t *p2p_addresses(const struct node *n)
{
    struct multiaddr addrs[ADDRS_MAX];
    char text[MULTIADDR_TEXT_MAX];
    size_t count = node_addrs(n, addrs, ADDRS_MAX);
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        if (multiaddr_text(&addrs[i], text, sizeof text) == E_OK) {
            json_array_append_new(list, json_string(text));
        }
    }
    return list;
}

static json_t *discovery_addresses(const struct node *n)
{
    char addr[ADDR_TEXT_MAX], id[PEER_ID_TEXT_MAX], text[ADDR_TEXT_MAX + 2 * PEER_ID_TEXT_MAX];
    json_t *list = json_array();

    for (uint8_t family = 4; family <= 6; family += 2) {
        struct addr at;

        if (enr_endpoint(node_record(n), family, "udp", &at)) {
            snprintf(text, sizeof text, "/ip%u/%s/udp/%u/p2p/%s", family, addr_ip_text(&at, addr),
                     at.port, peer_id_text(node_peer_id(n), id));
            json_array_append_new(list, json_string(text));
        }
    }
    return list;
}

void api_identity(const struct request *q, struct answer *a)
{
    char id[PEER_ID_TEXT_MAX], enr[ENR_TEXT_MAX];
    struct node_metadata m;

    node_metadata(q->node, &m);
    answer_json(a, json_pack("{s:{s:s, s:s, s:o, s:o, s:{s:o, s:o, s:o, s:o}}}", "data", "peer_id",
                             peer_id_text(node_peer_id(q->node), id), "enr",
                             enr_text(node_record(q->node), enr), "p2p_addresses",
                             p2p_addresses(q->node), "discovery_addresses",
                             discovery_addresses(q->node), "metadata", "seq_number",
                             json_u64(m.seq), "attnets", json_hex(view_of(m.attnets, 8)),
                             "syncnets", json_hex(view_of(&m.syncnets, 1)), "custody_group_count",
                             json_u64(m.custody_group_count)));
}

void api_version(const struct request *q, struct answer *a)
{
    answer_json(a, json_pack("{s:{s:s}}", "data", "version", api_version_of(q->api)));
}

void api_version_2(const struct request *q, struct answer *a)
{
    const char *name = api_version_of(q->api), *version = strchr(name, '/');
    const char *known = api_commit_of(q->api);
    char commit[] = "0x00000000"; /* built outside of a checkout */

    if (known != NULL && strspn(known, "0123456789abcdef") >= 8) {
        memcpy(commit + 2, known, 8);
    }

    answer_json(a, json_pack("{s:{s:{s:s, s:s, s:s, s:s}}}", "data", "beacon_node", "code", "P2",
                             "name", "beacon-p2pd", "version", version == NULL ? name : version + 1,
                             "commit", commit));
}

void api_health(const struct request *q, struct answer *a)
{
    uint64_t status = MHD_HTTP_PARTIAL_CONTENT;
    struct node_head h;

    if (!request_u64(q, a, "syncing_status", &status)) {
        return;
    }
    if (status < 100 || status > 599) {
        answer_error(a, MHD_HTTP_BAD_REQUEST, "syncing_status is a number from 100 to 599");
        return;
    }
    node_head(q->node, &h);
    a->status = !h.started  ? MHD_HTTP_SERVICE_UNAVAILABLE
                : h.syncing ? (unsigned)status
                            : MHD_HTTP_OK;
}

void api_syncing(const struct request *q, struct answer *a)
{
    struct node_head h;

    node_head(q->node, &h);
    /* beside the standard's fields, ours: what is whole, how far it is, how long it takes */
    json_t *own =
        json_pack("{s:o, s:o, s:o, s:o}", "earliest_available_slot", json_u64(h.earliest_slot),
                  "slots_left", json_u64(h.slots_left), "slots_per_second",
                  json_u64(h.slots_per_second), "seconds_left", json_u64(h.seconds_left));
    answer_json(a, json_pack("{s:{s:o, s:o, s:b, s:b, s:b, s:o}}", "data", "head_slot",
                             json_u64(h.slot), "sync_distance", json_u64(h.sync_distance),
                             "is_syncing", h.syncing, "is_optimistic", 1, "el_offline", 1, "p2pd",
                             own));
}
