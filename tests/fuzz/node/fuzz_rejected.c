/* Any bytes as the file of a rejected message: refused with a fault, or judged; a second judgement
 * is the same. */
#include <assert.h>
#include <crypto/random.h>
#include <eth/network.h>
#include <eth/schema.h>
#include <node/rejected.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct network *net;
    struct rejected_judged a, b;
    char fault[NETWORK_FAULT_MAX] = "";
    uint8_t root[32];

    if (net == NULL) {
        schema_start();
        if (crypto_start() != E_OK || network_builtin("mainnet", &net, fault) != E_OK) {
            abort();
        }
    }
    struct rng_seeded rng;
    rng_seeded_init(&rng, 1);
    enum err e = rejected_judge(net, view_of(p, n), &rng.base, &a, fault);
    if (e != E_OK) {
        assert(fault[0] != '\0');
        return 0;
    }
    assert(rejected_network(view_of(p, n), root) == E_OK);
    assert(a.bytes < n && a.was != E_OK);
    assert(rejected_judge(net, view_of(p, n), &rng.base, &b, fault) == E_OK);
    assert(a.is == b.is && strcmp(a.is_reason, b.is_reason) == 0);
    return 0;
}
