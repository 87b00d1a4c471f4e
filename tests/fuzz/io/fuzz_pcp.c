/*
 * What a router, or somebody in its name, answers to PCP.
 *
 * Only what has the question's nonce, protocol and port is an answer; what is granted is read as it
 * stands there; all else changes nothing.
 */
#include <assert.h>
#include <io/pcp.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct pcp_map m = {.nonce = "twelve bytes", .protocol = PCP_UDP, .port = 9000}, before = m;
    uint8_t *exact = malloc(n + 1); /* so that a read behind the end is found */
    unsigned code = 0;

    assert(exact != NULL);
    if (n > 0) {
        memcpy(exact, p, n);
    }
    exact = realloc(exact, n > 0 ? n : 1);
    assert(exact != NULL);
    enum pcp_answer said = pcp_read(view_of(exact, n), &m, &code);

    if (said == PCP_GRANTED || said == PCP_REFUSED) {
        assert(n >= 44 && n % 4 == 0 && p[0] == 2 && p[1] == 0x81);
        assert(memcmp(p + 24, m.nonce, PCP_NONCE) == 0 && p[36] == PCP_UDP);
        assert(load_be16(p + 40) == m.port && (p[3] == 0) == (said == PCP_GRANTED));
    }
    if (said == PCP_GRANTED) {
        assert(n >= PCP_MAP_BYTES && m.lease_s == load_be32(p + 4));
        assert(m.external.port == load_be16(p + 42) && m.external.family != 0);
    } else {
        assert(memcmp(&m, &before, sizeof m) == 0);
    }
    assert(said != PCP_REFUSED || strlen(pcp_text(code)) > 0);
    free(exact);
    return 0;
}
