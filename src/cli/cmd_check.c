/*
 * beacon-p2pd check: looks at what a run with the same settings would need, and says what to do
 * about each. It sends nothing, unless --nat asks for the router; it changes nothing.
 */
#define _GNU_SOURCE
#include "commands.h"
#include "files.h"
#include "run.h"

#include <base/mem.h>
#include <crypto/random.h>
#include <errno.h>
#include <io/io.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

/* A slot's messages are taken up to half a second early: MAXIMUM_GOSSIP_CLOCK_DISPARITY. */
#define CLOCK_ERROR_MAX_US 250000
#define DISK_LEAST         (2 * 1024 * MIB) /* a few hours of a public network's blocks and columns */
#define DISK_GOOD          (50 * 1024 * MIB) /* the spec's window of a public network */
#define FILES_EACH         2u                /* per peer: its connection, and one being raced */
#define FILES_OWN          128u              /* store, sockets, API, programs, libraries */

enum finding { FINE, NOTE, BAD };

struct checkup {
    struct run run;
    unsigned n[3];
};

PRINTF_LIKE(4, 5)

static void tell(struct checkup *c, enum finding f, const char *what, const char *format, ...)
{
    static const char *const words[] = {"ok  ", "note", "BAD "};
    va_list args;

    c->n[f]++;
    printf("%s %-9s ", words[f], what);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static void check_clock(struct checkup *c)
{
    struct timex t = {.modes = 0};
    int state = adjtimex(&t);

    if (state < 0) {
        tell(c, NOTE, "clock", "the kernel does not tell its state: %s", strerror(errno));
    } else if (state == TIME_ERROR || (t.status & STA_UNSYNC) != 0) {
        tell(c, BAD, "clock",
             "not synchronised: nobody disciplines it; run chrony or systemd-timesyncd (in a "
             "container: on its host)");
    } else if (t.maxerror > CLOCK_ERROR_MAX_US) {
        tell(c, BAD, "clock",
             "may be %ld ms wrong; slots begin to the second: see chronyc tracking, or timedatectl",
             t.maxerror / 1000);
    } else {
        tell(c, FINE, "clock", "synchronised, at most %ld ms wrong", t.maxerror / 1000);
    }
}

static bool bind_all(struct checkup *c, const struct io_config *cfg)
{
    char error[IO_ERROR_MAX];
    struct io *io = io_new(cfg, error);

    if (io == NULL) {
        tell(c, BAD, "ports",
             "%s; another program has it (ss -lntup tells), or give another --port, "
             "--discovery-port, --quic-port or --listen-address",
             error);
        return false;
    }
    io_free(io);
    return true;
}

static void check_ports(struct checkup *c)
{
    const struct io_config *want = &c->run.io_config;
    struct io_config http = {.tcp4 = c->run.http.family == 4 ? c->run.http : (struct addr){0},
                             .tcp6 = c->run.http.family == 6 ? c->run.http : (struct addr){0}};
    char tcp[ADDR_TEXT_MAX] = "off", udp[ADDR_TEXT_MAX] = "off", quic[ADDR_TEXT_MAX] = "off";
    const struct addr *at[] = {want->tcp4.family != 0 ? &want->tcp4 : &want->tcp6,
                               want->udp4.family != 0 ? &want->udp4 : &want->udp6,
                               want->quic4.family != 0 ? &want->quic4 : &want->quic6};
    char *const to[] = {tcp, udp, quic};

    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        if (at[i]->family != 0) {
            addr_text(at[i], to[i]);
        }
    }
    if (bind_all(c, want)) {
        tell(c, FINE, "ports", "free: TCP %s, discv5 %s, QUIC %s", tcp, udp, quic);
    }
    if (!option_bool(&c->run.o, OPT_DISABLE_HTTP) && bind_all(c, &http)) {
        tell(c,
             addr_is_public(&c->run.http) || strncmp(addr_text(&c->run.http, tcp), "0.", 2) == 0
                 ? NOTE
                 : FINE,
             "http", "%s is free; whoever reaches it may read it, so keep strangers out",
             addr_text(&c->run.http, tcp));
    }
}

