/* beacon-p2pd enr: look at node records, make them, sign them again, check them. */
#include "commands.h"
#include "enr_view.h"

#include <base/mem.h>
#include <codec/base.h>
#include <crypto/ident.h>
#include <crypto/random.h>
#include <errno.h>
#include <proto/enr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 1024u /* of standard input: a record is 408 characters */

struct request {
    const char *verb;
    bool json;
    bool has_ident;
    struct ident ident;
    bool has_seq;
    uint64_t seq;
    struct enr_draft changes; /* what --set and its like give */
    struct enr_draft draft;   /* the record to be */
    const char *unset[ENR_PAIRS_MAX];
    size_t unset_n;
    const char **records; /* the arguments */
    size_t n;
};

static int wrong(const char *option, const char *value, const char *why)
{
    fprintf(stderr, "beacon-p2pd enr: %s %s: %s; see beacon-p2pd enr --help\n", option, value, why);
    return 2;
}

static bool read_u64(const char *text, uint64_t max, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && *ret <= max;
}

/* ---- options ---- */

static int take_ip(struct request *r, const char *value)
{
    struct addr a;

    if (addr_parse(value, &a) != E_OK || a.port != 0) {
        return wrong("--ip", value, "is no IP address");
    }
    enr_draft_set(&r->changes, a.family == 4 ? "ip" : "ip6", view_of(a.ip, a.family == 4 ? 4 : 16));
    return 0;
}

static int take_pair(struct request *r, const char *value)
{
    const char *equals = strchr(value, '=');
    uint8_t bytes[ENR_VALUE_MAX];
    char key[ENR_KEY_MAX] = {0};
    size_t n;

    if (equals == NULL || (size_t)(equals - value) >= sizeof key || equals == value) {
        return wrong("--set", value, "is not KEY=HEX");
    }
    memcpy(key, value, (size_t)(equals - value));
    if (hex_get(view_str(equals + 1), bytes, sizeof bytes, &n) != E_OK) {
        return wrong("--set", value, "has no hex, or too much, behind the =");
    }
    enr_draft_set(&r->changes, key, view_of(bytes, n));
    return 0;
}

static int take_key(struct request *r, const char *option, const char *value)
{
    uint8_t secret[32];
    size_t n;
    enum err e;

    if (strcmp(option, "--secret") == 0) {
        e = hex_get(view_str(value), secret, sizeof secret, &n);
        e = e == E_OK && n == sizeof secret ? ident_from_secret(secret, &r->ident) : E_CRYPTO_KEY;
    } else {
        e = ident_load_or_create(value, random_system(), &r->ident);
    }
    if (e != E_OK) {
        return wrong(option, strcmp(option, "--secret") == 0 ? "..." : value, err_text(e));
    }
    r->has_ident = true;
    return 0;
}

static int take_option(struct request *r, const char *option, const char *value)
{
    static const char *const ports[] = {"udp", "tcp", "quic", "udp6", "tcp6", "quic6"};
    uint64_t x;

    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        if (strcmp(option + 2, ports[i]) == 0) {
            if (!read_u64(value, UINT16_MAX, &x) || x == 0) {
                return wrong(option, value, "is no port");
            }
            enr_draft_set_u64(&r->changes, ports[i], x);
            return 0;
        }
    }
    if (strcmp(option, "--ip") == 0) {
        return take_ip(r, value);
    }
    if (strcmp(option, "--set") == 0) {
        return take_pair(r, value);
    }
    if (strcmp(option, "--key") == 0 || strcmp(option, "--secret") == 0) {
        return take_key(r, option, value);
    }
    if (strcmp(option, "--unset") == 0 && r->unset_n < ENR_PAIRS_MAX) {
        r->unset[r->unset_n++] = value;
        return 0;
    }
    if (strcmp(option, "--seq") == 0) {
        r->has_seq = read_u64(value, UINT64_MAX, &r->seq);
        return r->has_seq ? 0 : wrong(option, value, "is no number");
    }
    return wrong(option, value, "is not known");
}

