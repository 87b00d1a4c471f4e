/* The main job: options into a node on libuv. Nothing is opened before all options are checked. */
#define _GNU_SOURCE
#include "chain_options.h"
#include "commands.h"
#include "keylog.h"
#include "options.h"
#include "own_address.h"
#include "validation_options.h"

#include <api/control.h>
#include <api/http.h>
#include <base/mem.h>
#include <crypto/random.h>
#include <errno.h>
#include <eth/chain_maker.h>
#include <io/io.h>
#include <node/node.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef P2PD_VERSION
#define P2PD_VERSION "0"
#endif

#define PATH_BYTES  512u
#define EXIT_FAILED 1
#define EXIT_USAGE  2

struct run {
    struct options o;
    int code; /* what to exit with when a step fails */
    char datadir[PATH_BYTES];
    struct network *network;
    struct log *log;
    struct metrics *metrics;
    struct ident ident;
    struct store *store;
    struct io_config io_config;
    struct addr http;
    struct io *io;
    struct node *node;
    struct api *api;
    struct control_socket *control;
    struct node_config cfg;
    struct node_checkpoint checkpoint;
    struct enr *boot;
    struct enrtree_url *lists;
    struct multiaddr *boot_addrs, *static_peers;
    struct peer_id *trusted;
    struct addr_range *allow, *deny;
};

PRINTF_LIKE(3, 4) static bool fail(struct run *r, int code, const char *format, ...)
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

/* ---- options into values ---- */

static bool read_network(struct run *r)
{
    const char *dir = option_text(&r->o, OPT_TESTNET_DIR);
    char fault[NETWORK_FAULT_MAX];

    if (dir != NULL && option_given(&r->o, OPT_NETWORK)) {
        return fail(r, EXIT_USAGE, "--network and --testnet-dir exclude each other");
    }
    if (dir != NULL && access(dir, R_OK | X_OK) != 0) {
        return fail(r, EXIT_FAILED, "directory %s: %s; give another --testnet-dir", dir,
                    strerror(errno));
    }
    enum err e = dir != NULL ? network_load_dir(dir, &r->network, fault)
                             : network_builtin(option_text(&r->o, OPT_NETWORK), &r->network, fault);
    if (e != E_OK) {
        return fail(r, e == E_IO ? EXIT_FAILED : EXIT_USAGE, "%s", fault);
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
            return fail(r, EXIT_USAGE, "--%s %s: an IPv4 or IPv6 address without port is wanted",
                        option_name(id), text);
        }
        struct addr *ret = a.family == 4 ? ret4 : ret6;
        if (ret->family != 0) {
            return fail(r, EXIT_USAGE, "--%s %s: one address of each family at most",
                        option_name(id), text);
        }
        *ret = a;
        ret->port = port;
    }
    return true;
}

/* After the addresses: QUIC listens on those of TCP, which goes when it is not wanted. */
static bool read_transports(struct run *r, uint16_t tcp)
{
    struct io_config *c = &r->io_config;
    bool given = option_text(&r->o, OPT_QUIC_PORT) != NULL;
    uint16_t quic =
        given ? (uint16_t)option_u64(&r->o, OPT_QUIC_PORT) : (uint16_t)(tcp == 0 ? 0 : tcp + 1);

    r->cfg.disable_tcp = option_bool(&r->o, OPT_DISABLE_TCP);
    if (option_bool(&r->o, OPT_DISABLE_QUIC)) {
        return !r->cfg.disable_tcp ||
               fail(r, EXIT_USAGE, "--disable-tcp and --disable-quic: one transport is needed");
    }
    if (quic != 0 && quic == c->udp4.port && c->udp4.family + c->udp6.family != 0) {
        return fail(r, EXIT_USAGE, "--quic-port %u is discv5's: each needs a UDP port of its own",
                    (unsigned)quic);
    }
    c->quic4 = c->tcp4;
    c->quic6 = c->tcp6;
    c->quic4.port = c->quic6.port = quic;
    if (r->cfg.disable_tcp) {
        c->tcp4 = c->tcp6 = (struct addr){.family = 0};
    }
    return true;
}