static void check_address(struct checkup *c)
{
    const struct node_config *cfg = &c->run.cfg;
    char text[ADDR_TEXT_MAX];
    const struct addr *a = cfg->advertised4.family != 0 ? &cfg->advertised4 : &cfg->advertised6;

    if (a->family == 0) {
        tell(c, cfg->advertised_name == NULL && cfg->nat == NAT_NONE ? NOTE : FINE, "address",
             "%s%s",
             cfg->advertised_name != NULL ? "by the name "
             : cfg->nat != NAT_NONE       ? "what the router says"
                                          : "what peers see, once a dozen agree; behind a router "
                                            "nobody dials us: --nat any, or forward the ports and "
                                            "give --enr-address",
             cfg->advertised_name != NULL ? cfg->advertised_name : "");
    } else if (!addr_is_public(a) && option_text(&c->run.o, OPT_TESTNET_DIR) == NULL) {
        tell(c, BAD, "address", "%s is not public: nodes on the Internet cannot dial it",
             addr_text(a, text));
    } else {
        tell(c, FINE, "address", "%s, as given%s", addr_text(a, text),
             addr_is_public(a) ? "" : "; private: for a network of one's own");
    }
}

static void check_nat(struct checkup *c)
{
    const struct io_config *io = &c->run.io_config;
    struct port_nat nat = {.by = c->run.cfg.nat,
                           .local = io->tcp4,
                           .tcp = io->tcp4.port,
                           .udp = io->udp4.port,
                           .quic = io->quic4.port,
                           .lease_s = 60};
    char text[ADDR_TEXT_MAX];

    if (nat.by == NAT_NONE) {
        tell(c, FINE, "nat",
             "no router is asked; --nat any here asks it, and gives its ports back");
        return;
    }
    rng_fill(random_system(), nat.nonce, sizeof nat.nonce);
    io_nat_run(&nat.job);
    if (nat.error != E_OK) {
        tell(c, BAD, "nat",
             "%s; switch PCP, NAT-PMP or UPnP on in the router, or forward the ports by hand",
             nat.text);
        return;
    }
    tell(c, addr_is_public(&nat.external) ? FINE : BAD, "nat", "the router has %s%s",
         addr_text(&nat.external, text),
         addr_is_public(&nat.external)
             ? ", and gave its ports"
             : ", which is private: there is another router before it "
               "(carrier's NAT), only connections from us will come about");
    nat.remove = true;
    io_nat_run(&nat.job);
}

/* What our record will say, as far as flags decide it. */
static void check_record(struct checkup *c)
{
    const struct node_config *cfg = &c->run.cfg;
    const struct io_config *io = &c->run.io_config;
    unsigned tcp = io->tcp4.port + (io->tcp4.family == 0 ? io->tcp6.port : 0u);
    unsigned udp = io->udp4.port + (io->udp4.family == 0 ? io->udp6.port : 0u);
    unsigned quic = io->quic4.port + (io->quic4.family == 0 ? io->quic6.port : 0u);

    if (udp == 0) {
        tell(c, NOTE, "record", "no port of discv5: nobody finds us by the record");
        return;
    }
    tell(c, FINE, "record", "will say tcp %u, udp %u, quic %u (0: any, or none)",
         cfg->enr_tcp != 0 ? cfg->enr_tcp : tcp, cfg->enr_udp != 0 ? cfg->enr_udp : udp,
         cfg->enr_quic != 0 ? cfg->enr_quic : quic);
}

static void check_identity(struct checkup *c)
{
    char path[PATH_BYTES];
    struct stat at;
    struct ident id;

    (void)snprintf(path, sizeof path, "%.700s/key", c->run.datadir);
    enum err e = ident_load(path, &id);
    if (e == E_NOT_FOUND) {
        tell(c, FINE, "identity", "none yet: the first run makes %s", path);
    } else if (e != E_OK) {
        tell(c, BAD, "identity", "%s cannot be used: %s; beacon-p2pd key import brings one in",
             path, e == E_IO ? strerror(errno) : "it is no key");
    } else if (stat(path, &at) == 0 && (at.st_mode & 077) != 0) {
        tell(c, BAD, "identity", "others may read %s: chmod 600 it, or make a new identity", path);
    } else {
        tell(c, FINE, "identity", "%s", path);
    }
}

