#include <arpa/inet.h>
#include <base/addr.h>
#include <base/bytes.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:0:0/96 */

struct addr addr_of(uint8_t family, const uint8_t *ip, uint16_t port)
{
    struct addr a = {.family = family, .port = port};

    if (family == 6 && memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0) {
        a.family = 4;
        ip += sizeof mapped_prefix;
    }
    memcpy(a.ip, ip, a.family == 6 ? 16 : 4);
    return a;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    return a->port == b->port && addr_same_ip(a, b);
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static enum err port_parse(const char *text, uint16_t *ret)
{
    uint32_t port = 0;
    size_t n = 0;

    for (; text[n] >= '0' && text[n] <= '9' && n < 6; n++) {
        port = port * 10 + (uint32_t)(text[n] - '0');
    }
    if (n == 0 || text[n] != 0 || port > UINT16_MAX) {
        return E_ADDRESS;
    }
    *ret = (uint16_t)port;
    return E_OK;
}

static enum err ip_parse(const char *text, uint16_t port, struct addr *ret)
{
    uint8_t ip[16];

    if (inet_pton(AF_INET, text, ip) == 1) {
        *ret = addr_of(4, ip, port);
    } else if (inet_pton(AF_INET6, text, ip) == 1) {
        *ret = addr_of(6, ip, port);
    } else {
        return E_ADDRESS;
    }
    return E_OK;
}

enum err addr_parse(const char *text, struct addr *ret)
{
    char host[ADDR_TEXT_MAX];
    const char *from = text, *colon = NULL;
    size_t n = strlen(text);
    uint16_t port = 0;

    if (text[0] == '[') {
        const char *end = strchr(text, ']');

        if (end == NULL || (end[1] != 0 && end[1] != ':')) {
            return E_ADDRESS;
        }
        from = text + 1;
        n = (size_t)(end - from);
        colon = end[1] == ':' ? end + 1 : NULL;
        if (memchr(from, ':', n) == NULL) { /* brackets are for IPv6 */
            return E_ADDRESS;
        }
    } else if (strchr(text, '.') != NULL && strchr(text, ':') == strrchr(text, ':')) {
        colon = strchr(text, ':'); /* more than one colon: an IPv6 address without a port */
        n = colon == NULL ? n : (size_t)(colon - text);
    }
    if (colon != NULL) {
        TRY(port_parse(colon + 1, &port));
    }
    if (n >= sizeof host) {
        return E_ADDRESS;
    }
    memcpy(host, from, n);
    host[n] = 0;
    return ip_parse(host, port, ret);
}

const char *addr_ip_text(const struct addr *a, char out[static ADDR_TEXT_MAX])
{
    if (a->family == 0 ||
        inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, out, ADDR_TEXT_MAX) == NULL) {
        out[0] = '-';
        out[1] = 0;
    }
    return out;
}

const char *addr_text(const struct addr *a, char out[static ADDR_TEXT_MAX])
{
    char ip[ADDR_TEXT_MAX];

    addr_ip_text(a, ip);
    if (a->port == 0 || a->family == 0) {
        snprintf(out, ADDR_TEXT_MAX, "%s", ip);
    } else {
        snprintf(out, ADDR_TEXT_MAX, a->family == 6 ? "[%.45s]:%u" : "%.45s:%u", ip, a->port);
    }
    return out;
}

struct prefix {
    uint8_t bits;
    uint8_t ip[16];
};

static bool in_prefix(const uint8_t *ip, const struct prefix *p)
{
    size_t whole = p->bits / 8;
    unsigned rest = p->bits % 8;

    return memcmp(ip, p->ip, whole) == 0 &&
           (rest == 0 || (uint8_t)(ip[whole] ^ p->ip[whole]) >> (8 - rest) == 0);
}

/* IANA's IPv4 special-purpose registry: what is not globally reachable; and multicast, reserved. */
static const struct prefix not_public4[] = {
    {8, {0}},
    {8, {10}},
    {10, {100, 64}},
    {8, {127}},
    {16, {169, 254}},
    {12, {172, 16}},
    {24, {192, 0, 0}},
    {24, {192, 0, 2}},
    {24, {192, 88, 99}},
    {16, {192, 168}},
    {15, {198, 18}},
    {24, {198, 51, 100}},
    {24, {203, 0, 113}},
    {4, {224}},
    {4, {240}},
};

static const struct prefix global6 = {3, {0x20}}; /* 2000::/3: all that is assigned */
/* Inside of it: protocol assignments with Teredo, documentation twice, 6to4. */
static const struct prefix not_public6[] = {
    {23, {0x20, 0x01}},
    {32, {0x20, 0x01, 0x0d, 0xb8}},
    {16, {0x20, 0x02}},
    {20, {0x3f, 0xff}},
};

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t one[16] = {[15] = 1};

    return (a->family == 4 && a->ip[0] == 127) ||
           (a->family == 6 && memcmp(a->ip, one, sizeof one) == 0);
}

bool addr_is_public(const struct addr *a)
{
    bool is4 = a->family == 4;
    const struct prefix *table = is4 ? not_public4 : not_public6;
    size_t n = is4 ? sizeof not_public4 / sizeof *table : sizeof not_public6 / sizeof *table;

    if (a->family == 0 || (!is4 && !in_prefix(a->ip, &global6))) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (in_prefix(a->ip, &table[i])) {
            return false;
        }
    }
    return true;
}

bool addr_is_unspecified(const struct addr *a)
{
    static const uint8_t zero[16];

    return memcmp(a->ip, zero, sizeof zero) == 0;
}

uint64_t addr_group(const struct addr *a)
{
    uint64_t high = 0;

    for (size_t i = 0; i < 8; i++) {
        high = high << 8 | a->ip[i];
    }
    /* IPv4 groups are numbered inside ff00::/8, multicast, where no peer's /64 can be. */
    return a->family == 6 ? high : 0xffu * (UINT64_C(1) << 56) | high >> 40;
}

uint64_t addr_provider(const struct addr *a)
{
    bool six_to_four = a->family == 6 && load_be16(a->ip) == 0x2002;
    uint64_t family = six_to_four ? 4 : a->family;

    if (family == 4) {
        return family << 32 | load_be16(six_to_four ? a->ip + 2 : a->ip);
    }
    return family << 32 | load_be32(a->ip);
}
