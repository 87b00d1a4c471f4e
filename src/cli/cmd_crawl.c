/* beacon-p2pd crawl: ask every node of a network for its table, write what is found. */
#include "commands.h"
#include "crawl_hello.h"
#include "progress.h"
#include "udp_options.h"

#include <base/mem.h>
#include <codec/base.h>
#include <codec/peer_id.h>
#include <crypto/random.h>
#include <errno.h>
#include <inttypes.h>
#include <proto/crawl.h>
#include <stdio.h>
#include <stdlib.h>

#define TELL_EVERY    SECONDS(5)
#define DRAW_EVERY    (SECONDS(1) / 4)
#define CRAWL_RECORDS 65536u /* several times any network of today; 56 bytes each */
/* The start: when nobody at all has answered for this long there is no network here. */
#define NOBODY_AFTER SECONDS(30)

struct sweep {
    struct udp_options o;
    struct crawl_config cfg;
    struct udp_node *udp;
    struct crawl *crawl;
    const char *out; /* NULL: standard output */
    bool csv, all;
    bool connect;                   /* afterwards, to those that answered */
    struct hello *hello;            /* NULL: not yet */
    char (*agents)[HELLO_TEXT_MAX]; /* by the order of crawl_next() */
    uint32_t hello_n, hello_at;     /* nodes; the next one to be dialled */
    bool has_digest;
    uint8_t digest[4];
    uint64_t seconds_max, start_ns, tell_ns;
    struct rng *rng;
    struct progress progress;
};

/* ---- output ---- */

struct line {
    char id[67], digest[11], attnets[19], peer[PEER_ID_TEXT_MAX];
    char address[4][ADDR_TEXT_MAX]; /* udp, udp6, tcp, tcp6 */
    char cgc[24], enr[ENR_TEXT_MAX];
    const char *client;
};

static void hex_field(const struct enr *e, const char *key, size_t want, size_t take, char *out)
{
    struct view v;

    out[0] = '\0';
    if (enr_get(e, key, &v) && v.n == want) {
        memcpy(out, "0x", 2);
        hex_put(view_of(v.p, take), out + 2);
    }
}

static void fill(const struct enr *e, struct line *l)
{
    struct peer_id peer;
    uint64_t cgc;

    *l = (struct line){.id = "0x"};
    hex_put(view_of(e->id.b, sizeof e->id.b), l->id + 2);
    hex_field(e, "eth2", 16, 4, l->digest);
    hex_field(e, "attnets", 8, 8, l->attnets);
    peer_id_from_secp(e->public, &peer);
    peer_id_text(&peer, l->peer);
    for (unsigned i = 0; i < 4; i++) {
        struct addr a;

        if (enr_endpoint(e, i % 2 == 0 ? 4 : 6, i < 2 ? "udp" : "tcp", &a)) {
            addr_text(&a, l->address[i]);
        }
    }
    if (enr_get_u64(e, "cgc", &cgc)) {
        snprintf(l->cgc, sizeof l->cgc, "%" PRIu64, cgc);
    }
    enr_text(e, l->enr);
}

static void write_node(const struct sweep *s, const struct crawl_node *n, uint32_t index, FILE *to)
{
    struct line l;

    fill(&n->enr, &l);
    l.client = index < s->hello_n ? s->agents[index] : "";
    fprintf(to,
            s->csv
                ? "%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%" PRIu64 ",%u,%s,%s\n"
                : "{\"id\":\"%s\",\"peer\":\"%s\",\"answered\":%s,\"udp\":\"%s\",\"udp6\":\"%s\","
                  "\"tcp\":\"%s\",\"tcp6\":\"%s\",\"fork_digest\":\"%s\",\"attnets\":\"%s\","
                  "\"cgc\":\"%s\",\"seq\":\"%" PRIu64
                  "\",\"records\":%u,\"client\":\"%s\",\"enr\":\"%s\"}\n",
            l.id, l.peer, n->answered ? "true" : "false", l.address[0], l.address[1], l.address[2],
            l.address[3], l.digest, l.attnets, l.cgc, n->enr.seq, (unsigned)n->records, l.client,
            l.enr);
}

static bool is_wanted(const struct sweep *s, const struct crawl_node *n)
{
    struct view v;

    return (s->all || n->answered) &&
           (!s->has_digest || (enr_get(&n->enr, "eth2", &v) && v.n == 16 &&
                               memcmp(v.p, s->digest, sizeof s->digest) == 0));
}

