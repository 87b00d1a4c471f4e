#include "world.h"

socklen_t addr_to_sockaddr(const struct addr *a, union io_sockaddr *ret)
{
    memset(ret, 0, sizeof *ret);
    if (a->family == 4) {
        ret->in.sin_family = AF_INET;
        ret->in.sin_port = htons(a->port);
        memcpy(&ret->in.sin_addr, a->ip, 4);
        return sizeof ret->in;
    }
    ret->in6.sin6_family = AF_INET6;
    ret->in6.sin6_port = htons(a->port);
    memcpy(&ret->in6.sin6_addr, a->ip, 16);
    return sizeof ret->in6;
}

bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    *ret = (struct addr){0};
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        ret->family = 4;
        ret->port = ntohs(in.sin_port);
        memcpy(ret->ip, &in.sin_addr, 4);
        return true;
    }
    if (sa->sa_family != AF_INET6) {
        return false;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, sa, sizeof in6);
    ret->port = ntohs(in6.sin6_port);
    if (memcmp(&in6.sin6_addr, mapped, sizeof mapped) == 0) {
        ret->family = 4;
        memcpy(ret->ip, (const uint8_t *)&in6.sin6_addr + 12, 4);
        return true;
    }
    ret->family = 6;
    memcpy(ret->ip, &in6.sin6_addr, 16);
    return true;
}