static int parse(struct request *r, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            r->json = true;
        } else if (strncmp(argv[i], "--", 2) == 0) {
            int code;

            if (i + 1 == argc) {
                return wrong(argv[i], "", "needs a value");
            }
            code = take_option(r, argv[i], argv[i + 1]);
            if (code != 0) {
                return code;
            }
            i++;
        } else {
            r->records[r->n++] = argv[i];
        }
    }
    return 0;
}

/* ---- verbs ---- */

static int look_at(const struct request *r, const char *text)
{
    struct enr e;
    enum err why = enr_parse(view_str(text), &e);

    if (why != E_OK) {
        fprintf(stderr, "%s: %s\n", text, err_text(why));
        return 1;
    }
    if (strcmp(r->verb, "verify") == 0) {
        printf("%s: valid\n", text);
    } else if (r->json) {
        enr_print_json(&e, stdout);
    } else {
        enr_print(&e, stdout);
    }
    return 0;
}

/* Every record of the arguments, or of standard input; the worst result. */
static int each_record(const struct request *r)
{
    char line[LINE_MAX_BYTES];
    int worst = 0;

    for (size_t i = 0; i < r->n; i++) {
        worst |= look_at(r, r->records[i]);
    }
    while (r->n == 0 && fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, " \t\r\n")] = '\0';
        if (line[0] != '\0') {
            worst |= look_at(r, line);
        }
    }
    return worst;
}

static int make(const struct request *r, struct enr_draft *d)
{
    char text[ENR_TEXT_MAX];
    struct enr e;
    enum err why;

    if (!r->has_ident) {
        fputs("beacon-p2pd enr: --key FILE is needed to sign\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < r->changes.n; i++) {
        const struct enr_pair *p = &r->changes.pairs[i];

        enr_draft_set(d, p->key, view_of(p->value, p->n));
    }
    for (size_t i = 0; i < r->unset_n; i++) {
        enr_draft_unset(d, r->unset[i]);
    }
    if (r->has_seq) {
        d->seq = r->seq;
    }
    d->full = d->full || r->changes.full;
    why = enr_sign(d, &r->ident, &e);
    if (why != E_OK) {
        fprintf(stderr, "beacon-p2pd enr: %s\n", err_text(why));
        return 1;
    }
    puts(enr_text(&e, text));
    return 0;
}

static int sign(const struct request *r, struct enr_draft *d)
{
    struct enr e;
    enum err why;

    if (r->n != 1) {
        fputs("beacon-p2pd enr sign: one ENR is needed\n", stderr);
        return 2;
    }
    why = enr_parse(view_str(r->records[0]), &e);
    if (why != E_OK) {
        fprintf(stderr, "%s: %s\n", r->records[0], err_text(why));
        return 1;
    }
    enr_draft_from(d, &e);
    d->seq++;
    return make(r, d);
}

static int run(struct request *r)
{
    if (strcmp(r->verb, "view") == 0 || strcmp(r->verb, "verify") == 0) {
        return each_record(r);
    }
    if (strcmp(r->verb, "sign") == 0) {
        return sign(r, &r->draft);
    }
    if (strcmp(r->verb, "make") == 0) {
        enr_draft_init(&r->draft, 1);
        return make(r, &r->draft);
    }
    return wrong("verb", r->verb, "is not known");
}

int cmd_enr(int argc, char **argv)
{
    struct request *r;
    int code;

    if (argc < 2) {
        return command_usage("enr", stderr);
    }
    r = mem_zalloc(sizeof *r);
    r->verb = argv[1];
    enr_draft_init(&r->changes, 0);
    r->records = mem_zalloc_array((size_t)argc, sizeof *r->records);
    code = parse(r, argc, argv);
    if (code == 0) {
        code = run(r);
    }
    mem_free(r->records);
    mem_free(r);
    return code;
}
