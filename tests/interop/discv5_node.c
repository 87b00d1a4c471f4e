/*
 * A discv5 node and nothing else, for tests beside other implementations:
 *
 *     discv5_node IP[,IP6] PORT SEED [ENR...]      boot records behind
 *
 * It prints one JSON object a line: its own record first, then what happens. On stdin, a line each:
 *
 *     ping ENR | find ENR DISTANCE | talk ENR PROTOCOL TEXT | lookup HEX | table | record | set KEY
 * TEXT
 *
 * TALKREQs of protocol "echo" are answered with what they hold, all others with nothing.
 */
#include <arpa/inet.h>
#include <codec/base.h>
#include <crypto/random.h>
#include <poll.h>
#include <proto/discv5.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct node {
    int sockets[2]; /* IPv4, IPv6; -1: none */
    struct discv5 *engine;
    struct ident ident;
    struct enr enr;
    char line[4096];
    size_t line_n;
};

static struct now clock_now(void)
{
    struct timespec mono, wall;

    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    return (struct now){SECONDS(mono.tv_sec) + (uint64_t)mono.tv_nsec,
                        SECONDS(wall.tv_sec) + (uint64_t)wall.tv_nsec};
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void say_record(const char *key, const struct enr *e)
{
    char text[ENR_TEXT_MAX], id[65];

    hex_put(view_of(e->id.b, 32), id);
    printf("{\"%s\":\"%s\",\"id\":\"%s\",\"seq\":%llu}\n", key, enr_text(e, text), id,
           (unsigned long long)e->seq);
}

static void say_event(const struct discv5_event *ev)
{
    static const char *const names[] = {"none",    "found",    "live",   "lookup_done", "address",
                                        "talkreq", "talkresp", "failed", "pong",        "nodes"};
    char id[65], text[ENR_TEXT_MAX], addr[ADDR_TEXT_MAX], data[2 * DISCV5_PACKET_MAX + 1];

    hex_put(view_of(ev->id.b, 32), id);
    hex_put(ev->data, data);
    printf("{\"event\":\"%s\",\"id\":\"%s\",\"from\":\"%s\",\"request\":%llu,\"count\":%u,"
           "\"data\":\"%s\",\"enr\":\"%s\"}\n",
           names[ev->kind], id, addr_text(&ev->from, addr), (unsigned long long)ev->request,
           (unsigned)ev->count, data, ev->enr == NULL ? "" : enr_text(ev->enr, text));
}

static void to_sockaddr(const struct addr *a, struct sockaddr_storage *ss, socklen_t *n)
{
    memset(ss, 0, sizeof *ss);
    if (a->family == 4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};

        memcpy(&in.sin_addr, a->ip, 4);
        memcpy(ss, &in, *n = sizeof in);
    } else {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};

        memcpy(&in6.sin6_addr, a->ip, 16);
        memcpy(ss, &in6, *n = sizeof in6);
    }
}

static struct addr from_sockaddr(const struct sockaddr_storage *ss)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (ss->ss_family == AF_INET) {
        memcpy(&in, ss, sizeof in);
        return addr_of(4, (const uint8_t *)&in.sin_addr, ntohs(in.sin_port));
    }
    memcpy(&in6, ss, sizeof in6);
    return addr_of(6, (const uint8_t *)&in6.sin6_addr, ntohs(in6.sin6_port));
}

static void pull(struct node *n)
{
    uint8_t out[DISCV5_PACKET_MAX];
    struct discv5_event ev;
    struct sockaddr_storage ss;
    socklen_t ss_n;
    struct addr to;
    size_t size;

    while (discv5_next_event(n->engine, &ev)) {
        if (ev.kind == DISCV5_TALKREQ) { /* of "echo": nothing else is registered */
            discv5_talk_answer(n->engine, ev.request, ev.data, clock_now());
        }
        say_event(&ev);
    }
    while (discv5_next_datagram(n->engine, &to, out, &size)) {
        to_sockaddr(&to, &ss, &ss_n);
        if (sendto(n->sockets[to.family == 6], out, size, 0, (struct sockaddr *)&ss, ss_n) < 0) {
            perror("sendto"); /* as lost as any other */
        }
    }
    fflush(stdout);
}

