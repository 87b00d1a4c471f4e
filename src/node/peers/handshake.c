/*
 * What peers say to each other before and between the work: status, ping, metadata, goodbye.
 *
 * Spec: consensus-specs specs/phase0/p2p-interface.md "Messages"; fulu's status v2, metadata v3
 */
#include "../node_internal.h"

#include <stdio.h>

#define RECORD_LIED        5.0 /* points: a fork may have passed since it was signed */
#define OTHER_FORK_NS      SECONDS(600)
#define FORK_SKEW_NS       SECONDS(5) /* clocks without NTP are off by so much; a slot is longer */
#define MESSAGE_MAX        256u       /* the largest of these four is 92 bytes */
#define GOODBYE_TIMEOUT_NS SECONDS(1) /* then the connection ends without an answer */

static const struct {
    uint64_t code;
    const char *text;
    uint64_t wait_ns; /* before we dial again; as Prysm does */
} goodbyes[] = {
    {1, "client shut down", SECONDS(3600)}, {2, "irrelevant network", SECONDS(86400)},
    {3, "fault or error", SECONDS(120)},    {128, "unable to verify network", SECONDS(86400)},
    {129, "too many peers", SECONDS(300)},  {250, "bad score", SECONDS(7200)},
    {251, "banned", SECONDS(7200)},         {252, "banned address", SECONDS(7200)},
};

const char *goodbye_text(uint64_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(goodbyes); i++) {
        if (goodbyes[i].code == code) {
            return goodbyes[i].text;
        }
    }
    return "unknown reason";
}

/* ---- values ---- */

static enum err status_write(const struct ssz_type *t, const struct eth_status *s, struct buf *out)
{
    struct ssz_builder *b = ssz_build(t);
    enum err e = ssz_set(b, "fork_digest", view_of(s->fork_digest, 4));

    e = e == E_OK ? ssz_set(b, "finalized_root", view_of(s->finalized_root, 32)) : e;
    e = e == E_OK ? ssz_set_u64(b, "finalized_epoch", s->finalized_epoch) : e;
    e = e == E_OK ? ssz_set(b, "head_root", view_of(s->head_root, 32)) : e;
    e = e == E_OK ? ssz_set_u64(b, "head_slot", s->head_slot) : e;
    if (e == E_OK && ssz_has_field(t, "earliest_available_slot")) {
        e = ssz_set_u64(b, "earliest_available_slot", s->earliest_available_slot);
    }
    e = e == E_OK ? ssz_build_end(b, out) : e;
    ssz_build_free(b);
    return e;
}

static void status_read(const struct ssz_type *t, struct view v, struct eth_status *ret)
{
    memcpy(ret->fork_digest, ssz_bytes(t, v, "fork_digest").p, 4);
    memcpy(ret->finalized_root, ssz_bytes(t, v, "finalized_root").p, 32);
    ret->finalized_epoch = ssz_u64(t, v, "finalized_epoch");
    memcpy(ret->head_root, ssz_bytes(t, v, "head_root").p, 32);
    ret->head_slot = ssz_u64(t, v, "head_slot");
    ret->earliest_available_slot =
        ssz_has_field(t, "earliest_available_slot") ? ssz_u64(t, v, "earliest_available_slot") : 0;
}

static enum err metadata_write(const struct ssz_type *t, const struct node_metadata *m,
                               struct buf *out)
{
    struct ssz_builder *b = ssz_build(t);
    enum err e = ssz_set_u64(b, "seq_number", m->seq);

    e = e == E_OK ? ssz_set(b, "attnets", view_of(m->attnets, 8)) : e;
    if (e == E_OK && ssz_has_field(t, "syncnets")) {
        e = ssz_set(b, "syncnets", view_of(&m->syncnets, 1));
    }
    if (e == E_OK && ssz_has_field(t, "custody_group_count")) {
        e = ssz_set_u64(b, "custody_group_count", m->custody_group_count);
    }
    e = e == E_OK ? ssz_build_end(b, out) : e;
    ssz_build_free(b);
    return e;
}

static void metadata_read(const struct ssz_type *t, struct view v, struct node_metadata *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->seq = ssz_u64(t, v, "seq_number");
    memcpy(ret->attnets, ssz_bytes(t, v, "attnets").p, 8);
    if (ssz_has_field(t, "syncnets")) {
        ret->syncnets = ssz_bytes(t, v, "syncnets").p[0];
    }
    if (ssz_has_field(t, "custody_group_count")) {
        ret->custody_group_count = ssz_u64(t, v, "custody_group_count");
    }
}

