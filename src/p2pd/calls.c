/* One function a frame: what it says, into the queue. */
#include "conn.h"

#include <stdio.h>
#include <string.h>

/* A frame that is answered by RESULT: its tag. */
static int put_tagged(struct p2pd *p, enum kind kind, struct p2pd_event f)
{
    f.tag = p->tag % INT32_MAX + 1;
    int e = p2pdi_conn_put(p, (int)kind, &f);

    if (e != P2PD_OK) {
        return e;
    }
    p->tag = f.tag;
    return (int)f.tag;
}

static int put_plain(struct p2pd *p, enum kind kind, struct p2pd_event f)
{
    return p2pdi_conn_put(p, (int)kind, &f);
}

/* ---- gossip ---- */

int p2pd_subscribe(struct p2pd *p, enum p2pd_mode mode, const char *topic)
{
    return put_tagged(p, KIND_SUBSCRIBE,
                      (struct p2pd_event){.mode = (uint8_t)mode, .topic = p2pd_text(topic)});
}

int p2pd_unsubscribe(struct p2pd *p, const char *topic)
{
    return put_tagged(p, KIND_UNSUBSCRIBE, (struct p2pd_event){.topic = p2pd_text(topic)});
}

int p2pd_publish(struct p2pd *p, const char *topic, struct p2pd_bytes data)
{
    return put_tagged(p, KIND_PUBLISH,
                      (struct p2pd_event){.topic = p2pd_text(topic), .data = data});
}

int p2pd_join(struct p2pd *p, const char *topic, uint64_t until_slot)
{
    return put_tagged(p, KIND_JOIN,
                      (struct p2pd_event){.time = until_slot, .topic = p2pd_text(topic)});
}

int p2pd_leave(struct p2pd *p, const char *topic)
{
    return put_tagged(p, KIND_LEAVE, (struct p2pd_event){.topic = p2pd_text(topic)});
}

int p2pd_add_topic(struct p2pd *p, const char *topic, enum p2pd_signing signing,
                   enum p2pd_id_rule rule, uint64_t message_max)
{
    return put_tagged(p, KIND_ADD_TOPIC,
                      (struct p2pd_event){.count = message_max,
                                          .low = (uint16_t)rule,
                                          .mode = (uint8_t)signing,
                                          .topic = p2pd_text(topic)});
}

/* ---- peers ---- */

int p2pd_add_peer(struct p2pd *p, const char *multiaddr)
{
    return put_tagged(p, KIND_ADD_PEER, (struct p2pd_event){.text = p2pd_text(multiaddr)});
}

int p2pd_drop_peer(struct p2pd *p, const char *peer_id)
{
    return put_tagged(p, KIND_DROP_PEER, (struct p2pd_event){.text = p2pd_text(peer_id)});
}

int p2pd_request(struct p2pd *p, struct p2pd_bytes peer, const char *method, struct p2pd_bytes ssz,
                 uint64_t chunks_max, uint32_t wait_ms)
{
    return put_tagged(p, KIND_REQUEST,
                      (struct p2pd_event){.count = chunks_max,
                                          .wait = wait_ms,
                                          .peer = peer,
                                          .text = p2pd_text(method),
                                          .data = ssz});
}

int p2pd_order(struct p2pd *p, enum p2pd_order_mode mode, const char *peer_or_range,
               uint64_t seconds, const char *reason)
{
    return put_tagged(p, KIND_ORDER,
                      (struct p2pd_event){.time = seconds,
                                          .mode = (uint8_t)mode,
                                          .text = p2pd_text(peer_or_range),
                                          .data = p2pd_text(reason == NULL ? "" : reason)});
}

int p2pd_kad(struct p2pd *p, enum p2pd_kad_mode mode, const char *key, struct p2pd_bytes data)
{
    return put_tagged(
        p, KIND_KAD,
        (struct p2pd_event){.mode = (uint8_t)mode, .text = p2pd_text(key), .data = data});
}

int p2pd_cancel(struct p2pd *p, uint32_t tag)
{
    return put_plain(p, KIND_CANCEL, (struct p2pd_event){.tag = tag});
}

/* ---- protocols ---- */

int p2pd_serve(struct p2pd *p, enum p2pd_serve_mode mode, const char *protocol,
               unsigned streams_per_peer, uint64_t message_max)
{
    return put_tagged(
        p, KIND_SERVE,
        (struct p2pd_event){
            .count = message_max,
            .low = (uint16_t)(streams_per_peer < UINT16_MAX ? streams_per_peer : UINT16_MAX),
            .mode = (uint8_t)mode,
            .text = p2pd_text(protocol)});
}

int p2pd_unserve(struct p2pd *p, const char *protocol)
{
    return put_tagged(p, KIND_UNSERVE, (struct p2pd_event){.text = p2pd_text(protocol)});
}

