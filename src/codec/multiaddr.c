#include <arpa/inet.h>
#include <assert.h>
#include <codec/base.h>
#include <codec/multiaddr.h>
#include <codec/varint.h>

#define NAME_MAX_BYTES 253u /* a DNS name in text form. Spec: RFC 1035 "Size limits" */
#define HASH_MAX       64u  /* the longest multihash in use: sha2-512's 64 bytes would be 66 */

/* Codes that the program names. */
enum {
    CODE_TCP = 0x06,
    CODE_IP4 = 0x04,
    CODE_IP6 = 0x29,
    CODE_DNS = 0x35,
    CODE_DNS4 = 0x36,
    CODE_DNS6 = 0x37,
    CODE_DNSADDR = 0x38,
    CODE_UDP = 0x0111,
    CODE_CIRCUIT = 0x0122,
    CODE_P2P = 0x01a5,
    CODE_QUIC_V1 = 0x01cd,
};

enum value { VALUE_NONE, VALUE_IP4, VALUE_IP6, VALUE_PORT, VALUE_TEXT, VALUE_PEER, VALUE_HASH };

static const struct row {
    const char *name;
    uint32_t code;
    enum value value;
} rows[] = {

#define M(name, code, value) {name, code, value},
#include "multiaddr.def"
#undef M
};

struct part {
    const struct row *row;
    struct view value; /* without its length prefix */
};

static bool is_name(struct view v)
{
    if (v.n == 0 || v.n > NAME_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] <= 0x20 || v.p[i] >= 0x7f || v.p[i] == '/') {
            return false; /* it could not be written as text, and no name has it */
        }
    }
    return true;
}

/* A multihash of any function: its code, the digest's length, the digest. */
static bool is_hash(struct view v)
{
    struct rd r = rd_of(v);

    rd_varint(&r);
    uint64_t n = rd_varint(&r);
    return !r.bad && n != 0 && n <= HASH_MAX && n == rd_left(&r);
}

static const struct row *row_of_code(uint64_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].code == code) {
            return &rows[i];
        }
    }
    return NULL;
}

static struct view take_prefixed(struct rd *r)
{
    uint64_t n = rd_varint(r);

    return rd_take(r, n > MULTIADDR_MAX ? SIZE_MAX : (size_t)n);
}

static bool take_value(struct rd *r, enum value kind, struct view *ret)
{
    struct peer_id peer;

    switch (kind) {
    case VALUE_NONE:
        *ret = (struct view){NULL, 0};
        return true;
    case VALUE_IP4:
        *ret = rd_take(r, 4);
        return !r->bad;
    case VALUE_IP6:
        *ret = rd_take(r, 16);
        return !r->bad;
    case VALUE_PORT:
        *ret = rd_take(r, 2);
        return !r->bad;
    case VALUE_TEXT:
        *ret = take_prefixed(r);
        return !r->bad && is_name(*ret);
    case VALUE_PEER:
        *ret = take_prefixed(r);
        return !r->bad && peer_id_from_bytes(*ret, &peer) == E_OK;
    case VALUE_HASH:
        *ret = take_prefixed(r);
        return !r->bad && is_hash(*ret);
    }
    return false;
}

static enum err part_next(struct rd *r, struct part *ret)
{
    uint64_t code = rd_varint(r);

    ret->row = r->bad ? NULL : row_of_code(code);
    if (ret->row == NULL || !take_value(r, ret->row->value, &ret->value)) {
        return E_MULTIADDR;
    }
    return E_OK;
}

enum err multiaddr_from_bytes(struct view v, struct multiaddr *ret)
{
    struct rd r = rd_of(v);
    struct part part;

    if (v.n == 0 || v.n > MULTIADDR_MAX) {
        return E_MULTIADDR;
    }
    while (rd_left(&r) != 0) {
        TRY(part_next(&r, &part));
    }
    *ret = (struct multiaddr){.n = (uint16_t)v.n};
    memcpy(ret->b, v.p, v.n);
    return E_OK;
}

/* ---- text to bytes ---- */

static enum err put_ip(int family, struct view text, struct wr *w)
{
    char s[INET6_ADDRSTRLEN];
    uint8_t ip[16];

    if (text.n >= sizeof s) {
        return E_MULTIADDR;
    }
    memcpy(s, text.p, text.n);
    s[text.n] = '\0';
    if (strlen(s) != text.n || inet_pton(family, s, ip) != 1) {
        return E_MULTIADDR;
    }
    wr_bytes(w, ip, family == AF_INET ? 4 : 16);
    return E_OK;
}

