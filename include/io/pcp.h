/*
 * PCP's MAP: one datagram asks a router for a port, or gives it back; one answers.
 *
 * Spec     RFC 6887 "MAP Opcode Packet Formats", version 2
 * Not done PEER, ANNOUNCE, options: an IPv4 port that leads to us is all that is wanted
 */
#ifndef IO_PCP_H
#define IO_PCP_H

#include <base/addr.h>
#include <base/bytes.h>

#define PCP_MAP_BYTES 60u
#define PCP_NONCE     12u
#define PCP_TCP       6u /* IANA's numbers of protocols */
#define PCP_UDP       17u

struct pcp_map {
    uint8_t nonce[PCP_NONCE]; /* of whoever owns the mapping: without it nobody changes it */
    uint8_t protocol;
    uint16_t port;        /* ours */
    struct addr external; /* of the router: in a question what is wished for, family 0: any */
    uint32_t lease_s;     /* 0: give it back */
};

enum pcp_answer {
    PCP_NOT_OURS, /* no answer to this question: wait on */
    PCP_GRANTED,
    PCP_REFUSED,
    PCP_OTHER_VERSION, /* NAT-PMP's, as routers without PCP have it */
};

/* client: the address that the datagram comes from; IPv4. */
void pcp_put(const struct pcp_map *m, const struct addr *client, uint8_t out[static PCP_MAP_BYTES]);

/* Read what came. PCP_GRANTED fills m->external and m->lease_s. PCP_REFUSED: *ret_code is the
 * router's result code. */
enum pcp_answer pcp_read(struct view datagram, struct pcp_map *m, unsigned *ret_code);
const char *pcp_text(unsigned code); /* why it refuses */

#endif
