/* Packets: masking, headers, authentication data. Spec: devp2p discv5/discv5-wire.md "Packet
 * Encoding". Private to discv5. */
#ifndef DISCV5_PACKET_H
#define DISCV5_PACKET_H

#include <base/bytes.h>
#include <base/err.h>
#include <proto/discv5.h>

#define NONCE_SIZE     12u
#define IV_SIZE        16u
#define KEY_SIZE       16u
#define ID_NONCE_SIZE  16u
#define STATIC_HEAD    23u /* protocol id 6, version 2, flag 1, nonce 12, authdata size 2 */
#define CHALLENGE_DATA 63u /* iv, static header and authdata of a WHOAREYOU, not masked */

enum packet_flag { PACKET_ORDINARY = 0, PACKET_WHOAREYOU = 1, PACKET_HANDSHAKE = 2 };

/* A packet whose header is readable; the views point into `b`. Nothing of it is authenticated. */
struct packet {
    enum packet_flag flag;
    const uint8_t *nonce; /* NONCE_SIZE; WHOAREYOU: of the packet that it answers */
    struct view head;     /* iv and header: the additional data of the message's encryption */
    struct view message;  /* sealed */
    struct node_id src;   /* ordinary, handshake */
    uint64_t enr_seq;     /* WHOAREYOU */
    const uint8_t *signature, *ephemeral; /* handshake: 64 and 33 bytes */
    struct view record;                   /* handshake: may be empty */
    uint8_t b[DISCV5_PACKET_MAX];
};

/* E_DISCV5_PACKET for everything that is not a packet to `own`. */
CHECKED enum err d5_packet_open(struct view datagram, const struct node_id *own,
                                struct packet *ret);

/* What all packets out have. */
struct packet_out {
    const struct node_id *src, *dest;
    const uint8_t *iv, *nonce; /* IV_SIZE, NONCE_SIZE */
};

/* Writers give the datagram's length; `out` holds DISCV5_PACKET_MAX. `message` is plain. */
size_t d5_packet_put_ordinary(const struct packet_out *p, const uint8_t key[static KEY_SIZE],
                              struct view message, uint8_t *out);
/* A first packet to a node without a session: `noise` stands where a message would. */
size_t d5_packet_put_random(const struct packet_out *p, struct view noise, uint8_t *out);
size_t d5_packet_put_whoareyou(const struct packet_out *p,
                               const uint8_t id_nonce[static ID_NONCE_SIZE], uint64_t enr_seq,
                               uint8_t ret_challenge[static CHALLENGE_DATA], uint8_t *out);

struct handshake_out {
    const uint8_t *signature, *ephemeral; /* 64 and 33 bytes */
    struct view record;                   /* may be empty */
    const uint8_t *key;
};

size_t d5_packet_put_handshake(const struct packet_out *p, const struct handshake_out *h,
                               struct view message, uint8_t *out);

/* The most plain bytes that fit in an ordinary packet. */
#define ORDINARY_ROOM (DISCV5_PACKET_MAX - IV_SIZE - STATIC_HEAD - 32u - 16u)
/* The same for a handshake with a record of full size: what a request may have. */
#define HANDSHAKE_ROOM \
    (DISCV5_PACKET_MAX - IV_SIZE - STATIC_HEAD - 34u - SECP_SIGNATURE - SECP_PUBLIC - ENR_MAX - 16u)

#endif
