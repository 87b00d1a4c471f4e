/*
 * A certificate from a stranger. Whatever it says, the answer is the same twice; of an accepted one
 * a byte more or less or another is refused.
 */
#include <base/mem.h>
#include <proto/libp2p_tls.h>
#include <stdlib.h>
#include <string.h>

#define NOW_S 1790000000u
#define FLIPS 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peer_id a, b;
    enum err e = libp2p_tls_check(view_of(data, size), NOW_S, &a);

    if (libp2p_tls_check(view_of(data, size), NOW_S, &b) != e) {
        abort();
    }
    if (e != E_OK) {
        return 0;
    }
    uint8_t *more = mem_alloc(size + 1);
    memcpy(more, data, size);
    more[size] = 0;
    if (!peer_id_eq(&a, &b) || libp2p_tls_check(view_of(more, size + 1), NOW_S, &b) == E_OK ||
        libp2p_tls_check(view_of(data, size - 1), NOW_S, &b) == E_OK) {
        abort();
    }
    for (size_t i = 0; i < FLIPS; i++) {
        size_t at = i * size / FLIPS;
        more[at] ^= 1;
        if (libp2p_tls_check(view_of(more, size), NOW_S, &b) == E_OK) {
            abort();
        }
        more[at] ^= 1;
    }
    mem_free(more);
    return 0;
}