/* ---- asking ---- */

static void ask(struct node *n, struct peer *p, enum method m, struct view ssz, uint64_t timeout_ns,
                struct now now)
{
    uint64_t request;

    IGNORE(rpc_request(n->rpc, p->conn, m, ssz, 1, timeout_ns, NULL, now, &request),
           "the tick asks again");
}

static enum fork fork_now(const struct node *n, struct now now)
{
    return network_fork_at(n->cfg.network, epoch_now(n->cfg.network, now.wall_ns));
}

static void ask_status(struct node *n, struct peer *p, enum method m, struct now now)
{
    struct eth_status own;
    struct buf out;

    buf_init(&out, MESSAGE_MAX);
    chain_status(n, now, &own);
    if (status_write(n->methods[m].request_type, &own, &out) == E_OK) {
        ask(n, p, m, buf_view(&out), REQUEST_TIMEOUT_NS, now);
    }
    buf_done(&out);
    p->status_ns = now.mono_ns + STATUS_INTERVAL_NS;
}

static void ask_ping(struct node *n, struct peer *p, struct now now)
{
    uint8_t seq[8];

    store_le64(seq, n->metadata.seq);
    ask(n, p, METHOD_ping_1, view_of(seq, sizeof seq), REQUEST_TIMEOUT_NS, now);
    p->pinged_ns = now.mono_ns;
    p->ping_ns = now.mono_ns + (p->outbound ? PING_OUTBOUND_NS : PING_INBOUND_NS);
}

enum err handshake_goodbye(struct node *n, struct peer *p, enum goodbye reason, struct now now)
{
    uint8_t code[8];
    uint64_t request;

    if (n->cfg.no_chain) {
        return E_UNSUPPORTED;
    }
    store_le64(code, (uint64_t)reason);
    return rpc_request(n->rpc, p->conn, METHOD_goodbye_1, view_of(code, sizeof code), 1,
                       GOODBYE_TIMEOUT_NS, NULL, now, &request);
}

void handshake_begin(struct node *n, struct peer *p, struct now now)
{
    if (n->cfg.no_chain) {
        return; /* identify is all that is said */
    }
    p->ping_ns = now.mono_ns + SECONDS(2);
    p->pings_missed = 0;
    p->status_ns = now.mono_ns + STATUS_WAIT_NS;
    if (p->outbound) {
        ask_status(n, p, method_newest(METHOD_status_1, fork_now(n, now)), now);
    }
}

void handshake_tick(struct node *n, struct peer *p, struct now now)
{
    if (p->goodbye_sent || n->cfg.no_chain) {
        return;
    }
    if (now.mono_ns >= p->status_ns) {
        ask_status(n, p, method_newest(METHOD_status_1, fork_now(n, now)), now);
    }
    if (now.mono_ns >= p->ping_ns) {
        ask_ping(n, p, now);
    }
}

/* It has a block that we cannot link, beyond the head it told of: ask anew, not more often than
 * STATUS_AGAIN_NS. */
void handshake_ask_again(struct peer *p, uint64_t slot, struct now now)
{
    uint64_t next_ns = now.mono_ns + STATUS_INTERVAL_NS - STATUS_AGAIN_NS;

    if (p->has_status && slot > p->status.head_slot && p->status_ns < next_ns) {
        p->status_ns = now.mono_ns;
    }
}

/* ---- what peers say ---- */

/* It may upgrade, or we may: it is asked again, but not soon. The user's own are, by back-off. */
static void stay_away(struct peer *p, struct now now)
{
    if (!p->is_static) {
        p->other_fork = true;
        p->retry_ns = now.mono_ns + OTHER_FORK_NS;
    }
}

/*
 * Around a fork its clock or ours may be a little ahead: then the digest before or after the
 * boundary is right too, and it is asked again behind it.
 */
static bool digest_fits(const struct node *n, struct peer *p, const uint8_t digest[static 4],
                        struct now now)
{
    const struct network *net = n->cfg.network;
    const uint64_t at[] = {now.wall_ns, now.wall_ns - FORK_SKEW_NS, now.wall_ns + FORK_SKEW_NS};

    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        const struct fork_span *s = network_span_at(net, epoch_now(net, at[i]));

