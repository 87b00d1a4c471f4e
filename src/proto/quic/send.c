/* One datagram at a time: what the protocol owes, and of each stream that has something a turn. */
#include "state.h"

#define VECS_MAX 16u

/* Account for what the library took. */
static void took(struct quic_stream *s, ngtcp2_ssize n, bool fin)
{
    if (n < 0) {
        return;
    }
    quic_stream_sent(s, (size_t)n);
    if (fin && s->sent == s->end) {
        s->fin_sent = true;
    }
    quic_stream_unready(s); /* behind the others, if there is more */
    quic_stream_ready(s);
}

/* Add the next stream's bytes to the packet under way. Returns as ngtcp2_conn_writev_stream(). */
static ngtcp2_ssize add_stream(struct quic_conn *c, struct path_storage *path, uint8_t *out)
{
    struct quic_stream *s = c->ready_first;
    ngtcp2_vec vec[VECS_MAX];
    ngtcp2_pkt_info pi;
    ngtcp2_ssize taken = -1;
    size_t n_vec = 0, bytes = 0;
    uint32_t flags = 0;

    if (s != NULL) {
        n_vec = quic_stream_unsent(s, vec, VECS_MAX, &bytes);
        flags = NGTCP2_WRITE_STREAM_FLAG_MORE;
        if (s->fin_wanted && bytes == s->end - s->sent) {
            flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
        }
    }
    ngtcp2_ssize n = ngtcp2_conn_writev_stream(c->conn, &path->path, &pi, out, QUIC_DATAGRAM_MAX,
                                               &taken, flags, s == NULL ? -1 : (int64_t)s->sid,
                                               n_vec == 0 ? NULL : vec, n_vec, c->q->now.mono_ns);
    if (s == NULL) {
        return n;
    }
    if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED || n == NGTCP2_ERR_STREAM_SHUT_WR ||
        n == NGTCP2_ERR_STREAM_NOT_FOUND) {
        quic_stream_unready(s); /* a wider window, or its end, brings it back */
        return NGTCP2_ERR_WRITE_MORE;
    }
    took(s, taken, (flags & NGTCP2_WRITE_STREAM_FLAG_FIN) != 0);
    return n;
}

/* A path under validation is not the connection's yet, so that each datagram has its own. */
size_t quic_conn_send(struct quic_conn *c, uint8_t out[static QUIC_DATAGRAM_MAX],
                      struct addr *ret_to)
{
    struct path_storage path;
    ngtcp2_ssize n = NGTCP2_ERR_WRITE_MORE;

    if (c->step == STEP_GONE) {
        return 0;
    }
    quic_path_fill(c->q, &c->remote, &path);
    while (n == NGTCP2_ERR_WRITE_MORE) {
        n = add_stream(c, &path, out);
    }
    if (n < 0) {
        quic_conn_failed(c, (int)n);
        return 0;
    }
    if (n == 0) {
        ngtcp2_conn_update_pkt_tx_time(c->conn, c->q->now.mono_ns);
        quic_conn_set_timer(c);
    }
    *ret_to = quic_path_addr(&path.path.remote);
    return (size_t)n;
}
