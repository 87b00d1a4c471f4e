/* A record's fields are made once, as rows of name and text; text and JSON print the rows. */
#include "enr_view.h"

#include <base/mem.h>
#include <codec/base.h>
#include <codec/multiaddr.h>
#include <codec/peer_id.h>
#include <inttypes.h>
#include <string.h>

#define ROWS_MAX  64u  /* fields and pairs: a record of 300 bytes has fewer */
#define VALUE_MAX 704u /* a value of a whole record in hex, and words */

struct row {
    char name[64];
    char text[VALUE_MAX];
    bool is_number; /* in JSON without quotes */
};

struct rows {
    size_t n;
    struct row row[ROWS_MAX];
};

static struct row *add(struct rows *rows, const char *name)
{
    struct row *r = &rows->row[rows->n < ROWS_MAX - 1 ? rows->n++ : ROWS_MAX - 1];

    *r = (struct row){.is_number = false};
    snprintf(r->name, sizeof r->name, "%s", name);
    return r;
}

static void add_hex(struct rows *rows, const char *name, struct view v)
{
    struct row *r = add(rows, name);

    memcpy(r->text, "0x", 2);
    hex_put(v, r->text + 2); /* at most 300 bytes */
}

static void add_u64(struct rows *rows, const char *name, uint64_t x)
{
    struct row *r = add(rows, name);

    snprintf(r->text, sizeof r->text, "%" PRIu64, x);
    r->is_number = x < UINT64_C(1) << 53; /* what every JSON reader keeps exactly */
}

static void add_addresses(struct rows *rows, const struct enr *e)
{
    static const char *const kinds[] = {"udp", "tcp", "quic"};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        for (uint8_t family = 4; family <= 6; family += 2) {
            char name[32];
            struct addr a;

            if (enr_endpoint(e, family, kinds[i], &a)) {
                snprintf(name, sizeof name, "%s%s_address", kinds[i], family == 6 ? "6" : "");
                addr_text(&a, add(rows, name)->text);
            }
        }
    }
}

static void add_multiaddr(struct rows *rows, const struct enr *e, const struct peer_id *id)
{
    struct multiaddr m;
    struct addr a;

    for (uint8_t family = 4; family <= 6; family += 2) {
        if (enr_endpoint(e, family, "tcp", &a)) {
            struct row *r = add(rows, family == 6 ? "multiaddr6" : "multiaddr");

            multiaddr_of(TRANSPORT_TCP, &a, id, &m);
            if (multiaddr_text(&m, r->text, sizeof r->text) != E_OK) {
                rows->n--;
            }
        }
    }
}

/* Spec: consensus-specs specs/phase0/p2p-interface.md "eth2 field" */
static void add_eth2(struct rows *rows, struct view v)
{
    struct rd r = rd_of(v);
    struct view digest = rd_take(&r, 4), version = rd_take(&r, 4);
    uint64_t epoch = rd_le64(&r);

    if (r.bad || rd_left(&r) != 0) {
        return;
    }
    add_hex(rows, "fork_digest", digest);
    add_hex(rows, "next_fork_version", version);
    if (epoch == UINT64_MAX) {
        snprintf(add(rows, "next_fork_epoch")->text, VALUE_MAX, "none");
    } else {
        add_u64(rows, "next_fork_epoch", epoch);
    }
}

/* The numbers of the bits that are set: "3,17". */
static void add_bits(struct rows *rows, const char *name, struct view v)
{
    struct row *r = add(rows, name);
    size_t at = 0;

    for (size_t i = 0; i < 8 * v.n && at < sizeof r->text - 8; i++) {
        if ((v.p[i / 8] >> i % 8 & 1) != 0) {
            at +=
                (size_t)snprintf(r->text + at, sizeof r->text - at, "%s%zu", at == 0 ? "" : ",", i);
        }
    }
    if (at == 0) {
        snprintf(r->text, sizeof r->text, "none");
    }
}

static void add_consensus(struct rows *rows, const struct enr *e)
{
    struct view v;
    uint64_t x;

    if (enr_get(e, "eth2", &v)) {
        add_eth2(rows, v);
    }
    if (enr_get(e, "nfd", &v)) {
        add_hex(rows, "next_fork_digest", v);
    }
    if (enr_get(e, "attnets", &v) && v.n == 8) {
        add_bits(rows, "attestation_subnets", v);
    }
    if (enr_get(e, "syncnets", &v) && v.n == 1) {
        add_bits(rows, "sync_subnets", v);
    }
    if (enr_get_u64(e, "cgc", &x)) {
        add_u64(rows, "custody_group_count", x);
    }
}

/* A key is any bytes; in a name only printable ones. */
static void add_pairs(struct rows *rows, const struct enr *e)
{
    struct enr_walk w;
    struct view k, v;
    bool is_list;

    enr_walk_begin(e, &w);
    while (enr_walk_next(&w, &k, &v, &is_list)) {
        char name[64] = "key.";

        for (size_t i = 0; i < k.n && i < sizeof name - 6; i++) {
            bool plain = k.p[i] > ' ' && k.p[i] < 0x7f && k.p[i] != '"' && k.p[i] != '\\';

            name[4 + i] = plain ? (char)k.p[i] : '?';
        }
        add_hex(rows, name, v);
    }
}

/* To be freed with mem_free(). */
static struct rows *gather(const struct enr *e)
{
    struct rows *rows = mem_zalloc(sizeof *rows);
    char text[ENR_TEXT_MAX];
    struct peer_id id;

    snprintf(add(rows, "enr")->text, VALUE_MAX, "%s", enr_text(e, text));
    add_u64(rows, "seq", e->seq);
    add_u64(rows, "size", e->n);
    add_hex(rows, "node_id", view_of(e->id.b, sizeof e->id.b));
    peer_id_from_secp(e->public, &id);
    peer_id_text(&id, add(rows, "peer_id")->text);
    add_addresses(rows, e);
    add_multiaddr(rows, e, &id);
    add_consensus(rows, e);
    add_pairs(rows, e);
    return rows;
}

void enr_print(const struct enr *e, FILE *to)
{
    struct rows *rows = gather(e);

    for (size_t i = 0; i < rows->n; i++) {
        fprintf(to, "%-20s %s\n", rows->row[i].name, rows->row[i].text);
    }
    fputc('\n', to);
    mem_free(rows);
}

void enr_print_json(const struct enr *e, FILE *to)
{
    struct rows *rows = gather(e);

    for (size_t i = 0; i < rows->n; i++) {
        const char *quote = rows->row[i].is_number ? "" : "\"";

        fprintf(to, "%c\"%s\":%s%s%s", i == 0 ? '{' : ',', rows->row[i].name, quote,
                rows->row[i].text, quote);
    }
    fputs("}\n", to);
    mem_free(rows);
}