static enum err put_port(struct view text, struct wr *w)
{
    uint32_t port = 0;

    if (text.n == 0 || text.n > 5) {
        return E_MULTIADDR;
    }
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') {
            return E_MULTIADDR;
        }
        port = port * 10 + (uint32_t)(text.p[i] - '0');
    }
    if (port > UINT16_MAX) {
        return E_MULTIADDR;
    }
    wr_be16(w, (uint16_t)port);
    return E_OK;
}

static void put_prefixed(struct view v, struct wr *w)
{
    wr_varint(w, v.n);
    wr_view_bytes(w, v);
}

static enum err put_peer(struct view text, struct wr *w)
{
    struct peer_id peer;

    if (peer_id_parse(text, &peer) != E_OK) {
        return E_MULTIADDR;
    }
    put_prefixed(view_of(peer.b, peer.n), w);
    return E_OK;
}

/* In multibase's base64url ("u"), as all implementations write it. */
static enum err put_hash(struct view text, struct wr *w)
{
    uint8_t raw[HASH_MAX + 2 * VARINT_MAX];
    size_t n;

    if (text.n < 2 || text.p[0] != 'u' ||
        base64url_get(view_skip(text, 1), raw, sizeof raw, &n) != E_OK ||
        !is_hash(view_of(raw, n))) {
        return E_MULTIADDR;
    }
    put_prefixed(view_of(raw, n), w);
    return E_OK;
}

static enum err put_value(enum value kind, struct view text, struct wr *w)
{
    switch (kind) {
    case VALUE_NONE:
        return E_OK;
    case VALUE_IP4:
        return put_ip(AF_INET, text, w);
    case VALUE_IP6:
        return put_ip(AF_INET6, text, w);
    case VALUE_PORT:
        return put_port(text, w);
    case VALUE_TEXT:
        if (!is_name(text)) {
            return E_MULTIADDR;
        }
        put_prefixed(text, w);
        return E_OK;
    case VALUE_PEER:
        return put_peer(text, w);
    case VALUE_HASH:
        return put_hash(text, w);
    }
    return E_MULTIADDR;
}

/* The next "/word" of the text. */
static enum err take_word(struct view *text, struct view *ret)
{
    size_t n = 1;

    if (text->n < 2 || text->p[0] != '/') {
        return E_MULTIADDR;
    }
    while (n < text->n && text->p[n] != '/') {
        n++;
    }
    *ret = view_of(text->p + 1, n - 1);
    *text = view_skip(*text, n);
    return E_OK;
}

static const struct row *row_of_name(struct view name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (view_eq(name, view_str(rows[i].name))) {
            return &rows[i];
        }
    }
    return NULL;
}

enum err multiaddr_parse(struct view text, struct multiaddr *ret)
{
    struct multiaddr m = {0};
    struct wr w = wr_of(m.b, sizeof m.b);
    struct view word = {NULL, 0};

    if (text.n == 0) {
        return E_MULTIADDR;
    }
    while (text.n != 0) {
        TRY(take_word(&text, &word));
        const struct row *row = row_of_name(word);
        if (row == NULL) {
            return E_MULTIADDR;
        }
        if (row->value != VALUE_NONE) {
            TRY(take_word(&text, &word));
        }
        wr_varint(&w, row->code);
        TRY(put_value(row->value, word, &w));
    }
    if (w.bad) {
        return E_MULTIADDR;
    }
    m.n = (uint16_t)wr_len(&w);
    *ret = m;
    return E_OK;
}

/* ---- bytes to text ---- */

static void put_decimal(uint16_t x, struct wr *w)
{
    char digits[5];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + x % 10);
        x /= 10;
    } while (x != 0);
    wr_bytes(w, digits + at, sizeof digits - at);
}

static enum err put_value_text(const struct part *part, struct wr *w)
{
    char text[2 * HASH_MAX + 2 * VARINT_MAX + ADDR_TEXT_MAX] = "";
    struct peer_id peer;

    switch (part->row->value) {
    case VALUE_NONE:
        return E_OK;
    case VALUE_IP4:
        inet_ntop(AF_INET, part->value.p, text, sizeof text);
        break;
    case VALUE_IP6:
        inet_ntop(AF_INET6, part->value.p, text, sizeof text);
        break;
    case VALUE_PORT:
        wr_u8(w, '/');
        put_decimal(load_be16(part->value.p), w);
        return E_OK;
    case VALUE_TEXT:
        wr_u8(w, '/');
        wr_view_bytes(w, part->value);
        return E_OK;
    case VALUE_PEER:
        TRY(peer_id_from_bytes(part->value, &peer));
        peer_id_text(&peer, text);
        break;
    case VALUE_HASH:
        text[0] = 'u';
        TRY(base64url_put(part->value, text + 1, sizeof text - 1));
        break;
    }
    wr_u8(w, '/');
    wr_view_bytes(w, view_str(text));
    return E_OK;
}

