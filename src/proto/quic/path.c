/* Our addresses as sockaddr, which ngtcp2 compares and nothing else. */
#include "state.h"

#include <arpa/inet.h>

static ngtcp2_addr put(const struct addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip, 4);
        return (ngtcp2_addr){(struct sockaddr *)out, sizeof *in};
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(a->port);
    memcpy(&in6->sin6_addr, a->ip, 16);
    return (ngtcp2_addr){(struct sockaddr *)out, sizeof *in6};
}

void quic_path_fill(const struct quic *q, const struct addr *remote, struct path_storage *ret)
{
    ret->path = (ngtcp2_path){
        .local = put(remote->family == 4 ? &q->cfg.local4 : &q->cfg.local6, &ret->local),
        .remote = put(remote, &ret->remote),
    };
}
