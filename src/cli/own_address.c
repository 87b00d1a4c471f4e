#include "own_address.h"

#include <io/io.h>
#include <stdarg.h>
#include <string.h>

#define HOST_NAME_MAX_BYTES 253u /* of DNS */

PRINTF_LIKE(2, 3)

static bool wrong(char error[static OWN_ADDRESS_ERROR_MAX], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error, OWN_ADDRESS_ERROR_MAX, format, args);
    va_end(args);
    return false;
}

/* "NAME", not an address that is mistyped: the last label begins with a letter. */
static bool is_host_name(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const char *dot = strrchr(text, '.'), *last = dot == NULL ? text : dot + 1;

    return strlen(text) <= HOST_NAME_MAX_BYTES && text[strspn(text, allowed)] == '\0' &&
           ((*last >= 'a' && *last <= 'z') || (*last >= 'A' && *last <= 'Z'));
}

static bool set_advertised(struct node_config *cfg, const char *flag, const struct addr *a,
                           char error[static OWN_ADDRESS_ERROR_MAX])
{
    struct addr *to = a->family == 4 ? &cfg->advertised4 : &cfg->advertised6;

    if (to->family != 0) {
        return wrong(error, "--%s: one address of each family at most", flag);
    }
    *to = *a;
    return true;
}

static bool read_advertised(const struct options *o, struct node_config *cfg,
                            char error[static OWN_ADDRESS_ERROR_MAX])
{
    struct option_list l = option_list(o, OPT_ENR_ADDRESS);
    struct addr a;

    for (size_t i = 0; i < l.n; i++) {
        if (addr_parse(l.values[i], &a) == E_OK && a.port == 0) {
            if (!set_advertised(cfg, "enr-address", &a, error)) {
                return false;
            }
        } else if (is_host_name(l.values[i]) && cfg->advertised_name == NULL) {
            cfg->advertised_name = l.values[i];
        } else {
            return wrong(error,
                         "--enr-address %s: an IPv4 or IPv6 address without port is wanted, or one "
                         "name",
                         l.values[i]);
        }
    }
    return true;
}

static bool read_nat(const struct options *o, struct node_config *cfg,
                     char error[static OWN_ADDRESS_ERROR_MAX])
{
    const char *way = option_text(o, OPT_NAT);
    struct addr a;

    if (strncmp(way, "extip:", 6) == 0 && addr_parse(way + 6, &a) == E_OK && a.port == 0) {
        return set_advertised(cfg, "nat extip beside --enr-address", &a, error);
    }
    for (enum port_nat_by by = NAT_NONE; by < NAT_COUNT; by++) {
        if (strcmp(way, port_nat_name(by)) == 0) {
            cfg->nat = by;
            cfg->nat_run = io_nat_run;
            return true;
        }
    }
    return wrong(error, "--nat %s: any, none, upnp, pmp, pcp or extip:IP is wanted", way);
}

bool own_address_read(const struct options *o, struct node_config *cfg,
                      char error[static OWN_ADDRESS_ERROR_MAX])
{
    return read_advertised(o, cfg, error) && read_nat(o, cfg, error);
}
