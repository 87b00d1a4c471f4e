/* Bytes that are accepted have a text that parses to the same bytes; a text that is accepted has
 * bytes that are accepted. */
#include <assert.h>
#include <codec/multiaddr.h>

#define TEXT_MAX 4096u /* 256 bytes of /webtransport are long */

static void round_trip(const struct multiaddr *m)
{
    char text[TEXT_MAX];
    struct multiaddr again;
    struct multiaddr_parts parts;

    assert(multiaddr_text(m, text, sizeof text) == E_OK);
    assert(multiaddr_parse(view_str(text), &again) == E_OK);
    assert(m->n == again.n && memcmp(m->b, again.b, sizeof m->b) == 0);
    assert(multiaddr_split(m, &parts) == E_OK);
    assert(parts.transport == TRANSPORT_NONE || parts.addr.family != 0 || parts.name[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct multiaddr m, again;

    if (multiaddr_from_bytes(view_of(p, n), &m) == E_OK) {
        round_trip(&m);
    }
    if (multiaddr_parse(view_of(p, n), &m) == E_OK) {
        assert(multiaddr_from_bytes(view_of(m.b, m.n), &again) == E_OK);
        round_trip(&m);
    }
    return 0;
}