        if (memcmp(s->digest, digest, 4) == 0) {
            p->status_ns = i == 0 ? p->status_ns : now.mono_ns + 2 * FORK_SKEW_NS;
            return true;
        }
    }
    return false;
}

static void on_status(struct node *n, struct peer *p, const struct ssz_type *t, struct view ssz,
                      struct now now)
{
    const struct fork_span *ours =
        network_span_at(n->cfg.network, epoch_now(n->cfg.network, now.wall_ns));
    bool first = !p->has_status;
    char id[PEER_ID_TEXT_MAX], addr[ADDR_TEXT_MAX];

    if (p->goodbye_sent) {
        return; /* on its way out */
    }
    status_read(t, ssz, &p->status);
    p->status_ns = now.mono_ns + STATUS_INTERVAL_NS;
    if (!digest_fits(n, p, p->status.fork_digest, now)) {
        LOG(n->log, LOG_INFO, "peers", "peer is on another network or fork",
            L_STR("peer", peer_id_text(&p->id, id)),
            L_HEX("digest", view_of(p->status.fork_digest, 4)),
            L_HEX("ours", view_of(ours->digest, 4)));
        if (p->enr != NULL && peers_of_our_fork(n, p->enr, now)) { /* not what its record says */
            peer_rate(n, p, RATING_DISCOVERY, -RECORD_LIED, E_STATUS_FORK, now);
        }
        peer_note(n, p, WHY_DROPPED_FORK, E_STATUS_FORK, "", now);
        peer_drop(n, p, GOODBYE_IRRELEVANT, E_STATUS_FORK, now);
        stay_away(p, now);
        return;
    }
    if (chain_conflicts(n, &p->status)) {
        peer_note(n, p, WHY_DROPPED_FINALIZED, E_STATUS_FINALIZED, "", now);
        peer_drop(n, p, GOODBYE_IRRELEVANT, E_STATUS_FINALIZED, now);
        stay_away(p, now);
        return;
    }
    p->has_status = true;
    p->failures = 0;
    p->other_fork = false;
    chain_vote(p, p->status.head_root, p->status.head_slot);
    ask_wake(n);
    sync_wake(n, now);
    if (first) {
        peer_note(n, p, WHY_AGREED, E_OK, p->agent, now);
        LOG(n->log, LOG_INFO, "peers", "peer has our network",
            L_STR("peer", peer_id_text(&p->id, id)), L_STR("address", addr_text(&p->addr, addr)),
            L_STR("direction", p->outbound ? "outbound" : "inbound"),
            L_STR("source", peer_source_name(p->source)), L_STR("agent", p->agent),
            L_U64("head_slot", p->status.head_slot), L_U64("peers", n->peers.n_connected));
    }
}

static void note_rtt(struct peer *p, struct now now)
{
    uint64_t rtt_ns = now.mono_ns - p->pinged_ns;

    p->rtt_ns = p->rtt_ns == 0 ? rtt_ns : (p->rtt_ns * 3 + rtt_ns) / 4;
}

static void on_ping_seq(struct node *n, struct peer *p, struct view ssz, struct now now)
{
    uint64_t seq = ssz.n == 8 ? load_le64(ssz.p) : 0;

    if (!p->has_metadata || seq > p->metadata.seq) {
        ask(n, p, method_newest(METHOD_metadata_1, fork_now(n, now)), view_of(NULL, 0),
            REQUEST_TIMEOUT_NS, now);
    }
}

static void on_goodbye(struct node *n, struct peer *p, struct view ssz, struct now now)
{
    uint64_t code = ssz.n == 8 ? load_le64(ssz.p) : 0;
    const char *text = goodbye_text(code);
    uint64_t wait_ns = SECONDS(60);

    for (size_t i = 0; i < ARRAY_LEN(goodbyes); i++) {
        wait_ns = goodbyes[i].code == code ? goodbyes[i].wait_ns : wait_ns;
    }
    p->end_code = code;
    snprintf(p->why, sizeof p->why, "remote said goodbye %llu: %s", (unsigned long long)code, text);
    watch_end(n, code == GOODBYE_TOO_MANY                    ? END_FULL
                 : code == GOODBYE_IRRELEVANT || code == 128 ? END_WRONG_FORK
                                                             : END_OTHER);
    host_close(n->host, p->conn, E_GOODBYE, now);
    if (!p->is_static && !n->cfg.local_network) {
        p->retry_ns = now.mono_ns + wait_ns;
        p->sent_away = true;
    }
}

