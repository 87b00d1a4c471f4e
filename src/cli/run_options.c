/* Options of the main job into values: all are checked before anything is opened. */
#define _GNU_SOURCE
#include "chain_options.h"
#include "discovery_options.h"
#include "own_address.h"
#include "run.h"
#include "validation_options.h"
#include "version.h"

#include <base/mem.h>
#include <errno.h>
#include <eth/chain_maker.h>
#include <node/peers.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define AGENT_GIVEN_MAX 128 /* of --agent-string: others cut longer ones */

bool run_fail(struct run *r, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("beacon-p2pd: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    r->code = code;
    return false;
}

static bool read_network(struct run *r)
{
    const char *dir = option_text(&r->o, OPT_TESTNET_DIR);
    char fault[NETWORK_FAULT_MAX];

    enum setting_from named = r->o.from[OPT_NETWORK], in_dir = r->o.from[OPT_TESTNET_DIR];

    dir = named > in_dir ? NULL : dir; /* the stronger place has it */
    if (dir != NULL && named == in_dir) {
        return run_fail(r, EXIT_USAGE, "--network and --testnet-dir exclude each other");
    }
    if (dir == NULL && strcmp(option_text(&r->o, OPT_NETWORK), "none") == 0) {
        r->network = network_none();
        r->cfg.network = r->network;
        r->cfg.no_chain = true;
        return true;
    }
    if (dir != NULL && access(dir, R_OK | X_OK) != 0) {
        return run_fail(r, EXIT_FAILED, "directory %s: %s; give another --testnet-dir", dir,
                        strerror(errno));
    }
    enum err e = dir != NULL ? network_load_dir(dir, &r->network, fault)
                             : network_builtin(option_text(&r->o, OPT_NETWORK), &r->network, fault);
    if (e != E_OK) {
        return run_fail(r, e == E_IO ? EXIT_FAILED : EXIT_USAGE, "%s", fault);
    }
    r->cfg.network = r->network;
    return true;
}

/* One address a family; `port` is put on each. */
static bool read_addrs(struct run *r, enum option id, uint16_t port, struct addr *ret4,
                       struct addr *ret6)
{
    struct option_list l = option_list(&r->o, id);
    const char *fallback = option_text(&r->o, id);
    size_t n = l.n != 0 ? l.n : fallback != NULL;

    for (size_t i = 0; i < n; i++) {
        const char *text = l.n != 0 ? l.values[i] : fallback;
        struct addr a;

        if (addr_parse(text, &a) != E_OK || a.port != 0) {
            return run_fail(r, EXIT_USAGE,
                            "--%s %s: an IPv4 or IPv6 address without port is wanted",
                            option_name(id), text);
        }
        struct addr *ret = a.family == 4 ? ret4 : ret6;
        if (ret->family != 0) {
            return run_fail(r, EXIT_USAGE, "--%s %s: one address of each family at most",
                            option_name(id), text);
        }
        *ret = a;
        ret->port = port;
    }
    return true;
}

/* QUIC's port of one family: given, or the one behind TCP's. */
static uint16_t quic_port(const struct run *r, const struct addr *tcp)
{
    return option_text(&r->o, OPT_QUIC_PORT) != NULL ? (uint16_t)option_u64(&r->o, OPT_QUIC_PORT)
           : tcp->port == 0                          ? 0
                                                     : (uint16_t)(tcp->port + 1);
}

/* After the addresses: QUIC listens on those of TCP, which goes when it is not wanted. */
static bool read_transports(struct run *r)
{
    struct io_config *c = &r->io_config;

    r->cfg.disable_tcp = option_bool(&r->o, OPT_DISABLE_TCP);
    if (option_bool(&r->o, OPT_DISABLE_QUIC)) {
        return !r->cfg.disable_tcp ||
               run_fail(r, EXIT_USAGE, "--disable-tcp and --disable-quic: one transport is needed");
    }
    c->quic4 = c->tcp4;
    c->quic6 = c->tcp6;
    c->quic4.port = quic_port(r, &c->tcp4);
    c->quic6.port = quic_port(r, &c->tcp6);
    const struct addr *quic[] = {&c->quic4, &c->quic6}, *udp[] = {&c->udp4, &c->udp6};
    for (size_t i = 0; i < ARRAY_LEN(quic); i++) {
        if (quic[i]->family != 0 && quic[i]->port != 0 && quic[i]->port == udp[i]->port) {
            return run_fail(r, EXIT_USAGE,
                            "--quic-port %u is discv5's: each needs a UDP port of its own",
                            (unsigned)quic[i]->port);
        }
    }
    if (r->cfg.disable_tcp) {
        c->tcp4 = c->tcp6 = (struct addr){.family = 0};
    }
    return true;
}

/* A second port is for the second family. */
static uint16_t port_of(const struct run *r, enum option id, uint16_t otherwise)
{
    return option_text(&r->o, id) == NULL ? otherwise : (uint16_t)option_u64(&r->o, id);
}

static bool read_listen(struct run *r)
{
    struct io_config *c = &r->io_config;
    uint16_t tcp = (uint16_t)option_u64(&r->o, OPT_PORT);
    uint16_t tcp6 = port_of(r, OPT_PORT6, tcp);
    char error[OWN_ADDRESS_ERROR_MAX];

    if (!own_address_read(&r->o, &r->cfg, error)) {
        return run_fail(r, EXIT_USAGE, "%s", error);
    }
    if (!read_addrs(r, OPT_LISTEN_ADDRESS, tcp, &c->tcp4, &c->tcp6) ||
        !read_addrs(r, OPT_HTTP_ADDRESS, (uint16_t)option_u64(&r->o, OPT_HTTP_PORT), &r->http,
                    &r->http)) {
        return false;
    }
    c->tcp6.port = c->tcp6.family != 0 ? tcp6 : 0;
    if (c->tcp6.family == 0 && option_given(&r->o, OPT_PORT6)) {
        return run_fail(r, EXIT_USAGE, "--port6 needs an IPv6 --listen-address, as in 0.0.0.0,::");
    }
    r->cfg.enr_tcp = (uint16_t)option_u64(&r->o, OPT_ENR_TCP_PORT);
    r->cfg.enr_udp = (uint16_t)option_u64(&r->o, OPT_ENR_UDP_PORT);
    r->cfg.enr_quic = (uint16_t)option_u64(&r->o, OPT_ENR_QUIC_PORT);
    if (r->cfg.discovery) {
        c->udp4 = c->tcp4;
        c->udp6 = c->tcp6;
        c->udp4.port = port_of(r, OPT_DISCOVERY_PORT, tcp);
        c->udp6.port = port_of(r, OPT_DISCOVERY_PORT, tcp6);
    }
    if (!read_transports(r)) {
        return false;
    }
    c->signals = true;
    if (option_given(&r->o, OPT_TEST_WALL_TIME)) {
        struct timespec at;

        clock_gettime(CLOCK_REALTIME, &at);
        c->wall_offset_ns =
            ((int64_t)option_u64(&r->o, OPT_TEST_WALL_TIME) - at.tv_sec) * 1000000000;
    }
    return true;
}

/* What can be dialled: an IP or a name, TCP or QUIC, and the peer's id. A dnsaddr has the rest in
 * DNS. */
static bool parse_dialable(const char *text, struct multiaddr *ret)
{
    struct multiaddr_parts parts;

    if (multiaddr_parse(view_str(text), ret) != E_OK || multiaddr_split(ret, &parts) != E_OK ||
        parts.relayed) {
        return false;
    }
    return parts.name_family == 255 ||
           ((parts.transport == TRANSPORT_TCP || parts.transport == TRANSPORT_QUIC) &&
            parts.has_peer);
}

static bool read_boot_one(struct run *r, const char *text, bool built_in)
{
    if (enr_parse(view_str(text), &r->boot[r->cfg.n_boot]) == E_OK) {
        r->cfg.n_boot++;
        return true;
    }
    if (parse_dialable(text, &r->boot_addrs[r->cfg.n_boot_addrs])) {
        r->cfg.n_boot_addrs++;
        return true;
    }
    if (r->cfg.n_lists < ENRTREE_TREES_MAX &&
        enrtree_url_parse(view_str(text), &r->lists[r->cfg.n_lists]) == E_OK) {
        r->cfg.n_lists++;
        return true;
    }
    return built_in || run_fail(r, EXIT_USAGE,
                                "--boot-nodes %s: neither an ENR nor enrtree://KEY@DOMAIN nor a "
                                "multiaddr with an IP or a name, /tcp or /udp/quic-v1, and /p2p",
                                text);
}

static bool read_boot(struct run *r)
{
    struct option_list l = option_list(&r->o, OPT_BOOT_NODES);
    bool built_in = l.n == 0;
    size_t n = built_in ? r->network->n_bootnodes : l.n;

    r->boot = mem_zalloc_array(n, sizeof *r->boot);
    r->boot_addrs = mem_zalloc_array(n, sizeof *r->boot_addrs);
    r->lists = mem_zalloc_array(ENRTREE_TREES_MAX, sizeof *r->lists);
    for (size_t i = 0; i < n; i++) {
        if (!read_boot_one(r, built_in ? r->network->bootnodes[i] : l.values[i], built_in)) {
            return false;
        }
    }
    r->cfg.boot = r->boot;
    r->cfg.lists = r->lists;
    r->cfg.boot_addrs = r->boot_addrs;
    return true;
}

/* Peers named in any form; with an address, where `dialable`. */
static bool read_named(struct run *r, enum option id, bool dialable, struct node_named *ret)
{
    struct option_list l = option_list(&r->o, id);
    struct node_who w;

    for (size_t i = 0; i < l.n; i++) {
        enum err e = node_who_read(view_str(l.values[i]), &w);

        if (e != E_OK || w.has_range || (dialable && w.n_addrs == 0 && w.addr.n == 0)) {
            return run_fail(r, EXIT_USAGE, "--%s %s: %s is wanted", option_name(id), l.values[i],
                            dialable ? "an ENR with a TCP or QUIC port, an enode URL, or a "
                                       "multiaddr with an IP or a name, /tcp or /udp/quic-v1, and "
                                       "/p2p"
                                     : NODE_WHO_FORMS);
        }
    }
    *ret = (struct node_named){(const char *const *)l.values, l.n};
    return true;
}

static bool read_peers(struct run *r)
{
    return read_named(r, OPT_LIBP2P_ADDRESSES, true, &r->cfg.kept) &&
           read_named(r, OPT_TRUSTED_PEERS, false, &r->cfg.trusted) &&
           read_named(r, OPT_DIRECT_PEERS, true, &r->cfg.direct);
}

static bool read_ranges(struct run *r, enum option id, struct addr_range **ret, size_t *ret_n)
{
    struct option_list l = option_list(&r->o, id);

    *ret = mem_zalloc_array(l.n, sizeof **ret);
    *ret_n = l.n;
    for (size_t i = 0; i < l.n; i++) {
        if (addr_range_parse(l.values[i], &(*ret)[i]) != E_OK) {
            return run_fail(r, EXIT_USAGE,
                            "--%s %s: not a range of addresses, as in 10.0.0.0/8 or 2001:db8::/32",
                            option_name(id), l.values[i]);
        }
    }
    return true;
}

static bool read_filters(struct run *r)
{
    bool ok = read_ranges(r, OPT_ALLOW_CIDR, &r->allow, &r->cfg.n_allow) &&
              read_ranges(r, OPT_DENY_CIDR, &r->deny, &r->cfg.n_deny) &&
              read_ranges(r, OPT_COLOCATED, &r->colocated, &r->cfg.n_colocated);

    r->cfg.allow = r->allow;
    r->cfg.deny = r->deny;
    r->cfg.colocated = r->colocated;
    return ok;
}

static bool read_dns(struct run *r)
{
    struct option_list l = option_list(&r->o, OPT_DNS_SERVER);
    struct io_config *c = &r->io_config;

    for (size_t i = 0; i < l.n; i++) {
        if (c->n_dns == IO_DNS_MAX || addr_parse(l.values[i], &c->dns[c->n_dns]) != E_OK) {
            return run_fail(r, EXIT_USAGE,
                            "--dns-server %s: at most %u of IP or IP:PORT are wanted", l.values[i],
                            IO_DNS_MAX);
        }
        c->n_dns++;
    }
    return true;
}

static bool read_discovery(struct run *r)
{
    char fault[DISCOVERY_FAULT_MAX];

    return discovery_options(&r->o, &r->cfg, fault) || run_fail(r, EXIT_USAGE, "%s", fault);
}

static bool read_validation(struct run *r)
{
    char fault[VALIDATION_FAULT_MAX];

    return validation_options(&r->o, &r->cfg, fault) || run_fail(r, EXIT_USAGE, "%s", fault);
}

static bool read_limits(struct run *r)
{
    const char *text = option_text(&r->o, OPT_INBOUND_LIMITS);
    char fault[SERVE_LIMIT_FAULT_MAX];

    return text == NULL || serve_limits_parse(text, r->cfg.limits, fault) == E_OK ||
           run_fail(r, EXIT_USAGE, "--%s %s", option_name(OPT_INBOUND_LIMITS), fault);
}

static void log_to_stdout(void *self, enum log_level level, struct view line)
{
    struct run *r = self;

    log_ring_add(r->log_ring, level, line);
    progress_hide(&r->progress);
    fwrite(line.p, 1, line.n, stdout);
    fflush(stdout);
    progress_show(&r->progress);
}

static bool read_log(struct run *r)
{
    const char *format = option_text(&r->o, OPT_LOG_FORMAT);
    struct view bad;

    if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0) {
        return run_fail(r, EXIT_USAGE, "--log-format %s: text or json is wanted", format);
    }
    r->log_ring = log_ring_new();
    progress_init(&r->progress, stdout);
    r->log = log_new(log_to_stdout, r, format[0] == 'j' ? LOG_JSON : LOG_TEXT, LOG_INFO);
    if (!log_set_levels(r->log, option_text(&r->o, OPT_LOG_LEVEL), &bad)) {
        return run_fail(
            r, EXIT_USAGE,
            "--log-level: %.*s: error, warn, info, debug or trace is wanted, or module=level",
            (int)bad.n, (const char *)bad.p);
    }
    return true;
}

