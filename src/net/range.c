/* Ranges of addresses, as in "10.0.0.0/8". */
#include <net/host.h>
#include <stdlib.h>

enum err addr_range_parse(const char *text, struct addr_range *ret)
{
    const char *slash = strchr(text, '/');
    size_t n = slash == NULL ? strlen(text) : (size_t)(slash - text);
    char ip[ADDR_TEXT_MAX];
    struct addr_range r = {0};

    if (n >= sizeof ip) {
        return E_ADDRESS;
    }
    memcpy(ip, text, n);
    ip[n] = '\0';
    if (addr_parse(ip, &r.base) != E_OK || r.base.port != 0) {
        return E_ADDRESS;
    }
    unsigned long max = r.base.family == 4 ? 32 : 128, bits = max;
    if (slash != NULL) {
        char *end;
        if (slash[1] < '0' || slash[1] > '9') { /* strtoul would take a sign or a space */
            return E_ADDRESS;
        }
        bits = strtoul(slash + 1, &end, 10);
        if (*end != '\0' || bits > max) {
            return E_ADDRESS;
        }
    }
    r.bits = (uint8_t)bits;
    *ret = r;
    return E_OK;
}

bool addr_range_has(const struct addr_range *r, const struct addr *a)
{
    size_t whole = r->bits / 8, rest = r->bits % 8;

    if (r->base.family != a->family || memcmp(r->base.ip, a->ip, whole) != 0) {
        return false;
    }
    return rest == 0 || (r->base.ip[whole] ^ a->ip[whole]) >> (8 - rest) == 0;
}
