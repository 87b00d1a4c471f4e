/*
 * multiaddr: text and binary, for ip4 ip6 ip6zone dns dns4 dns6 dnsaddr tcp udp quic quic-v1 p2p
 * p2p-circuit ws wss tls noise webtransport certhash. An unknown code discards that address.
 * Spec: multiformats/multiaddr; codes: multicodec table.csv
 */
#ifndef CODEC_MULTIADDR_H
#define CODEC_MULTIADDR_H

#include <base/addr.h>
#include <base/bytes.h>
#include <codec/peer_id.h>

#define MULTIADDR_MAX      256u /* binary bytes we accept */
#define MULTIADDR_TEXT_MAX 640u

struct multiaddr { /* owned, comparable bytewise */
    uint16_t n;
    uint8_t b[MULTIADDR_MAX];
};

CHECKED enum err multiaddr_from_bytes(struct view v, struct multiaddr *ret); /* checks every part */
CHECKED enum err multiaddr_parse(struct view text, struct multiaddr *ret);
CHECKED enum err multiaddr_text(const struct multiaddr *m, char *out, size_t cap);

enum transport_kind { TRANSPORT_NONE, TRANSPORT_TCP, TRANSPORT_UDP, TRANSPORT_QUIC };

/* What a dialler needs. */
struct multiaddr_parts {
    enum transport_kind transport;
    struct addr addr;    /* family 0 when a name is given; the port is set in both cases */
    char name[256];      /* dns, dns4, dns6, dnsaddr; empty otherwise */
    uint8_t name_family; /* 4, 6, or 0: either; 255: dnsaddr */
    bool has_peer;
    struct peer_id peer; /* the last /p2p */
    bool relayed;        /* has p2p-circuit: we cannot dial it */
};

CHECKED enum err multiaddr_split(const struct multiaddr *m, struct multiaddr_parts *ret);
/* /ip4|ip6/../tcp/port, with /p2p/peer when peer is not NULL. */
void multiaddr_of(enum transport_kind kind, const struct addr *a, const struct peer_id *peer,
                  struct multiaddr *ret);

#endif