/* A network made by `devnet` has the chain maker's genesis. */
static void read_anchor(struct run *r)
{
    uint8_t validators_root[32];

    chain_maker_validators_root(validators_root);
    if (memcmp(validators_root, r->network->genesis_validators_root, 32) == 0) {
        r->cfg.has_anchor = true;
        chain_maker_genesis_root(r->network, r->cfg.anchor_root);
    }
}

/* What identify tells: printable ASCII, as logs and pages of others show it. */
static bool read_agent(struct run *r)
{
    const char *given = option_text(&r->o, OPT_AGENT);

    if (given != NULL && option_bool(&r->o, OPT_PRIVATE)) {
        return run_fail(r, EXIT_USAGE, "--private and --agent-string exclude each other");
    }
    for (const char *c = given; c != NULL && *c != '\0'; c++) {
        if (*c < ' ' || *c > '~' || c - given >= AGENT_GIVEN_MAX) {
            return run_fail(r, EXIT_USAGE,
                            "--agent-string: printable ASCII of at most %d characters is wanted",
                            AGENT_GIVEN_MAX);
        }
    }
    r->cfg.agent = option_bool(&r->o, OPT_PRIVATE) ? "" : given != NULL ? given : version_agent();
    return true;
}

bool run_read_options(struct run *r)
{
    const struct options *o = &r->o;
    char fault[CHECKPOINT_FAULT_MAX];

    if (!read_log(r) || !read_network(r) || !read_discovery(r) || !read_listen(r) ||
        !read_boot(r) || !read_peers(r) || !read_filters(r) || !read_dns(r) ||
        !read_validation(r) || !read_limits(r)) {
        return false;
    }
    if (!chain_options_read(o, &r->cfg, fault)) {
        return run_fail(r, EXIT_USAGE, "%s", fault);
    }
    read_anchor(r);
    if (!read_agent(r)) {
        return false;
    }
    r->cfg.memory_max = (size_t)option_u64(o, OPT_MAX_MEMORY) * MIB;
    r->cfg.target_peers = (unsigned)option_u64(o, OPT_TARGET_PEERS);
    r->cfg.dial_rate = (unsigned)option_u64(o, OPT_DIAL_RATE);
    r->cfg.private_discovery =
        option_bool(o, OPT_PRIVATE_DISCOVERY) ||
        (r->cfg.advertised4.family == 4 && !addr_is_public(&r->cfg.advertised4));
    r->cfg.local_network = option_bool(o, OPT_LOCAL_PROFILE);
    r->cfg.no_scoring = option_bool(o, OPT_NO_SCORING);
    r->cfg.all_subnets = option_bool(o, OPT_ALL_SUBNETS);
    r->cfg.upload_max = option_u64(o, OPT_MAX_UPLOAD) * 1000 / 8;
    r->cfg.peer_exchange = option_bool(o, OPT_PEER_EXCHANGE);
    r->cfg.make_blocks = option_bool(o, OPT_MAKE_BLOCKS);
    if (r->cfg.make_blocks && !r->cfg.has_anchor) {
        return run_fail(r, EXIT_USAGE,
                        "--devnet-make-blocks works on a network made by devnet only");
    }
    return true;
}

bool run_find_datadir(struct run *r)
{
    const char *given = option_text(&r->o, OPT_DATADIR), *home = getenv("HOME");

    if (given == NULL && home == NULL) {
        return run_fail(r, EXIT_USAGE, "HOME is not set: give a --datadir");
    }
    int n = given != NULL ? snprintf(r->datadir, sizeof r->datadir, "%s", given)
                          : snprintf(r->datadir, sizeof r->datadir,
                                     "%s/.local/share/beacon-p2pd/%s", home, r->network->name);
    if (n <= 0 || (size_t)n >= sizeof r->datadir) {
        return run_fail(r, EXIT_USAGE, "--datadir is too long or empty");
    }
    return true;
}

void run_free_options(struct run *r)
{
    metrics_free(r->metrics);
    log_free(r->log);
    log_ring_free(r->log_ring);
    network_free(r->network);
    blob_unref(r->checkpoint.block);
    mem_free(r->boot);
    mem_free(r->boot_addrs);
    mem_free(r->lists);
    mem_free(r->allow);
    mem_free(r->deny);
    mem_free(r->colocated);
    options_done(&r->o);
}