static void say_table(const struct node *n)
{
    const struct enr *live[1024];
    size_t count = discv5_table(n->engine, live, 1024);

    for (size_t i = 0; i < count; i++) {
        say_record("entry", live[i]);
    }
    printf("{\"table\":%zu,\"live\":%zu,\"sessions\":%zu}\n", discv5_table_size(n->engine), count,
           discv5_session_count(n->engine));
}

static void set_key(struct node *n, const char *key, const char *text)
{
    struct enr_draft d;

    enr_draft_from(&d, &n->enr);
    d.seq++;
    enr_draft_set(&d, key, view_str(text));
    if (enr_sign(&d, &n->ident, &n->enr) == E_OK) {
        discv5_set_record(n->engine, &n->enr);
    }
    say_record("record", &n->enr);
}

static enum err request(struct node *n, const char *verb, const char *a, const char *b,
                        const char *c, uint64_t *ret)
{
    struct now now = clock_now();
    uint16_t distance = (uint16_t)atoi(b);
    struct node_id target;
    uint32_t lookup;
    size_t size;
    struct enr to;

    if (strcmp(verb, "lookup") == 0) {
        TRY(hex_get(view_str(a), target.b, sizeof target.b, &size));
        TRY(discv5_lookup(n->engine, &target, now, &lookup));
        *ret = lookup;
        return E_OK;
    }
    TRY(enr_parse(view_str(a), &to));
    if (strcmp(verb, "ping") == 0) {
        return discv5_ping(n->engine, &to, now, ret);
    }
    if (strcmp(verb, "find") == 0) {
        return discv5_find_node(n->engine, &to, &distance, 1, now, ret);
    }
    return discv5_talk(n->engine, &to, view_str(b), view_str(c), now, ret);
}

static void command(struct node *n, const char *line)
{
    char verb[16] = "", a[1024] = "", b[64] = "", c[1024] = "";
    uint64_t id = 0;
    int words = sscanf(line, "%15s %1023s %63s %1023s", verb, a, b, c);

    if (strcmp(verb, "table") == 0) {
        say_table(n);
    } else if (strcmp(verb, "record") == 0) {
        say_record("record", &n->enr);
    } else if (strcmp(verb, "set") == 0 && words >= 3) {
        set_key(n, a, b);
    } else if (words >= 2) {
        enum err e = request(n, verb, a, b, c, &id);

        printf("{\"begun\":\"%s\",\"request\":%llu,\"error\":\"%s\"}\n", verb,
               (unsigned long long)id, e == E_OK ? "" : err_text(e));
    }
}

/* False at the end of stdin. */
static bool read_commands(struct node *n)
{
    ssize_t got = read(0, n->line + n->line_n, sizeof n->line - 1 - n->line_n);
    char *end;

    if (got <= 0) {
        return false;
    }
    n->line_n += (size_t)got;
    n->line[n->line_n] = '\0';
    while ((end = strchr(n->line, '\n')) != NULL) {
        *end = '\0';
        command(n, n->line);
        n->line_n -= (size_t)(end + 1 - n->line);
        memmove(n->line, end + 1, n->line_n + 1);
    }
    return n->line_n < sizeof n->line - 1;
}

static void read_datagrams(struct node *n, int socket)
{
    uint8_t in[2048];
    struct sockaddr_storage ss;

    for (;;) {
        socklen_t ss_n = sizeof ss;
        ssize_t got = recvfrom(socket, in, sizeof in, MSG_DONTWAIT, (struct sockaddr *)&ss, &ss_n);
        struct addr from;

        if (got < 0) {
            return;
        }
        from = from_sockaddr(&ss);
        IGNORE(discv5_feed(n->engine, &from, view_of(in, (size_t)got), clock_now()),
               "the engine has done all that there is to do");
        pull(n);
    }
}