int p2pd_open(struct p2pd *p, struct p2pd_bytes peer, const char *protocol)
{
    return put_tagged(p, KIND_OPEN, (struct p2pd_event){.peer = peer, .text = p2pd_text(protocol)});
}

int p2pd_send(struct p2pd *p, uint64_t id, enum p2pd_priority priority, struct p2pd_bytes data)
{
    return put_plain(p, KIND_SEND,
                     (struct p2pd_event){.id = id, .mode = (uint8_t)priority, .data = data});
}

int p2pd_credit(struct p2pd *p, uint64_t id, uint64_t bytes)
{
    return put_plain(p, KIND_CREDIT, (struct p2pd_event){.id = id, .count = bytes});
}

int p2pd_end(struct p2pd *p, uint64_t id)
{
    return put_plain(p, KIND_END, (struct p2pd_event){.id = id});
}

int p2pd_reset(struct p2pd *p, uint64_t id)
{
    return put_plain(p, KIND_RESET, (struct p2pd_event){.id = id});
}

int p2pd_answer(struct p2pd *p, uint64_t id, const uint8_t *context, struct p2pd_bytes data)
{
    struct p2pd_event f = {.id = id, .data = data};

    if (context != NULL) {
        memcpy(f.context, context, sizeof f.context);
    }
    return put_plain(p, KIND_ANSWER, f);
}

int p2pd_refuse(struct p2pd *p, uint64_t id, uint8_t code, const char *text)
{
    return code == 0
               ? P2PD_INVALID
               : put_plain(p, KIND_ANSWER,
                           (struct p2pd_event){.id = id, .code = code, .data = p2pd_text(text)});
}

int p2pd_tell(struct p2pd *p, struct p2pd_bytes peer, const char *protocol, uint64_t type,
              enum p2pd_priority priority, struct p2pd_bytes data)
{
    return put_tagged(p, KIND_TELL,
                      (struct p2pd_event){.count = type,
                                          .mode = (uint8_t)priority,
                                          .peer = peer,
                                          .text = p2pd_text(protocol),
                                          .data = data});
}

int p2pd_ask(struct p2pd *p, struct p2pd_bytes peer, const char *protocol, uint64_t type,
             uint32_t wait_ms, struct p2pd_bytes data)
{
    return put_tagged(p, KIND_TELL,
                      (struct p2pd_event){.count = type,
                                          .wait = wait_ms,
                                          .mode = 0x80 | P2PD_HIGH,
                                          .peer = peer,
                                          .text = p2pd_text(protocol),
                                          .data = data});
}

int p2pd_reply(struct p2pd *p, uint64_t id, uint16_t code, struct p2pd_bytes data)
{
    return put_plain(p, KIND_REPLY, (struct p2pd_event){.id = id, .code = code, .data = data});
}

/* ---- words ---- */

char *p2pd_peer_text(struct p2pd_bytes peer, char out[P2PD_PEER_TEXT_MAX])
{
    static const char digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    uint8_t rest[64];
    size_t n = 0, zeros = 0;

    out[0] = '\0';
    if (peer.n > sizeof rest) {
        return out;
    }
    if (peer.n != 0) {
        memcpy(rest, peer.p, peer.n);
    }
    while (zeros < peer.n && rest[zeros] == 0) {
        zeros++;
    }
    for (size_t from = zeros; from < peer.n;) { /* the last digit first: each round divides by 58 */
        unsigned carry = 0;

        for (size_t i = from; i < peer.n; i++) {
            carry = carry << 8 | rest[i];
            rest[i] = (uint8_t)(carry / 58);
            carry %= 58;
        }
        out[n++] = digits[carry];
        while (from < peer.n && rest[from] == 0) {
            from++;
        }
    }
    for (size_t i = 0; i < zeros; i++) { /* a zero in front is a digit of its own */
        out[n++] = digits[0];
    }
    for (size_t i = 0; i < n / 2; i++) {
        char c = out[i];
        out[i] = out[n - 1 - i];
        out[n - 1 - i] = c;
    }
    out[n] = '\0';
    return out;
}

const char *p2pd_error_text(int error)
{
    static const char *const texts[] = {
        "ok",
        "the system refused",
        "the daemon has closed the connection",
        "the other side does not speak the control protocol, version 1",
        "the daemon does not read: too much waits to be sent",
        "an argument is too long, or of no such value",
        "out of memory",
        "the daemon ended before it listened",
    };
    int i = -error;

    return i < 0 || (size_t)i >= sizeof texts / sizeof texts[0] ? "unknown error" : texts[i];
}

const char *p2pd_version(void)
{
    return P2PD_VERSION;
}
