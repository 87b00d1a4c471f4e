/* Any bytes as a node kept on disk: what is taken is written again as it was, but for its end. */
#include "../../../src/node/peers/history.h"

#include <assert.h>
#include <crypto/random.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    uint8_t bytes[HISTORY_SIZE_MAX];
    struct history k, again;

    if (history_decode(view_of(p, n), &k) != E_OK) {
        return 0;
    }
    assert(k.enr.n > 0 && k.enr.n <= ENR_MAX);
    size_t size = history_encode(&k, bytes);
    assert(size == n && memcmp(bytes, p, n) == 0);
    assert(history_decode(view_of(bytes, size), &again) == E_OK);
    assert(again.last_s == k.last_s && again.successes == k.successes &&
           again.failures == k.failures && node_id_eq(&again.enr.id, &k.enr.id));
    return 0;
}