static void make_record(struct node *n, const struct addr *own, const char *seed_hex)
{
    struct enr_draft d;
    uint8_t secret[32] = {0};
    size_t size;

    if (hex_get(view_str(seed_hex), secret, sizeof secret, &size) != E_OK ||
        ident_from_secret(secret, &n->ident) != E_OK) {
        fprintf(stderr, "SEED is the secret key in hex\n");
        exit(1);
    }
    enr_draft_init(&d, (uint64_t)time(NULL));
    for (int i = 0; i < 2; i++) {
        if (own[i].family != 0) {
            enr_draft_set_endpoint(&d, "udp", &own[i]);
        }
    }
    if (enr_sign(&d, &n->ident, &n->enr) != E_OK) {
        exit(1);
    }
}

static void open_socket(struct node *n, const struct addr *a)
{
    struct sockaddr_storage ss;
    socklen_t ss_n;
    int s = socket(a->family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);

    to_sockaddr(a, &ss, &ss_n);
    if (s < 0 || bind(s, (struct sockaddr *)&ss, ss_n) != 0) {
        die("bind");
    }
    n->sockets[a->family == 6] = s;
}

/* "IP", or one of each family behind a comma. */
static bool parse_own(char *text, uint16_t port, struct addr own[2])
{
    for (char *ip = strtok(text, ","); ip != NULL; ip = strtok(NULL, ",")) {
        struct addr a;

        if (addr_parse(ip, &a) != E_OK) {
            return false;
        }
        a.port = port;
        own[a.family == 6] = a;
    }
    return true;
}

static void wait(const struct node *n, bool *ret_command)
{
    /* poll() passes over a descriptor of -1 */
    struct pollfd fds[3] = {{.fd = n->sockets[0], .events = POLLIN},
                            {.fd = n->sockets[1], .events = POLLIN},
                            {.fd = 0, .events = POLLIN}};
    uint64_t due = discv5_deadline(n->engine), now = clock_now().mono_ns;

    if (poll(fds, 3, due <= now ? 0 : (int)earlier((due - now) / 1000000 + 1, 60000)) < 0) {
        die("poll");
    }
    *ret_command = (fds[2].revents & (POLLIN | POLLHUP)) != 0;
}

int main(int argc, char **argv)
{
    static struct node n;
    struct discv5_config cfg;
    struct addr own[2] = {{.family = 0}, {.family = 0}};
    bool told = false;

    if (argc < 4 || !parse_own(argv[1], (uint16_t)atoi(argv[2]), own) || crypto_start() != E_OK) {
        fprintf(stderr, "usage: discv5_node IP[,IP6] PORT SECRET [ENR...]\n");
        return 2;
    }
    n.sockets[0] = n.sockets[1] = -1;
    for (int i = 0; i < 2; i++) {
        if (own[i].family != 0) {
            open_socket(&n, &own[i]);
        }
    }
    make_record(&n, own, argv[3]);
    discv5_config_local(&cfg);
    cfg.ipv4 = own[0].family != 0;
    cfg.ipv6 = own[1].family != 0;
    cfg.votes_min = 3;
    n.engine = discv5_new(&cfg, &n.ident, &n.enr, random_system(), clock_now());
    IGNORE(discv5_talk_register(n.engine, view_str("echo")), "the first one");
    for (int i = 4; i < argc; i++) {
        struct enr boot;

        if (enr_parse(view_str(argv[i]), &boot) == E_OK) {
            discv5_add_boot(n.engine, &boot, clock_now());
        }
    }
    say_record("record", &n.enr);
    for (;;) {
        pull(&n);
        wait(&n, &told);
        if (told && !read_commands(&n)) {
            break;
        }
        for (int i = 0; i < 2; i++) {
            if (n.sockets[i] >= 0) {
                read_datagrams(&n, n.sockets[i]);
            }
        }
        discv5_tick(n.engine, clock_now());
    }
    discv5_free(n.engine);
    return 0;
}
