#include "world.h"

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    if (a->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(a->port);
    memcpy(&in6->sin6_addr, a->ip, 16);
    return sizeof *in6;
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
