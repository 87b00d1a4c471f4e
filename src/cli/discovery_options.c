#include "discovery_options.h"

#include <net/dht.h>
#include <string.h>

static bool read_ways(const struct options *o, struct node_config *cfg,
                      char fault[static DISCOVERY_FAULT_MAX])
{
    struct option_list l = option_list(o, OPT_DISCOVERY);
    const char *protocol = option_text(o, OPT_KAD_PROTOCOL);

    cfg->discovery = l.n == 0 && !cfg->no_chain;
    for (size_t i = 0; i < l.n; i++) {
        bool kad = strcmp(l.values[i], "kad") == 0;

        if (!kad && strcmp(l.values[i], "discv5") != 0) {
            (void)snprintf(fault, DISCOVERY_FAULT_MAX,
                           "--discovery %.100s: discv5, kad or both are wanted", l.values[i]);
            return false;
        }
        cfg->discovery = cfg->discovery || !kad;
        cfg->kad_protocol = kad ? protocol : cfg->kad_protocol;
    }
    if (cfg->discovery && cfg->no_chain) {
        (void)snprintf(fault, DISCOVERY_FAULT_MAX,
                       "--discovery discv5 chooses nodes by their chain's fork: with --network "
                       "none kad is what there is");
        return false;
    }
    if (option_bool(o, OPT_DISABLE_DISCOVERY)) {
        cfg->discovery = false;
        cfg->kad_protocol = NULL;
        if (l.n != 0) {
            (void)snprintf(fault, DISCOVERY_FAULT_MAX,
                           "--discovery and --disable-discovery exclude each other");
            return false;
        }
    }
    return true;
}

static bool read_prefixes(const struct options *o, struct node_config *cfg,
                          char fault[static DISCOVERY_FAULT_MAX])
{
    struct option_list l = option_list(o, OPT_KAD_RAW);

    if (l.n > KAD_PREFIXES) {
        (void)snprintf(fault, DISCOVERY_FAULT_MAX, "--kad-raw-prefix: %u at most", KAD_PREFIXES);
        return false;
    }
    for (size_t i = 0; i < l.n; i++) {
        const char *p = l.values[i];
        size_t n = strlen(p);

        if (n < 3 || n >= KAD_PREFIX_MAX || p[0] != '/' || p[n - 1] != '/' ||
            strcmp(p, "/pk/") == 0) {
            (void)snprintf(fault, DISCOVERY_FAULT_MAX,
                           "--kad-raw-prefix %.100s: a name between slashes is wanted, at most %u "
                           "bytes and not /pk/, which has a validator",
                           p, KAD_PREFIX_MAX - 1);
            return false;
        }
    }
    cfg->kad_prefixes = (const char *const *)l.values;
    cfg->n_kad_prefixes = l.n;
    return true;
}

bool discovery_options(const struct options *o, struct node_config *cfg,
                       char fault[static DISCOVERY_FAULT_MAX])
{
    const char *protocol = option_text(o, OPT_KAD_PROTOCOL), *mode = option_text(o, OPT_KAD_MODE);

    if (protocol[0] != '/' || strlen(protocol) >= DHT_PROTOCOL_MAX) {
        (void)snprintf(fault, DISCOVERY_FAULT_MAX,
                       "--kad-protocol %.100s: an id as in /name/kad/1.0.0 is wanted, at most %u "
                       "bytes",
                       protocol, DHT_PROTOCOL_MAX - 1);
        return false;
    }
    if (strcmp(mode, "server") != 0 && strcmp(mode, "client") != 0) {
        (void)snprintf(fault, DISCOVERY_FAULT_MAX, "--kad-mode %.100s: server or client is wanted",
                       mode);
        return false;
    }
    cfg->kad_client = mode[0] == 'c';
    return read_ways(o, cfg, fault) && read_prefixes(o, cfg, fault);
}