static void check_network(struct checkup *c)
{
    bool none = c->run.cfg.n_boot + c->run.cfg.n_boot_addrs + c->run.cfg.n_lists == 0;
    tell(c, none && c->run.cfg.discovery ? NOTE : FINE, "network",
         "%s; %zu boot records, %zu addresses, %zu lists to begin at%s", c->run.network->name,
         c->run.cfg.n_boot, c->run.cfg.n_boot_addrs, c->run.cfg.n_lists,
         none ? ": without --boot-nodes only those that dial us are found" : "");
}

/* The nearest folder that is there: the datadir is made by the first run. */
static void existing_parent(char *path)
{
    while (access(path, F_OK) != 0) {
        char *slash = strrchr(path, '/');

        if (slash == NULL || slash == path) {
            (void)snprintf(path, 3, "%s", slash == NULL ? "." : "/");
            return;
        }
        *slash = '\0';
    }
}

static void check_disk(struct checkup *c)
{
    char at[RUN_PATH_BYTES];
    struct statvfs v;

    (void)snprintf(at, sizeof at, "%s", c->run.datadir);
    existing_parent(at);
    if (access(at, W_OK | X_OK) != 0) {
        tell(c, BAD, "datadir", "%s cannot be written: %s; give another --datadir", at,
             strerror(errno));
        return;
    }
    if (statvfs(at, &v) != 0) {
        tell(c, NOTE, "disk", "%s: %s", at, strerror(errno));
        return;
    }
    uint64_t left = (uint64_t)v.f_bavail * v.f_frsize;
    tell(c,
         left < DISK_LEAST  ? BAD
         : left < DISK_GOOD ? NOTE
                            : FINE,
         "disk", "%llu MiB free for %s%s", (unsigned long long)(left / MIB), c->run.datadir,
         left < DISK_LEAST  ? "; make room, or --serve none keeps little"
         : left < DISK_GOOD ? "; a public network's window may take 50 GiB: --serve none or "
                              "--retain-epochs keep less"
                            : "");
}

static void check_files(struct checkup *c)
{
    unsigned want = c->run.cfg.target_peers * FILES_EACH + FILES_OWN;
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) != 0) {
        tell(c, NOTE, "files", "the limit cannot be read: %s", strerror(errno));
    } else if (l.rlim_cur < want) {
        tell(c, BAD, "files",
             "%llu may be open, %u peers want %u: ulimit -n, or LimitNOFILE= of the unit",
             (unsigned long long)l.rlim_cur, c->run.cfg.target_peers, want);
    } else {
        tell(c, FINE, "files", "%llu may be open, %u peers want %u", (unsigned long long)l.rlim_cur,
             c->run.cfg.target_peers, want);
    }
}

int cmd_check(int argc, char **argv)
{
    struct checkup *c = mem_zalloc(sizeof *c);
    struct run *r = &c->run;

    node_config_default(&r->cfg);
    if (!options_parse(&r->o, argc, argv)) {
        r->code = EXIT_USAGE;
    } else if (run_read_options(r) && run_find_datadir(r)) {
        r->io_config.signals = false;
        check_clock(c);
        check_ports(c);
        check_address(c);
        check_nat(c);
        check_record(c);
        check_network(c);
        check_identity(c);
        check_disk(c);
        check_files(c);
        printf("%u ok, %u to note, %u bad\n", c->n[FINE], c->n[NOTE], c->n[BAD]);
        r->code = c->n[BAD] == 0 ? 0 : EXIT_FAILED;
    }
    run_free_options(r);
    int code = r->code;
    mem_free(c);
    return code;
}