static int write_all(const struct sweep *s)
{
    FILE *to = s->out == NULL ? stdout : fopen(s->out, "w");
    const struct crawl_node *n;
    struct crawl_stats stats = crawl_stats(s->crawl);
    uint32_t at = 0, written = 0;
    bool bad;

    if (to == NULL) {
        fprintf(stderr, "beacon-p2pd crawl: %s: %s\n", s->out, strerror(errno));
        return 1;
    }
    if (s->csv) {
        fputs("id,peer,answered,udp,udp6,tcp,tcp6,fork_digest,attnets,cgc,seq,records,client,enr\n",
              to);
    }
    while ((n = crawl_next(s->crawl, &at)) != NULL) {
        if (is_wanted(s, n)) {
            write_node(s, n, at - 1, to);
            written++;
        }
    }
    bad = ferror(to) != 0;
    bad = (to == stdout ? fflush(to) : fclose(to)) != 0 || bad;
    fprintf(stderr,
            "crawl: %u nodes known, %u answered, %u silent, %u written; %" PRIu64 " requests in "
            "%" PRIu64 " s\n",
            (unsigned)stats.known, (unsigned)stats.answered, (unsigned)stats.silent,
            (unsigned)written, stats.requests,
            (udp_node_now(s->udp).mono_ns - s->start_ns) / SECONDS(1));
    return bad || stats.answered == 0 ? 1 : 0;
}

/* ---- the run ---- */

/* The sweep is over: say hello, one by one, as fast as the rate allows. True: all have been asked.
 */
static bool say_hello(struct sweep *s, struct now now)
{
    const struct crawl_node *node;

    if (s->hello == NULL) {
        struct hello_config cfg = {.ident = udp_node_ident(s->udp),
                                   .per_s = s->cfg.per_s,
                                   .allow_private = s->o.node.engine.allow_private};

        s->hello_n = crawl_stats(s->crawl).known;
        s->agents = mem_zalloc_array(s->hello_n + 1, sizeof *s->agents);
        s->hello = hello_new(&cfg, udp_node_port(s->udp), s->rng, now);
    }
    hello_turn(s->hello, now);
    while (s->hello_at < s->hello_n && hello_may(s->hello, now)) {
        do {
            node = crawl_next(s->crawl, &s->hello_at);
        } while (s->hello_at < s->hello_n && !(node->answered && is_wanted(s, node)));
        if (node->answered && is_wanted(s, node)) {
            hello_begin(s->hello, &node->enr, s->agents[s->hello_at - 1], now);
        }
    }
    hello_turn(s->hello, now);
    return s->hello_at == s->hello_n && hello_active(s->hello) == 0;
}

static void on_other(void *self, const struct port_event *ev, struct now now)
{
    struct sweep *s = self;

    if (s->hello != NULL) {
        hello_on_port(s->hello, ev, now);
    }
}

static void on_event(void *self, const struct discv5_event *ev, struct now now)
{
    struct sweep *s = self;

    if (s->hello == NULL) {
        crawl_event(s->crawl, ev, now);
    }
}

/* A bar on a terminal; else a line now and then. */
static void tell(struct sweep *s, const struct crawl_stats *stats)
{
    unsigned done = (unsigned)(stats->known - stats->waiting - stats->under_way);
    char line[PROGRESS_TEXT];

    snprintf(line, sizeof line, "%u known, %u answered, %u silent, %u to ask, %u under way",
             (unsigned)stats->known, (unsigned)stats->answered, (unsigned)stats->silent,
             (unsigned)stats->waiting, (unsigned)stats->under_way);
    if (!progress_is_on(&s->progress)) {
        fprintf(stderr, "crawl: %s; at most %u requests a second\n", line, s->cfg.per_s);
    } else if (s->hello != NULL) {
        progress_set(&s->progress, s->hello_n == 0 ? 1 : (double)s->hello_at / s->hello_n,
                     "who is it: %u of %u", (unsigned)s->hello_at, (unsigned)s->hello_n);
    } else {
        progress_set(&s->progress, stats->known == 0 ? 0 : (double)done / stats->known, "%s", line);
    }
}