static void reply(struct node *n, uint64_t call, const struct buf *out)
{
    if (rpc_reply_chunk(n->rpc, call, NULL, buf_view(out)) == E_OK) {
        rpc_reply_end(n->rpc, call);
    }
}

void handshake_on_call(struct node *n, const struct rpc_event *ev, struct now now)
{
    struct peer *p = peer_by_conn(n, ev->conn);
    const struct method_info *m = &n->methods[ev->method];
    struct eth_status own;
    struct buf out;

    buf_init(&out, MESSAGE_MAX);
    enum err e = E_OK;
    if (strcmp(m->name, "status") == 0) {
        chain_status(n, now, &own);
        e = status_write(m->chunk_type, &own, &out);
    } else if (strcmp(m->name, "metadata") == 0) {
        e = metadata_write(m->chunk_type, &n->metadata, &out);
    } else if (strcmp(m->name, "ping") == 0) {
        uint8_t seq[8];

        store_le64(seq, n->metadata.seq);
        e = buf_append(&out, seq, sizeof seq);
    }
    if (e != E_OK) {
        rpc_reply_error(n->rpc, ev->call, RR_SERVER_ERROR, err_text(e));
    } else if (out.n != 0) {
        reply(n, ev->call, &out);
    } else {
        rpc_reply_end(n->rpc, ev->call);
    }
    tell_request(n, ev->conn, false, ev->method, out.n != 0, e == E_OK ? NULL : err_table[e].name);
    buf_done(&out);
    if (p == NULL) {
        return;
    }
    if (strcmp(m->name, "status") == 0) {
        on_status(n, p, m->request_type, ev->data, now);
    } else if (strcmp(m->name, "ping") == 0) {
        on_ping_seq(n, p, ev->data, now);
    } else if (strcmp(m->name, "goodbye") == 0) {
        on_goodbye(n, p, ev->data, now);
    }
}

void handshake_on_answer(struct node *n, const struct rpc_event *ev, struct now now)
{
    struct peer *p = peer_by_conn(n, ev->conn);
    const struct method_info *m = &n->methods[ev->method];

    if (p == NULL) {
        return;
    }
    if (strcmp(m->name, "status") == 0) {
        on_status(n, p, m->chunk_type, ev->data, now);
    } else if (strcmp(m->name, "ping") == 0) {
        p->pings_missed = 0;
        note_rtt(p, now);
        on_ping_seq(n, p, ev->data, now);
    } else if (strcmp(m->name, "metadata") == 0) {
        metadata_read(m->chunk_type, ev->data, &p->metadata);
        p->has_metadata = true;
        subnets_of_metadata(n, &p->id, &p->metadata, &p->serves);
    }
}

/* The link is gone, though nothing has said so: TCP itself would wait for minutes. */
static void ping_missed(struct node *n, struct peer *p, const struct rpc_event *ev, struct now now)
{
    if (ev->error != E_TIMEOUT && ev->error != E_NEGOTIATION_TIMEOUT) {
        return;
    }
    if (++p->pings_missed >= PINGS_MISSED_MAX) {
        host_close(n->host, p->conn, E_UNRESPONSIVE, now);
    }
}

void handshake_on_end(struct node *n, const struct rpc_event *ev, struct now now)
{
    struct peer *p = peer_by_conn(n, ev->conn);
    const struct method_info *m = &n->methods[ev->method];
    enum method older;

    if (p == NULL) {
        return;
    }
    if (p->goodbye_sent) {
        if (m->method == METHOD_goodbye_1) {
            host_close(n->host, p->conn, p->drop_why, now);
        }
        return;
    }
    if (ev->kind == RPC_FAILED && m->method == METHOD_ping_1) {
        ping_missed(n, p, ev, now);
        return;
    }
    /* A peer without the newest version is asked by the one before. */
    if (ev->kind != RPC_FAILED || ev->error != E_MULTISTREAM_NONE || m->version < 2 ||
        !method_by_name(view_str(m->name), m->version - 1, &older)) {
        return;
    }
    if (strcmp(m->name, "status") == 0) {
        ask_status(n, p, older, now);
    } else if (strcmp(m->name, "metadata") == 0) {
        ask(n, p, older, view_of(NULL, 0), REQUEST_TIMEOUT_NS, now);
    }
}