enum err multiaddr_text(const struct multiaddr *m, char *out, size_t cap)
{
    struct rd r = rd_of(view_of(m->b, m->n));
    struct wr w = wr_of(out, cap);
    struct part part = {0};

    while (rd_left(&r) != 0) {
        TRY(part_next(&r, &part));
        wr_u8(&w, '/');
        wr_view_bytes(&w, view_str(part.row->name));
        TRY(put_value_text(&part, &w));
    }
    wr_u8(&w, '\0');
    return w.bad ? E_FULL : E_OK;
}

/* ---- what a dialler needs ---- */

static void split_host(const struct part *part, struct multiaddr_parts *p)
{
    switch (part->row->code) {
    case CODE_IP4:
    case CODE_IP6:
        p->addr = addr_of(part->row->code == CODE_IP4 ? 4 : 6, part->value.p, 0);
        return;
    case CODE_DNS4:
        p->name_family = 4;
        break;
    case CODE_DNS6:
        p->name_family = 6;
        break;
    case CODE_DNSADDR:
        p->name_family = 255;
        break;
    default: /* CODE_DNS: either family */
        p->name_family = 0;
        break;
    }
    memcpy(p->name, part->value.p, part->value.n);
    p->name[part->value.n] = '\0';
}

static bool is_host(uint32_t code)
{
    return code == CODE_IP4 || code == CODE_IP6 || (code >= CODE_DNS && code <= CODE_DNSADDR);
}

static enum transport_kind transport_of(uint32_t code)
{
    switch (code) {
    case CODE_TCP:
        return TRANSPORT_TCP;
    case CODE_UDP:
        return TRANSPORT_UDP;
    case CODE_QUIC_V1:
        return TRANSPORT_QUIC;
    default: /* websockets, TLS, scoped addresses, ... : not ours to dial */
        return TRANSPORT_NONE;
    }
}

/* Only host/tcp, host/udp and host/udp/quic-v1 are transports that we dial; anything else between
 * host and /p2p makes the address one that we know and cannot use. */
enum err multiaddr_split(const struct multiaddr *m, struct multiaddr_parts *ret)
{
    struct rd r = rd_of(view_of(m->b, m->n));
    struct multiaddr_parts p = {0};
    struct part part = {0};
    bool usable = true;

    for (size_t i = 0; rd_left(&r) != 0; i++) {
        TRY(part_next(&r, &part));
        uint32_t code = part.row->code;
        if (i == 0 && is_host(code)) {
            split_host(&part, &p);
            continue;
        }
        if (code == CODE_P2P) {
            p.has_peer = true;
            TRY(peer_id_from_bytes(part.value, &p.peer));
            continue;
        }
        enum transport_kind kind = transport_of(code);
        bool fits = kind == TRANSPORT_QUIC ? p.transport == TRANSPORT_UDP
                                           : i == 1 && p.transport == TRANSPORT_NONE;
        usable = usable && kind != TRANSPORT_NONE && fits && !p.has_peer;
        p.relayed = p.relayed || code == CODE_CIRCUIT;
        p.transport = kind;
        if (code == CODE_TCP || code == CODE_UDP) {
            p.addr.port = load_be16(part.value.p);
        }
    }
    p.transport = usable ? p.transport : TRANSPORT_NONE;
    *ret = p;
    return E_OK;
}

void multiaddr_of(enum transport_kind kind, const struct addr *a, const struct peer_id *peer,
                  struct multiaddr *ret)
{
    struct wr w = wr_of(ret->b, sizeof ret->b);

    assert(a->family == 4 || a->family == 6);
    memset(ret->b, 0, sizeof ret->b);
    wr_varint(&w, a->family == 4 ? CODE_IP4 : CODE_IP6);
    wr_bytes(&w, a->ip, a->family == 4 ? 4 : 16);
    wr_varint(&w, kind == TRANSPORT_TCP ? CODE_TCP : CODE_UDP);
    wr_be16(&w, a->port);
    if (kind == TRANSPORT_QUIC) {
        wr_varint(&w, CODE_QUIC_V1);
    }
    if (peer != NULL) {
        wr_varint(&w, CODE_P2P);
        put_prefixed(view_of(peer->b, peer->n), &w);
    }
    assert(!w.bad);
    ret->n = (uint16_t)wr_len(&w);
}