static uint64_t on_turn(void *self, struct now now)
{
    struct sweep *s = self;
    struct crawl_stats stats = crawl_stats(s->crawl);
    uint64_t end = s->seconds_max == 0 ? NEVER : s->start_ns + SECONDS(s->seconds_max);

    if (s->hello == NULL) {
        crawl_step(s->crawl, now);
    }
    if (now.mono_ns >= s->tell_ns) {
        tell(s, &stats);
        s->tell_ns = now.mono_ns + (progress_is_on(&s->progress) ? DRAW_EVERY : TELL_EVERY);
    }
    bool over = crawl_done(s->crawl) && stats.known > 0;

    if ((over && (!s->connect || say_hello(s, now))) || now.mono_ns >= end ||
        (stats.answered == 0 && now.mono_ns - s->start_ns > NOBODY_AFTER)) {
        udp_node_stop(s->udp);
    }
    return earlier(s->hello != NULL ? hello_deadline(s->hello) : crawl_deadline(s->crawl),
                   earlier(s->tell_ns, end));
}

static int run(struct sweep *s)
{
    int code;

    s->udp = udp_node_new(&s->o.node);
    if (s->udp == NULL) {
        return 1;
    }
    udp_node_set_self(s->udp, s);
    s->start_ns = udp_node_now(s->udp).mono_ns;
    s->crawl = crawl_new(&s->cfg, udp_node_engine(s->udp), s->rng, udp_node_now(s->udp));
    for (size_t i = 0; i < s->o.boots_n; i++) {
        discv5_add_boot(udp_node_engine(s->udp), &s->o.boots[i], udp_node_now(s->udp));
        crawl_add(s->crawl, &s->o.boots[i]);
    }
    progress_init(&s->progress, stderr);
    IGNORE(udp_node_run(s->udp), "what was found is written in any case");
    progress_end(&s->progress);
    code = write_all(s);
    crawl_free(s->crawl);
    hello_free(s->hello);
    mem_free(s->agents);
    udp_node_free(s->udp);
    return code;
}

static int wrong(const char *option, const char *why)
{
    fprintf(stderr, "beacon-p2pd crawl: %s: %s; see beacon-p2pd crawl --help\n", option, why);
    return 2;
}

static bool read_u64(const char *text, uint64_t max, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && *ret <= max;
}

static int take_own(struct sweep *s, int argc, char **argv, int *i)
{
    const char *option = argv[*i], *value;
    uint64_t x;
    size_t n;

    if (strcmp(option, "--csv") == 0 || strcmp(option, "--all") == 0 ||
        strcmp(option, "--connect") == 0) {
        *(option[2] == 'a' ? &s->all : option[3] == 's' ? &s->csv : &s->connect) = true;
        return 0;
    }
    if (*i + 1 == argc) {
        return wrong(option, "is not known, or needs a value");
    }
    value = argv[++*i];
    if (strcmp(option, "--out") == 0) {
        s->out = value;
        return 0;
    }
    if (strcmp(option, "--fork-digest") == 0) {
        s->has_digest = hex_get(view_str(value), s->digest, sizeof s->digest, &n) == E_OK && n == 4;
        return s->has_digest ? 0 : wrong(option, "is not four bytes of hex");
    }
    if (strcmp(option, "--rate") == 0 && read_u64(value, 100000, &x)) {
        s->cfg.per_s = (unsigned)x;
        return 0;
    }
    if (strcmp(option, "--seconds") == 0 && read_u64(value, 1u << 30, &x)) {
        s->seconds_max = x;
        return 0;
    }
    return wrong(option, "is not known, or its value is wrong");
}

static int parse(struct sweep *s, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int code = udp_options_take(&s->o, argc, argv, &i);

        if (code == 1) {
            code = take_own(s, argc, argv, &i);
        }
        if (code != 0) {
            return code;
        }
    }
    return s->o.boots_n > 0 ? 0 : wrong("--network or --boot-nodes", "one is needed to begin");
}

int cmd_crawl(int argc, char **argv)
{
    struct sweep *s;
    int code;

    s = mem_zalloc(sizeof *s);
    udp_options_init(&s->o, "crawl");
    crawl_config_default(&s->cfg);
    s->rng = random_system();
    s->o.node.event = on_event;
    s->o.node.turn = on_turn;
    s->o.node.other = on_other;
    code = parse(s, argc, argv);
    if (code == 0) {
        udp_options_done(&s->o, 0);
        s->o.node.engine.records_max = CRAWL_RECORDS; /* each signature is verified once */
        code = run(s);
    }
    mem_free(s);
    return code;
}