static bool read_listen(struct run *r)
{
    struct io_config *c = &r->io_config;
    uint16_t tcp = (uint16_t)option_u64(&r->o, OPT_PORT);
    uint16_t udp = option_text(&r->o, OPT_DISCOVERY_PORT) == NULL
                       ? tcp
                       : (uint16_t)option_u64(&r->o, OPT_DISCOVERY_PORT);
    char error[OWN_ADDRESS_ERROR_MAX];

    if (!own_address_read(&r->o, &r->cfg, error)) {
        return fail(r, EXIT_USAGE, "%s", error);
    }
    if (!read_addrs(r, OPT_LISTEN_ADDRESS, tcp, &c->tcp4, &c->tcp6) ||
        !read_addrs(r, OPT_HTTP_ADDRESS, (uint16_t)option_u64(&r->o, OPT_HTTP_PORT), &r->http,
                    &r->http)) {
        return false;
    }
    if (!option_bool(&r->o, OPT_DISABLE_DISCOVERY)) {
        c->udp4 = c->tcp4;
        c->udp6 = c->tcp6;
        c->udp4.port = c->udp6.port = udp;
    }
    if (!read_transports(r, tcp)) {
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

/* An ENR's endpoint as a multiaddr: TCP's, if it has one. */
static bool enr_multiaddr(const struct enr *e, struct multiaddr *ret)
{
    struct peer_id id;
    struct host_addr to[HOST_RECORD_ADDRS];
    size_t n = host_addrs_of_record(e, to);

    peer_id_from_secp(e->public, &id);
    if (n != 0) { /* TCP's are behind QUIC's */
        multiaddr_of(to[n - 1].transport == HOST_TCP ? TRANSPORT_TCP : TRANSPORT_QUIC,
                     &to[n - 1].addr, &id, ret);
    }
    return n != 0;
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
    return built_in || fail(r, EXIT_USAGE,
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

static bool read_peers(struct run *r)
{
    struct option_list named = option_list(&r->o, OPT_LIBP2P_ADDRESSES);
    struct option_list trusted = option_list(&r->o, OPT_TRUSTED_PEERS);
    struct enr e;

    r->static_peers = mem_zalloc_array(named.n, sizeof *r->static_peers);
    for (size_t i = 0; i < named.n; i++) {
        bool ok = enr_parse(view_str(named.values[i]), &e) == E_OK
                      ? enr_multiaddr(&e, &r->static_peers[i])
                      : parse_dialable(named.values[i], &r->static_peers[i]);
        if (!ok) {
            return fail(r, EXIT_USAGE,
                        "--libp2p-addresses %s: neither an ENR with a TCP or QUIC port nor a "
                        "multiaddr with "
                        "an IP or a name, /tcp or /udp/quic-v1, and /p2p",
                        named.values[i]);
        }
    }
    r->trusted = mem_zalloc_array(trusted.n, sizeof *r->trusted);
    for (size_t i = 0; i < trusted.n; i++) {
        if (peer_id_parse(view_str(trusted.values[i]), &r->trusted[i]) != E_OK) {
            return fail(r, EXIT_USAGE, "--trusted-peers %s: not a peer id", trusted.values[i]);
        }
    }
    r->cfg.static_peers = r->static_peers;
    r->cfg.n_static = named.n;
    r->cfg.trusted = r->trusted;
    r->cfg.n_trusted = trusted.n;
    return true;
}

static bool read_ranges(struct run *r, enum option id, struct addr_range **ret, size_t *ret_n)
{
    struct option_list l = option_list(&r->o, id);

    *ret = mem_zalloc_array(l.n, sizeof **ret);
    *ret_n = l.n;
    for (size_t i = 0; i < l.n; i++) {
        if (addr_range_parse(l.values[i], &(*ret)[i]) != E_OK) {
            return fail(r, EXIT_USAGE,
                        "--%s %s: not a range of addresses, as in 10.0.0.0/8 or 2001:db8::/32",
                        option_name(id), l.values[i]);
        }
    }
    return true;
}

static bool read_filters(struct run *r)
{
    bool ok = read_ranges(r, OPT_ALLOW_CIDR, &r->allow, &r->cfg.n_allow) &&
              read_ranges(r, OPT_DENY_CIDR, &r->deny, &r->cfg.n_deny);

    r->cfg.allow = r->allow;
    r->cfg.deny = r->deny;
    return ok;
}

static bool read_dns(struct run *r)
{
    struct option_list l = option_list(&r->o, OPT_DNS_SERVER);
    struct io_config *c = &r->io_config;

    for (size_t i = 0; i < l.n; i++) {
        if (c->n_dns == IO_DNS_MAX || addr_parse(l.values[i], &c->dns[c->n_dns]) != E_OK) {
            return fail(r, EXIT_USAGE, "--dns-server %s: at most %u of IP or IP:PORT are wanted",
                        l.values[i], IO_DNS_MAX);
        }
        c->n_dns++;
    }
    return true;
}

static bool read_validation(struct run *r)
{
    char fault[VALIDATION_FAULT_MAX];

    return validation_options(&r->o, &r->cfg, fault) || fail(r, EXIT_USAGE, "%s", fault);
}

static bool read_limits(struct run *r)
{
    const char *text = option_text(&r->o, OPT_INBOUND_LIMITS);
    char fault[SERVE_LIMIT_FAULT_MAX];

    return text == NULL || serve_limits_parse(text, r->cfg.limits, fault) == E_OK ||
           fail(r, EXIT_USAGE, "--%s %s", option_name(OPT_INBOUND_LIMITS), fault);
}

static void log_to_stdout(void *self, enum log_level level, struct view line)
{
    (void)self;
    (void)level;
    fwrite(line.p, 1, line.n, stdout);
    fflush(stdout);
}

static bool read_log(struct run *r)
{
    const char *format = option_text(&r->o, OPT_LOG_FORMAT);
    struct view bad;

    if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0) {
        return fail(r, EXIT_USAGE, "--log-format %s: text or json is wanted", format);
    }
    r->log = log_new(log_to_stdout, NULL, format[0] == 'j' ? LOG_JSON : LOG_TEXT, LOG_INFO);
    if (!log_set_levels(r->log, option_text(&r->o, OPT_LOG_LEVEL), &bad)) {
        return fail(
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

static bool read_options(struct run *r)
{
    const struct options *o = &r->o;
    char fault[CHECKPOINT_FAULT_MAX];

    if (!read_log(r) || !read_network(r) || !read_listen(r) || !read_boot(r) || !read_peers(r) ||
        !read_filters(r) || !read_dns(r) || !read_validation(r) || !read_limits(r)) {
        return false;
    }
    if (!chain_options_read(o, &r->cfg, fault)) {
        return fail(r, EXIT_USAGE, "%s", fault);
    }
    read_anchor(r);
    r->cfg.agent =
        option_text(o, OPT_AGENT) != NULL ? option_text(o, OPT_AGENT) : "beacon-p2pd/" P2PD_VERSION;
    r->cfg.target_peers = (unsigned)option_u64(o, OPT_TARGET_PEERS);
    r->cfg.discovery = !option_bool(o, OPT_DISABLE_DISCOVERY);
    r->cfg.private_discovery =
        option_bool(o, OPT_PRIVATE_DISCOVERY) ||
        (r->cfg.advertised4.family == 4 && !addr_is_public(&r->cfg.advertised4));
    r->cfg.local_network = option_bool(o, OPT_LOCAL_PROFILE);
    r->cfg.all_subnets = option_bool(o, OPT_ALL_SUBNETS);
    r->cfg.make_blocks = option_bool(o, OPT_MAKE_BLOCKS);
    if (r->cfg.make_blocks && !r->cfg.has_anchor) {
        return fail(r, EXIT_USAGE, "--devnet-make-blocks works on a network made by devnet only");
    }
    return true;
}

/* ---- opening ---- */

static bool make_dirs(struct run *r, const char *path)
{
    char part[PATH_BYTES];

    for (size_t i = 1; path[i - 1] != '\0'; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return fail(r, EXIT_FAILED, "cannot make directory %s: %s; give another --datadir",
                        part, strerror(errno));
        }
    }
    if (access(path, R_OK | W_OK | X_OK) != 0) {
        return fail(r, EXIT_FAILED, "directory %s: %s; give another --datadir", path,
                    strerror(errno));
    }
    return true;
}

static bool open_datadir(struct run *r)
{
    const char *given = option_text(&r->o, OPT_DATADIR), *home = getenv("HOME");

    if (given == NULL && home == NULL) {
        return fail(r, EXIT_USAGE, "HOME is not set: give a --datadir");
    }
    int n = given != NULL ? snprintf(r->datadir, sizeof r->datadir, "%s", given)
                          : snprintf(r->datadir, sizeof r->datadir,
                                     "%s/.local/share/beacon-p2pd/%s", home, r->network->name);
    if (n <= 0 || (size_t)n >= sizeof r->datadir) {
        return fail(r, EXIT_USAGE, "--datadir is too long or empty");
    }
    return make_dirs(r, r->datadir);
}

static bool open_key(struct run *r)
{
    char path[PATH_BYTES + 8];

    snprintf(path, sizeof path, "%s/key", r->datadir);
    enum err e = ident_load_or_create(path, random_system(), &r->ident);
    if (e == E_CRYPTO_KEY) {
        return fail(r, EXIT_FAILED,
                    "key file %s is damaged; restore it, or move it away to get a new identity",
                    path);
    }
    if (e != E_OK) {
        return fail(r, EXIT_FAILED, "key file %s cannot be read or made: %s", path, err_text(e));
    }
    r->cfg.ident = &r->ident;
    return true;
}

static bool open_store(struct run *r)
{
    char path[PATH_BYTES + 8], fault[STORE_FAULT_MAX];
    struct store_config cfg = {.dir = path};

    snprintf(path, sizeof path, "%s/store", r->datadir);
    if (store_open(&cfg, &r->store, fault) != E_OK) {
        return fail(r, EXIT_FAILED, "%s", fault);
    }
    r->cfg.store = r->store;
    return true;
}

static bool open_checkpoint(struct run *r)
{
    char fault[CHECKPOINT_FAULT_MAX];

    r->cfg.log = r->log;
    return chain_options_checkpoint(&r->o, &r->cfg, &r->checkpoint, fault) ||
           fail(r, EXIT_FAILED, "%s", fault);
}

static bool open_io(struct run *r)
{
    char error[IO_ERROR_MAX];

    r->io = io_new(&r->io_config, error);
    return r->io != NULL ||
           fail(r, EXIT_FAILED, "%s; give another --port, --discovery-port or --listen-address",
                error);
}

static bool open_keylog(struct run *r)
{
    const char *path = option_text(&r->o, OPT_KEYLOG);

    if (path == NULL) {
        return true;
    }
    r->cfg.keylog = keylog_open(path);
    if (r->cfg.keylog == NULL) {
        return fail(r, EXIT_FAILED, "--keylog %s: %s", path, strerror(errno));
    }
    LOG(r->log, LOG_WARN, "node", "session keys are written to a file", L_STR("file", path));
    return true;
}

static bool open_control(struct run *r)
{
    const char *given = option_text(&r->o, OPT_CONTROL_SOCKET);
    char error[CONTROL_ERROR_MAX], path[PATH_BYTES + 16];

    if (option_bool(&r->o, OPT_NO_CONTROL)) {
        return true;
    }
    snprintf(path, sizeof path, "%s/control.sock", r->datadir);
    if (given == NULL && strlen(path) >= CONTROL_PATH_MAX) {
        LOG(r->log, LOG_WARN, "control",
            "no control socket: the datadir's path is too long for one; give a --control-socket");
        return r->cfg.validation != VALIDATE_EXTERNAL ||
               fail(r, EXIT_USAGE, "--validation external needs a --control-socket here");
    }
    r->control = control_socket_new(given != NULL ? given : path, r->node, r->io, r->log, error);
    return r->control != NULL || fail(r, EXIT_FAILED, "%s", error);
}

static bool open_node(struct run *r)
{
    char error[API_ERROR_MAX];

    if (!open_keylog(r)) {
        return false;
    }
    r->metrics = metrics_new();
    log_set_time(r->log, io_now(r->io).wall_ns);
    r->cfg.log = r->log;
    r->cfg.metrics = r->metrics;
    r->node = node_new(&r->cfg, io_port(r->io), random_system(), io_now(r->io));
    if (r->node == NULL) {
        return fail(r, EXIT_FAILED, "the node cannot start: store or record is not usable");
    }
    if (!open_control(r)) {
        return false;
    }
    if (option_bool(&r->o, OPT_DISABLE_HTTP)) {
        return true;
    }
    struct api_config api = {
        .listen = r->http, .metrics = r->metrics, .version = "beacon-p2pd/" P2PD_VERSION};
    r->api = api_new(&api, r->node, r->io, error);
    return r->api != NULL || fail(r, EXIT_FAILED, "%s", error);
}

static const char *first_text(const struct addr *ip4, const struct addr *ip6,
                              char out[static ADDR_TEXT_MAX])
{
    return ip4->family != 0 ? addr_text(ip4, out) : ip6->family != 0 ? addr_text(ip6, out) : "off";
}

static void tell_listening(struct run *r)
{
    const struct port *p = io_port(r->io);
    char enr[ENR_TEXT_MAX], id[PEER_ID_TEXT_MAX], tcp[ADDR_TEXT_MAX];
    char quic[ADDR_TEXT_MAX], http[ADDR_TEXT_MAX] = "off";
    char url[ADDR_TEXT_MAX + 8];
    struct addr at = r->http;

    if (r->api != NULL) {
        at.port = api_port(r->api);
        addr_text(&at, http);
    }
    snprintf(url, sizeof url, "%s%s", r->api != NULL ? "http://" : "", http);
    LOG(r->log, LOG_INFO, "node", "listening", L_STR("network", r->network->name),
        L_STR("peer_id", peer_id_text(node_peer_id(r->node), id)),
        L_STR("tcp", first_text(&p->tcp4, &p->tcp6, tcp)),
        L_STR("quic", first_text(&p->quic4, &p->quic6, quic)),
        L_U64("udp", p->udp4.family != 0 ? p->udp4.port : p->udp6.port), L_STR("http", url),
        L_STR("datadir", r->datadir), L_STR("enr", enr_text(node_record(r->node), enr)));
}

static void close_all(struct run *r)
{
    api_free(r->api);
    control_socket_free(r->control);
    node_free(r->node);
    io_free(r->io);
    keylog_close(r->cfg.keylog);
    if (r->store != NULL && store_close(r->store) != E_OK) {
        fail(r, EXIT_FAILED, "the last blocks could not be written to %s", r->datadir);
    }
    metrics_free(r->metrics);
    log_free(r->log);
    network_free(r->network);
    blob_unref(r->checkpoint.block);
    mem_free(r->boot);
    mem_free(r->boot_addrs);
    mem_free(r->lists);
    mem_free(r->static_peers);
    mem_free(r->trusted);
    mem_free(r->allow);
    mem_free(r->deny);
    options_done(&r->o);
}

int cmd_run(int argc, char **argv)
{
    struct run *r = mem_zalloc(sizeof *r);
    int code;

    node_config_default(&r->cfg);
    r->code = 0;
    if (!options_parse(&r->o, argc, argv)) {
        r->code = EXIT_USAGE;
    } else if (read_options(r) && open_datadir(r) && open_key(r) && open_store(r) &&
               open_checkpoint(r) && open_io(r) && open_node(r)) {
        tell_listening(r);
        if (!io_run(r->io)) {
            /* A second signal: now, in whatever state. The store takes that as it takes kill -9. */
            fprintf(stderr, "beacon-p2pd: stopped at once\n");
            _exit(EXIT_FAILED);
        }
    }
    close_all(r);
    code = r->code;
    mem_free(r);
    return code;
}
