/*
 * Any bytes as a packet before masking, so that the fuzzer sees what the parser sees: what opens,
 * put together again from its parts, has the same header.
 */
#include "../../../../src/proto/discv5/packet.h"

#include <assert.h>
#include <crypto/aes.h>

static const struct node_id own = {{7, 7, 7}};

static void check_parts(const struct packet *p, size_t n)
{
    assert(p->head.p == p->b && p->head.n + p->message.n == n);
    assert(p->nonce >= p->b && p->nonce + NONCE_SIZE <= p->b + p->head.n);
    if (p->flag == PACKET_HANDSHAKE) {
        assert(p->signature + SECP_SIGNATURE == p->ephemeral);
        assert(p->ephemeral + SECP_PUBLIC + p->record.n == p->b + p->head.n);
    }
    assert(p->flag != PACKET_WHOAREYOU || n == DISCV5_PACKET_MIN);
}

static void check_head(const struct packet *p, struct view masked)
{
    static const uint8_t key[KEY_SIZE];
    struct packet_out po = {&p->src, &own, p->b, p->nonce};
    struct handshake_out h = {p->signature, p->ephemeral, p->record, key};
    uint8_t out[DISCV5_PACKET_MAX], challenge[CHALLENGE_DATA];

    switch (p->flag) {
    case PACKET_ORDINARY:
        d5_packet_put_random(&po, p->message, out);
        break;
    case PACKET_WHOAREYOU:
        d5_packet_put_whoareyou(&po, p->b + IV_SIZE + STATIC_HEAD, p->enr_seq, challenge, out);
        assert(view_eq(view_of(challenge, sizeof challenge), p->head));
        break;
    case PACKET_HANDSHAKE:
        if (p->head.n + AES_TAG > DISCV5_PACKET_MAX) {
            return;
        }
        d5_packet_put_handshake(&po, &h, view_of(NULL, 0), out);
        break;
    }
    assert(view_eq(view_of(out, p->head.n), view_of(masked.p, p->head.n)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    uint8_t masked[2 * DISCV5_PACKET_MAX];
    struct packet p;

    n = n < sizeof masked ? n : sizeof masked;
    memcpy(masked, bytes, n);
    if (n > IV_SIZE) {
        aes128_ctr(own.b, masked, 0, masked + IV_SIZE, n - IV_SIZE);
        if (n > IV_SIZE + STATIC_HEAD) { /* the message is not masked */
            size_t head_n = IV_SIZE + STATIC_HEAD + load_be16(bytes + IV_SIZE + STATIC_HEAD - 2);

            if (head_n < n) {
                memcpy(masked + head_n, bytes + head_n, n - head_n);
            }
        }
    }
    if (d5_packet_open(view_of(masked, n), &own, &p) == E_OK) {
        assert(n >= DISCV5_PACKET_MIN && n <= DISCV5_PACKET_MAX);
        check_parts(&p, n);
        check_head(&p, view_of(masked, n));
    }
    return 0;
}
