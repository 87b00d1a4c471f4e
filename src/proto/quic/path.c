/* Our addresses as sockaddr, which ngtcp2 compares and nothing else. */
#include "state.h"

#include <arpa/inet.h>

static ngtcp2_addr put(const struct addr *a, union path_end *out)
{
    if (a->family == 4) {
        out->ip4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&out->ip4.sin_addr, a->ip, 4);
        return (ngtcp2_addr){&out->any, sizeof out->ip4};
    }
    out->ip6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
    memcpy(&out->ip6.sin6_addr, a->ip, 16);
    return (ngtcp2_addr){&out->any, sizeof out->ip6};
}

struct addr quic_path_addr(const ngtcp2_addr *a)
{
    union path_end at;

    memcpy(&at, a->addr, a->addrlen);
    return at.any.sa_family == AF_INET
               ? addr_of(4, (const uint8_t *)&at.ip4.sin_addr, ntohs(at.ip4.sin_port))
               : addr_of(6, (const uint8_t *)&at.ip6.sin6_addr, ntohs(at.ip6.sin6_port));
}

void quic_path_fill(const struct quic *q, const struct addr *remote, struct path_storage *ret)
{
    ret->path = (ngtcp2_path){
        .local = put(remote->family == 4 ? &q->cfg.local4 : &q->cfg.local6, &ret->local),
        .remote = put(remote, &ret->remote),
    };
}
