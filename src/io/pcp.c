#include <io/pcp.h>

#define VERSION        2u
#define MAP            1u
#define RESPONSE       0x80u
#define BYTES_MAX      1100u /* Spec: RFC 6887 "Common Request and Response Header Format" */
#define UNSUPP_VERSION 1u

/* An IPv4 address in IPv6's clothes; of family 0 the one that stands for any. */
static void put_ip(struct wr *w, const struct addr *a)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    wr_bytes(w, mapped, sizeof mapped);
    wr_bytes(w, a->ip, 4);
}

void pcp_put(const struct pcp_map *m, const struct addr *client, uint8_t out[static PCP_MAP_BYTES])
{
    static const uint8_t zero[3];
    struct wr w = wr_of(out, PCP_MAP_BYTES);

    wr_u8(&w, VERSION);
    wr_u8(&w, MAP);
    wr_be16(&w, 0);
    wr_be32(&w, m->lease_s);
    put_ip(&w, client);
    wr_bytes(&w, m->nonce, sizeof m->nonce);
    wr_u8(&w, m->protocol);
    wr_bytes(&w, zero, sizeof zero);
    wr_be16(&w, m->port);
    wr_be16(&w, m->external.port);
    put_ip(&w, &m->external);
}

/* Behind the header of an answer with our opcode. */
static bool is_ours(struct rd *r, const struct pcp_map *m)
{
    struct view nonce = rd_take(r, PCP_NONCE);
    unsigned protocol = rd_u8(r);

    rd_take(r, 3);
    unsigned port = rd_be16(r);
    return !r->bad && memcmp(nonce.p, m->nonce, PCP_NONCE) == 0 && protocol == m->protocol &&
           port == m->port;
}

enum pcp_answer pcp_read(struct view datagram, struct pcp_map *m, unsigned *ret_code)
{
    struct rd r = rd_of(datagram);
    unsigned version = rd_u8(&r), opcode, code;

    opcode = rd_u8(&r);
    rd_u8(&r);
    code = rd_u8(&r);
    if (r.bad || datagram.n > BYTES_MAX || (opcode & RESPONSE) == 0) {
        return PCP_NOT_OURS;
    }
    if (version != VERSION) { /* of those only the head's first bytes are alike */
        return code == UNSUPP_VERSION ? PCP_OTHER_VERSION : PCP_NOT_OURS;
    }
    uint32_t lease_s = rd_be32(&r);

    rd_take(&r, 16); /* the router's clock, reserved */
    if (opcode != (RESPONSE | MAP) || datagram.n % 4 != 0 || !is_ours(&r, m)) {
        return PCP_NOT_OURS;
    }
    if (code != 0) {
        *ret_code = code;
        return PCP_REFUSED;
    }
    unsigned port = rd_be16(&r);
    struct view ip = rd_take(&r, 16);

    if (r.bad) {
        return PCP_NOT_OURS;
    }
    m->external = addr_of(6, ip.p, (uint16_t)port); /* what is mapped becomes family 4 */
    m->lease_s = lease_s;
    return PCP_GRANTED;
}

const char *pcp_text(unsigned code)
{
    /* Spec: RFC 6887 "Result Codes" */
    static const char *const texts[] = {
        [1] = "another version is wanted",
        [2] = "not authorized: it is switched off there",
        [3] = "malformed request",
        [4] = "the opcode is not known",
        [5] = "the option is not known",
        [6] = "malformed option",
        [7] = "the router has no address itself",
        [8] = "the router has no port left",
        [9] = "the protocol is not known",
        [10] = "we have as many ports as it allows",
        [11] = "the port wished for is taken",
        [12] = "it sees us at another address: one more NAT is in between",
        [13] = "too many peers",
    };

    return code < ARRAY_LEN(texts) && texts[code] != NULL ? texts[code] : "it refuses";
}
